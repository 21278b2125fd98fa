# The image with both programs. Its file system comes from cmake/image.sh, which also makes the same image without a container engine.
FROM debian:12-slim AS build
COPY cmake/packages.txt /tmp/packages.txt
RUN apt-get update && \
    sed '/^#/d' /tmp/packages.txt | DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --no-install-recommends
WORKDIR /src
COPY . .
RUN cmake --preset release -DCISTERN_TESTS=OFF && \
    ninja -C build cache-agent cistern-operator && \
    cmake/image.sh --root /image build

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/bin
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/cistern-operator"]
