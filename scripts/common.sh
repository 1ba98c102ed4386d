# Shared by the scripts: the repository as working directory, and one line of progress per step.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What one checkout compiled serves the next one, wherever it lies.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true

export NINJA_STATUS="[%f/%t %es] "
python=.venv/bin/python

# Prints a step with the time since the start.
step() { printf '\n== %s  (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# Ends the script: what happened and what to do.
fail() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}
