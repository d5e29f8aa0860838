# shellcheck shell=bash disable=SC2154 # here, cache, repo: set by ../cluster
# A real Kubernetes in namespaces of this machine, without Docker, registry or virtual machine: ../local/*.sh.

state=$cache/cluster # all of a running cluster; removed by `down`
bin=$cache/bin       # links into the parts
images=$cache/images # archives of sse-node and sse-operator
export PATH=$bin:$PATH:/usr/sbin:/sbin
export KUBECONFIG=$state/admin.kubeconfig

. "$here/local/network.sh"
. "$here/local/host.sh"
. "$here/local/cgroups.sh"
. "$here/local/images.sh"
. "$here/local/parts.sh"
. "$here/local/pki.sh"
. "$here/local/control-plane.sh"
. "$here/local/node.sh"
. "$here/local/envoy-gateway.sh"

provider_check() {
  local other="or set SSEFLEET_CONTEXT to a cluster that you have"
  [ "$(uname -s)" = Linux ] || die "the local cluster needs Linux; install Docker and kind, $other"
  [ "$(id -u)" = 0 ] || die "the local cluster needs root, as it makes namespaces and mounts; run it as root, install Docker and kind, $other"
  { have apt-get && grep -q '^VERSION_ID="12"' /etc/os-release; } || die "the local cluster is made from packages of Debian 12; install Docker and kind, $other"
  case $(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) in
    go1.26*) ;;
    # Built with Go 1.27, Kubernetes 1.36 has a kubectl whose apply fails.
    *) die "the local cluster builds Kubernetes 1.36, which needs Go 1.26 in PATH; install it from go.dev/dl, $other" ;;
  esac
  unshare --net --mount --pid --fork --mount-proc true 2>/dev/null ||
    die "this machine does not let us make namespaces (inside a container, that takes a privileged one); use another, $other"
  case $cache/ in
    /run/* | /var/run/* | /var/lib/* | /var/log/*) die "SSEFLEET_CACHE is $cache, but each node has /run, /var/lib and /var/log of its own: choose another folder" ;;
  esac
}

running() { [ -d "$state" ] && host_alive hub; }
must_run() { running || die "not up: run tests/cluster/cluster up first"; }

provider_up() {
  local addon
  if ! running && [ -n "$(ip route show root $range)" ]; then
    die "another cluster or program on this machine uses addresses of $range (see ip route show root $range); end that first"
  fi
  if ! compgen -G "$parts/kubernetes-*" >/dev/null; then
    say "The first time, all of Kubernetes is built from source: some 17 minutes on two cores. It is kept in $cache."
  fi
  install_packages
  all_parts
  modprobe br_netfilter 2>/dev/null || true # where it is no module, it is in the kernel
  mkdir -p "$state"
  step "keys and certificates" pki_up
  step "control plane" control_plane_up
  step "kinds of the Gateway API and Traefik" apply_crds
  kubectl apply -f "$here/addons" >/dev/null
  step "nodes ${nodes[*]}" nodes_up
  for addon in coredns local-path traefik; do
    step "$addon" kubectl -n kube-system rollout status "deploy/$addon" --timeout=120s
  done
}
nodes_up() {
  local n pids=()
  shopt -s nullglob
  for n in "${nodes[@]}"; do
    (set -e; node_up "$n" "${part_images[@]}" "$images"/*.tar) &
    pids+=($!)
  done
  for n in "${pids[@]}"; do wait "$n"; done
}

provider_images() {
  local n
  must_run
  app_images "$1"
  for n in "${nodes[@]}"; do step "images to node $n" node_load "$n" "${archives[@]}"; done
  # There is nowhere to pull from: Never says at once when an image is missing.
  values_file localhost/sse-operator localhost/sse-node "$1" Never localhost/valkey:8 localhost/nginx:1
}

provider_env() {
  must_run
  export_line KUBECONFIG "$KUBECONFIG"
  # shellcheck disable=SC2016 # the caller's PATH
  printf 'export PATH=%q:"$PATH"\n' "$bin"
  export_line SSEFLEET_INGRESS_CLASS traefik
  export_line SSEFLEET_INGRESS_CONTROLLER Traefik
  export_line SSEFLEET_INGRESS_ADDRESS "http://$ingress_ip"
  export_line SSEFLEET_GATEWAY kube-system/traefik
  export_line SSEFLEET_REDIS_7_IMAGE localhost/redis:7
  export_line SSEFLEET_SERVICES direct
  if envoy_gateway_runs; then export_line SSEFLEET_ENVOY_ADDRESS "http://$envoy_ip"; fi
}

provider_status() {
  running || { echo "not up"; return; }
  kubectl get nodes
  kubectl get pods -A
}

provider_node() { # N COMMAND...
  must_run
  host_alive "node$1" || die "there is no node $1"
  host_run "node$1" "${@:2}"
}

provider_down() {
  local n
  if [ -d "$state" ]; then
    for n in "${nodes[@]}"; do node_down "$n"; done
    host_down hub
    network_down
    undelegate
    rm -rf "$state"
    say "the cluster is down"
  fi
  if [ -n "$wipe" ]; then
    rm -rf "$parts" "$bin" "$images" "$storage" "$values" "$cache/log"
    say "its cache is removed; Debian's packages and Go's own caches stay"
  fi
}
