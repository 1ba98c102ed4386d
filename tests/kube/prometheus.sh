#!/bin/sh
# Puts Debian's prometheus and promtool into the cache folder, without installing the package (which would start a service).
# Usage: prometheus.sh [CACHE]     CACHE as in build.sh; a program of the PATH is used where there is one
set -eu

die() { echo "prometheus.sh: $*" >&2; exit 1; }
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/dask-native/kube}
mkdir -p "$cache/bin" && cache=$(cd "$cache" && pwd)

[ -x "$cache/bin/promtool" ] && [ -x "$cache/bin/prometheus" ] && exit 0
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
  ln -sf "$(command -v prometheus)" "$(command -v promtool)" "$cache/bin/"
  exit 0
fi
command -v dpkg-deb >/dev/null || die "this is not Debian: put prometheus and promtool on the PATH"
work=$(mktemp -d "$cache/prometheus.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -o APT::Sandbox::User=root download -q prometheus >/dev/null) || die "apt-get download prometheus failed: run apt-get update, or install the package prometheus"
dpkg-deb -x "$work"/prometheus_*.deb "$work/tree"
mv "$work/tree/usr/bin/prometheus" "$work/tree/usr/bin/promtool" "$cache/bin/"
