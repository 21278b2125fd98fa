# escape=`
# check=skip=all
FROM mcr.microsoft.com/windows/nanoserver AS a
COPY c:\ `
  d:\
FROM `
  nginx:1.27 AS b
COPY --from=redis x y
