#!/bin/sh
# Brings up a Kubernetes cluster on this machine, without Docker and without any traffic that leaves the machine.
# Usage: up.sh [--tier 1|2|3] [--cache CACHE] [--nodes N] STATE
#   tier 1  etcd, kube-apiserver, kube-controller-manager: objects, watches, owners; pods stay Pending
#   tier 2  + kube-scheduler, kwok and N fake nodes (default 3): pods become Running, and run nothing
#   tier 3  + containerd, kubelet, kube-proxy, CoreDNS: real pods on one node in a network namespace (root, one per machine)
# Prints the path of a kubeconfig (contexts: admin, and operator, which has no rights until a test grants them).
# STATE keeps data, logs and the port: running it again restarts what has died. CACHE is the folder that build.sh filled.
# KUBE_APISERVER_FLAGS, KUBE_CONTROLLER_MANAGER_FLAGS, KUBE_SCHEDULER_FLAGS add flags.
# shellcheck disable=SC2086  # $enter and the flags are lists of words
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/process.sh"

usage() { sed -n '3p' "$0" | sed 's/^# //' >&2; exit 2; }
die() { echo "up.sh: $*" >&2; exit 1; }

tier=1 nodes=3 state='' cache=${XDG_CACHE_HOME:-$HOME/.cache}/dask-native/kube
while [ $# -gt 0 ]; do
  case $1 in
    --tier) tier=${2:?} && shift 2 ;;
    --cache) cache=${2:?} && shift 2 ;;
    --nodes) nodes=${2:?} && shift 2 ;;
    -*) usage ;;
    *) state=$1 && shift ;;
  esac
done
[ -n "$state" ] || usage
bin=$(cd "$cache" && pwd)/bin
[ -x "$bin/kube-apiserver" ] || die "no programs in $bin: run build.sh --tier $tier first"
mkdir -p "$state"/run "$state"/log "$state"/pki
cd "$state"
chmod 700 pki
state=$PWD

# Waits until the command succeeds, as long as the program runs, at most a minute; otherwise stops the cluster.
await() { # PROGRAM COMMAND...
  program=$1 && shift
  deadline=$(($(date +%s) + 60))
  until "$@" >/dev/null 2>&1; do
    if ! is_running "$program" || [ "$(date +%s)" -gt $deadline ]; then
      tail -n 5 "log/$program.log" >&2
      "$here/down.sh" "$state"
      die "$program is not ready: see $state/log/$program.log"
    fi
    sleep .1
  done
}

kubectl() { "$bin/kubectl" --kubeconfig "$state/kubeconfig" "$@"; }

# --- network -----------------------------------------------------------------------------------------------------------
# Tier 3 lives in a namespace that has no route out; the machine reaches its pods and Services through the veth pair dk0.
host_ip=198.18.0.1 node_ip=198.18.0.2 all=198.18.0.0/15 pods=198.18.4.0/22 services=198.19.0.0/16 dns=198.18.0.2 fake_pods=198.18.128.0/17
netns=dask-kube enter=''
[ -f tier ] && [ "$(cat tier)" = 3 ] && [ "$tier" != 3 ] && die "$state is a tier 3 cluster"
[ -f tier ] && [ "$(cat tier)" != 3 ] && [ "$tier" = 3 ] && die "$state is a tier $(cat tier) cluster"

free_port() { # below the ports that the kernel hands out itself
  p=$((10000 + $$ % 20000))
  while grep -q "$(printf ':%04X ' "$p")" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do p=$((p + 1)); done
  echo "$p"
}

if [ "$tier" = 3 ]; then
  [ "$(id -u)" = 0 ] || die "tier 3 needs root"
  if [ ! -e /run/netns/$netns ]; then
    echo "$state" >/run/netns-$netns.owner
    ip netns add $netns
    ip link add dk0 type veth peer name eth0 netns $netns
    ip address add $host_ip/30 dev dk0 && ip link set dk0 up
    ip route add $all via $node_ip dev dk0
    ip -n $netns address add $node_ip/30 dev eth0 && ip -n $netns link set eth0 up && ip -n $netns link set lo up
    nsenter --net=/run/netns/$netns sysctl -qw net.ipv4.ip_forward=1
  fi
  [ "$(cat /run/netns-$netns.owner)" = "$state" ] || die "the tier 3 cluster of $(cat /run/netns-$netns.owner) is up"
  # `ip netns exec` would hide the cgroups by mounting its own /sys.
  enter="nsenter --net=/run/netns/$netns"
  address=$node_ip port=6443 endpoints=lease
else
  [ -f port ] || free_port >port
  address=127.0.0.1 port=$(cat port) endpoints=none
fi
[ -f tier ] && [ "$(cat tier)" -gt "$tier" ] || echo "$tier" >tier

# --- control plane -----------------------------------------------------------------------------------------------------
if [ ! -f pki/tokens.csv ]; then
  openssl genrsa -out pki/sa.key 2048 2>/dev/null
  openssl rsa -in pki/sa.key -pubout -out pki/sa.pub 2>/dev/null
  echo "$(openssl rand -hex 16),admin,1,\"system:masters\"" >pki/tokens.csv
  echo "$(openssl rand -hex 16),operator,2" >>pki/tokens.csv
fi
token() { sed -n "s/,$1,.*//p" pki/tokens.csv; }

