# shellcheck shell=bash disable=SC2034,SC2154 # state, certificate …: shared with pki.sh; bin, cache, repo: set by ../cluster
# An API server and nothing else: etcd and kube-apiserver on loopback, at ports of their own, in a folder that goes with
# them. It needs no root and none of the cluster's addresses, so it runs beside the cluster, and several beside each
# other. Nothing in it moves by itself: a Deployment stays without pods, and what is deleted takes no children along.

apiserver_built() { [ -d "$(part_dir kubernetes "$kubernetes" "$here/local/kube")" ] && [ -d "$(part_dir helm "$helm")" ]; }
apiserver_build() { # its parts are those of the local cluster
  install_packages
  prepare_parts
  part kubernetes "$kubernetes" "$here/local/kube"
  part helm "$helm"
}

# apiserver_run: starts it, says where it is, and ends it when standard input ends (a test's does when that is killed)
apiserver_run() {
  local etcd_port api_port
  PATH=$(part_dir kubernetes "$kubernetes" "$here/local/kube"):$(part_dir helm "$helm"):$PATH
  have etcd || die "etcd is not installed: apt-get install etcd-server brings it"
  state=$(mktemp -d "${TMPDIR:-/tmp}/ssefleet-apiserver-XXXXXX")
  hub_ip=127.0.0.1
  . "$here/local/pki.sh"
  . "$here/local/control-plane.sh"
  etcd_port=$(free_port)
  api_port=$(free_port)
  api_url=https://127.0.0.1:$api_port
  apiserver_pki 2>"$state/pki.log"
  apiserver_start etcd etcd --data-dir="$state/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="http://127.0.0.1:$etcd_port" --advertise-client-urls="http://127.0.0.1:$etcd_port" \
    --listen-peer-urls="http://127.0.0.1:$(free_port)"
  # Without kubelets no pod asks for a token, and without a controller no namespace has a default account.
  apiserver_start kube-apiserver kube-apiserver \
    --etcd-servers="http://127.0.0.1:$etcd_port" --bind-address=127.0.0.1 --secure-port="$api_port" \
    --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --service-cluster-ip-range=198.19.0.0/16 \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount --profiling=false \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/service-accounts.pub" \
    --service-account-signing-key-file="$pki/service-accounts.key"
  export KUBECONFIG=$state/admin.kubeconfig
  await 120 "kube-apiserver (its log: $state/kube-apiserver.log)" apiserver_ready
  kubectl apply --server-side -f "$repo/crds/generated/ssestreams.yaml" >/dev/null
  kubectl create namespace ssefleet-system >/dev/null
  # The operator's own rights, so that a missing one shows.
  helm template ssefleet "$repo/charts/ssefleet" --namespace ssefleet-system --set crds.install=false |
    kubectl apply -f - >/dev/null
  kubectl wait --for=condition=Established crd/ssestreams.ssefleet.dev --timeout=60s >/dev/null
  echo "$state"
  while read -r _; do :; done # until the end of standard input; unlike `cat`, this heeds signals
}

apiserver_pki() {
  pki=$state/pki
  authority
  certificate apiserver /CN=kube-apiserver serverAuth IP:127.0.0.1
  certificate webhook /CN=webhook serverAuth IP:127.0.0.1 # for one that a test serves
  client admin /O=system:masters/CN=admin
  client operator /CN=system:serviceaccount:ssefleet-system:ssefleet
  service_account_keys
}

apiserver_start() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$state/$name.log" 2>&1 </dev/null &
  apiserver_pids+=($!)
}
apiserver_pids=()

apiserver_ready() { # and not waited for in vain when it has ended
  local pid
  for pid in "${apiserver_pids[@]}"; do
    kill -0 "$pid" || { tail -n 5 "$state"/*.log >&2; die "the API server does not start"; }
  done
  kubectl get --raw /readyz
}

apiserver_end() {
  if ((${#apiserver_pids[@]})); then
    kill -9 "${apiserver_pids[@]}" 2>/dev/null || true
    wait "${apiserver_pids[@]}" 2>/dev/null || true
    rm -rf "$state"
  fi
}

# free_port: one below those that the kernel gives away, to which nothing listens now
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  done
  echo "$port"
}
