#!/bin/sh
# Builds our images from the Dockerfile with buildah, without a daemon or a registry, and loads them into a tier 3 cluster.
# Usage: images.sh build [--prebuilt] [TARGET...]     dask-native/TARGET:VERSION; default: operator scheduler worker (root)
#        images.sh load STATE [TARGET...]
# --prebuilt takes the programs of build/ instead of compiling them again. Certificates of the machine are seen while packages are fetched.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

die() { echo "images.sh: $*" >&2; exit 1; }
usage() { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }

[ $# -ge 1 ] || usage
action=$1 && shift
cd "$here/../.."
version=$(sed -n 's/^project(.* VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
[ "$(id -u)" = 0 ] || die "images need root"
command -v buildah >/dev/null || die "buildah is missing: apt-get install buildah"

build() {
  programs=build
  [ "${1:-}" = --prebuilt ] && programs=prebuilt && shift
  [ $# -gt 0 ] || set -- operator scheduler worker
  if [ $programs = prebuilt ]; then
    rm -rf build/image
    for component in python operator; do
      cmake --install build --component $component --prefix build/image --strip >/dev/null || die "cmake --install failed: run scripts/build release first"
    done
  fi
  "$here/base.sh"
  for target; do
    echo "image dask-native/$target:$version" >&2
    buildah bud --quiet --isolation chroot --pull-never --network host --layers \
      --volume /etc/ssl/certs/ca-certificates.crt:/run/certificates.crt:ro --build-arg PIP_CERT=/run/certificates.crt \
      --build-arg BASE=docker.io/library/debian:12 --build-arg PROGRAMS=$programs \
      --target "$target" --tag "docker.io/dask-native/$target:$version" . >/dev/null
  done
}

load() { # STATE TARGET...
  state=$1 && shift
  [ $# -gt 0 ] || set -- operator scheduler worker
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for target; do
    buildah push --quiet "docker.io/dask-native/$target:$version" "docker-archive:$work/$target.tar:docker.io/dask-native/$target:$version"
    "$here/image.sh" load "$work/$target.tar" "$state"
    rm "$work/$target.tar"
  done
}

case $action in
  build | load) $action "$@" ;;
  *) usage ;;
esac
