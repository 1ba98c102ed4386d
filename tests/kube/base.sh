#!/bin/sh
# Makes the image that the Dockerfile begins with, docker.io/library/debian:12, from Debian's packages: there is no registry here.
# Usage: base.sh     (root; needs buildah and debootstrap; does nothing when the image is there)
set -eu

die() { echo "base.sh: $*" >&2; exit 1; }
image=docker.io/library/debian:12
[ "$(id -u)" = 0 ] || die "making an image needs root"
for program in buildah debootstrap; do command -v $program >/dev/null || die "$program is missing: apt-get install $program"; done
buildah images -q $image >/dev/null 2>&1 && exit 0

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
debootstrap --variant=minbase bookworm "$work/tree" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; die "debootstrap failed"; }
rm -rf "$work"/tree/var/cache/apt/archives/*.deb "$work"/tree/var/lib/apt/lists/*
container=$(buildah from scratch)
buildah add --quiet "$container" "$work/tree" / >/dev/null
buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" $image >/dev/null
