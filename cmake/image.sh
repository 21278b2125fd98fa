#!/usr/bin/env bash
# The container image, without a container engine: both programs, the libraries that they load, and what a TLS client needs. The
# Dockerfile takes its file system from here too, so that there is one image and not two that look alike.
#
#   cmake/image.sh [--tag NAME:TAG] BUILD_DIR OUTPUT.tar   a docker-archive (docker load, ctr images import, skopeo docker-archive:)
#   cmake/image.sh --root DIR BUILD_DIR                     only the root file system, into DIR, which must be empty or missing
#
# The same programs and libraries give the same bytes: names are sorted, times are fixed (SOURCE_DATE_EPOCH, else 0), owners are numbers.
# Needs no root.
set -euo pipefail
umask 022

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

programs=(cistern-operator cache-agent)
readonly user=65532
epoch=${SOURCE_DATE_EPOCH:-0}

# assemble BUILD_DIR ROOT
assemble() {
  local build=$1 root=$2 program path library
  local -a libraries
  mkdir -p "$root"/{dev,etc/ssl/certs,proc,sys,tmp,usr/bin,usr/lib/ssl}
  chmod 1777 "$root/tmp"
  for program in bin lib lib64; do ln -s "usr/$program" "$root/$program"; done

  for program in "${programs[@]}"; do
    path=$build/bin/$program
    if [[ ! -x $path ]]; then
      echo "image.sh: $path is not there; build it first" >&2
      return 1
    fi
    install -m 755 "$path" "$root/usr/bin/$program"
    strip --strip-all "$root/usr/bin/$program"
  done

  # "libx.so.1 => /path/libx.so.1 (0x…)", and the loader as "/lib64/ld-linux-x86-64.so.2 (0x…)". Each keeps the name by which it is asked for.
  if ldd "${programs[@]/#/$build/bin/}" | grep 'not found' >&2; then return 1; fi
  mapfile -t libraries < <(ldd "${programs[@]/#/$build/bin/}" | sed -nE 's/^[[:space:]]+(.* => )?(\/[^ ]+) \(0x.*/\2/p' | sort -u)
  for library in "${libraries[@]}"; do
    path=$library
    [[ $path == /usr/* ]] || path=/usr$path
    install -D -m 644 "$library" "$root$path"
    case $library in */ld-*) chmod 755 "$root$path" ;; esac
  done

  # libcurl reads the bundle under its own name, OpenSSL's default verify paths by the link.
  install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"

  printf 'root:x:0:0:root:/:/sbin/nologin\ncistern:x:%d:%d:cistern:/:/sbin/nologin\n' $user $user >"$root/etc/passwd"
  printf 'root:x:0:\ncistern:x:%d:\n' $user >"$root/etc/group"
  # "files" and "dns" are part of glibc since 2.34, and need no library of their own.
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
}

sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

pack() { # pack TAR FOLDER NAME…: reproducible
  tar --create --file "$1" --directory "$2" --format=gnu --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner "${@:3}"
}

# archive BUILD_DIR ROOT TAG OUTPUT
archive() {
  local build=$1 root=$2 tag=$3 output=$4 image layer config created version
  created=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)
  version=$("$build/bin/cistern-operator" --version | head -n 1)
  image=$scratch/image
  mkdir "$image"
  pack "$scratch/layer.tar" "$root" .
  layer=$(sha256 "$scratch/layer.tar")
  mv "$scratch/layer.tar" "$image/$layer.tar"
  cat >"$scratch/config.json" <<END
{"architecture":"$(architecture)","config":{"Entrypoint":["/usr/bin/cistern-operator"],"Env":["PATH=/usr/bin"],"Labels":{"org.opencontainers.image.title":"cistern","org.opencontainers.image.version":"$version"},"User":"$user:$user","WorkingDir":"/"},"created":"$created","history":[{"created":"$created","created_by":"cmake/image.sh"}],"os":"linux","rootfs":{"diff_ids":["sha256:$layer"],"type":"layers"}}
END
  config=$(sha256 "$scratch/config.json")
  mv "$scratch/config.json" "$image/$config.json"
  printf '[{"Config":"%s.json","Layers":["%s.tar"],"RepoTags":["%s"]}]\n' "$config" "$layer" "$tag" >"$image/manifest.json"
  # Written whole or not at all: others may be waiting for the file.
  mkdir -p "$(dirname "$output")"
  pack "$scratch/archive.tar" "$image" manifest.json "$config.json" "$layer.tar"
  cp "$scratch/archive.tar" "$output.part"
  mv "$output.part" "$output"
}

root='' tag=cistern.dev/cistern:dev
while [[ ${1:-} == --* ]]; do
  case $1 in
    --root) root=${2:?--root needs a folder} && shift ;;
    --tag) tag=${2:?--tag needs NAME:TAG} && shift ;;
    *) usage ;;
  esac
  shift
done

if [[ -n $root ]]; then
  (($# == 1)) || usage
  if [[ -n $(ls -A "$root" 2>/dev/null) ]]; then
    echo "image.sh: $root is not empty" >&2
    exit 1
  fi
  assemble "$1" "$root"
else
  (($# == 2)) || usage
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  assemble "$1" "$scratch/root"
  archive "$1" "$scratch/root" "$tag" "$2"
fi
