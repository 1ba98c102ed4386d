#!/bin/sh
# Puts the Python package dask-kubernetes into a virtual environment of the cache folder, and prints that environment's folder: the unmodified
# KubeCluster for tests with real pods, and the Python operator that compare.py measures beside ours.
# Usage: dask_kubernetes.sh [CACHE]     CACHE as in build.sh
set -eu
DASK_KUBERNETES=2026.3.0
DISTRIBUTED=2026.8.0

cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/dask-native/kube}
mkdir -p "$cache" && cache=$(cd "$cache" && pwd)
venv=$cache/dask-kubernetes stamp="$DASK_KUBERNETES $DISTRIBUTED"
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$stamp" ]; then
  python3 -m venv --clear "$venv"
  # Its controller imports pkg_resources, which later releases of setuptools no longer have.
  "$venv/bin/pip" install --quiet --disable-pip-version-check "dask-kubernetes==$DASK_KUBERNETES" "distributed==$DISTRIBUTED" 'setuptools<81' >&2
  echo "$stamp" >"$venv/.installed"
fi
echo "$venv"