# Sockets instead of ports for etcd; relative, because a socket's path has at most 107 bytes.
# The advertised addresses must have ports, and nothing uses them.
is_running etcd || rm -f etcd.sock peer.sock
start etcd "$bin/etcd" --data-dir etcd --unsafe-no-fsync --log-level warn --listen-client-urls unix://etcd.sock \
  --listen-peer-urls unix://peer.sock --advertise-client-urls http://127.0.0.1:2379
await etcd [ -S etcd.sock ]

start kube-apiserver $enter "$bin/kube-apiserver" --etcd-servers unix://etcd.sock \
  --bind-address $address --advertise-address $address --secure-port "$port" --cert-dir pki --endpoint-reconciler-type $endpoints \
  --service-cluster-ip-range $services --allow-privileged --authorization-mode RBAC --token-auth-file pki/tokens.csv \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file pki/sa.pub \
  --service-account-signing-key-file pki/sa.key --kubelet-preferred-address-types InternalIP ${KUBE_APISERVER_FLAGS:-}

await kube-apiserver [ -s pki/apiserver.crt ]
if [ ! -f kubeconfig ]; then
  cat >kubeconfig.new <<END
apiVersion: v1
kind: Config
current-context: admin
clusters:
- name: local
  cluster: {server: "https://$address:$port", certificate-authority-data: $(base64 -w0 pki/apiserver.crt)}
users:
- {name: admin, user: {token: "$(token admin)"}}
- {name: operator, user: {token: "$(token operator)"}}
contexts:
- {name: admin, context: {cluster: local, user: admin}}
- {name: operator, context: {cluster: local, user: operator}}
END
  chmod 600 kubeconfig.new && mv kubeconfig.new kubeconfig
fi

await kube-apiserver kubectl get --raw /readyz

controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,serviceaccount-token-controller
controllers=$controllers,root-ca-certificate-publisher-controller,deployment-controller,replicaset-controller,job-controller
controllers=$controllers,endpointslice-controller,endpoints-controller,disruption-controller,resourcequota-controller
controllers=$controllers,pod-garbage-collector-controller,node-lifecycle-controller,taint-eviction-controller
controllers=$controllers,horizontal-pod-autoscaler-controller,clusterrole-aggregation-controller
start kube-controller-manager $enter "$bin/kube-controller-manager" --kubeconfig kubeconfig --controllers $controllers \
  --service-account-private-key-file pki/sa.key --root-ca-file pki/apiserver.crt --leader-elect=false --secure-port 0 \
  --kube-api-qps 500 --kube-api-burst 1000 ${KUBE_CONTROLLER_MANAGER_FLAGS:-}
await kube-controller-manager kubectl get serviceaccount default

if [ "$tier" -ge 2 ]; then
    start kube-scheduler $enter "$bin/kube-scheduler" --kubeconfig kubeconfig --leader-elect=false --secure-port 0 \
    --kube-api-qps 500 --kube-api-burst 1000 ${KUBE_SCHEDULER_FLAGS:-}
fi

# --- nodes -------------------------------------------------------------------------------------------------------------
if [ "$tier" = 2 ]; then
  start kwok "$bin/kwok" --kubeconfig kubeconfig --config "$here/stages.yaml" --manage-all-nodes -v WARN \
    --node-ip 127.0.0.1 --cidr $fake_pods --node-lease-duration-seconds 40
  seq "$nodes" | sed 's/.*/{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-&"}}/' |
    kubectl apply --server-side -f - >/dev/null
  await kwok kubectl wait --for=condition=Ready --timeout=1s node --all
fi

if [ "$tier" = 3 ]; then
  mkdir -p cni containerd kubelet
  cat >cni/10-dask.conflist <<END
{"cniVersion": "1.0.0", "name": "dask", "plugins": [{"type": "ptp", "mtu": 1500,
  "ipam": {"type": "host-local", "dataDir": "$state/cni/leases", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
  cat >containerd.toml <<END
version = 2
root = "$state/containerd/root"
state = "$state/containerd/run"
[grpc]
address = "$state/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$state/cni"
END
  cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$state/containerd.sock
clusterDNS: [$dns]
clusterDomain: cluster.local
failSwapOn: false
oomScoreAdj: 0
failCgroupV1: false
enforceNodeAllocatable: []
maxPods: 250
serializeImagePulls: false
evictionHard: {memory.available: 100Mi, nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
END
  start containerd $enter containerd --config containerd.toml
  await containerd ctr --address containerd.sock version
  "$here/image.sh" pause "$bin/pause" "$state"
  start kubelet $enter "$bin/kubelet" --config kubelet.yaml --kubeconfig kubeconfig --root-dir "$state/kubelet" --cert-dir "$state/kubelet/pki" \
    --hostname-override node-1 --node-ip $node_ip
  start kube-proxy $enter "$bin/kube-proxy" --kubeconfig kubeconfig --hostname-override node-1 --proxy-mode nftables --cluster-cidr $pods \
    --bind-address $node_ip --oom-score-adj 0 --healthz-bind-address $node_ip:10256 --conntrack-max-per-core 0 \
    --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
  printf '.:53 {\n bind %s\n errors\n kubernetes cluster.local {\n  kubeconfig %s\n  ttl 1\n }\n}\n' $dns "$state/kubeconfig" >Corefile
  start coredns $enter "$bin/coredns" -conf Corefile
  await kubelet kubectl wait --for=condition=Ready --timeout=1s node/node-1
fi
echo "$state/kubeconfig"
