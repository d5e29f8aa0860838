# shellcheck shell=bash disable=SC2154 # here, context, cache, values: set by ../cluster
# A cluster in containers of a Docker engine, by kind. kind brings DNS and a default StorageClass; Traefik is ours.

kubeconfig=$cache/kind.kubeconfig
ingress=127.0.0.1:18080 # → port 30080 of the first node, a NodePort of Traefik's Service
traefik_image=docker.io/library/traefik:v3.7

provider_check() {
  local tool
  for tool in kind docker kubectl helm go; do have "$tool" || die "$tool is not installed"; done
  docker info >/dev/null 2>&1 || die "no Docker engine answers: start one, or set SSEFLEET_CLUSTER=local"
}

exists() { kind get clusters 2>/dev/null | grep -qx ssefleet; }

create() {
  kind create cluster --name ssefleet --kubeconfig "$kubeconfig" --wait 3m --config=- <<Y
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraPortMappings: [{containerPort: 30080, hostPort: ${ingress#*:}, listenAddress: ${ingress%:*}}]
- role: worker
Y
}

provider_up() {
  if exists; then
    kind export kubeconfig --name ssefleet --kubeconfig "$kubeconfig"
  else
    step "kind cluster of two nodes" create
  fi
  export KUBECONFIG=$kubeconfig
  prepare_parts
  part crds "$gateway_api" "$traefik"
  step "kinds of the Gateway API and Traefik" apply_crds
  sed -e "s|image: localhost/traefik:local|image: $traefik_image|" -e 's|198\.18\.128\.80|127.0.0.1|' \
    -e 's|^  clusterIP: .*|  type: NodePort|' -e 's|ports: \[{name: web, port: 80}\]|ports: [{name: web, port: 80, nodePort: 30080}]|' \
    "$here/addons/traefik.yaml" | kubectl apply -f - >/dev/null
  step "Traefik" kubectl -n kube-system rollout status deploy/traefik --timeout=3m
}

provider_env() {
  [ -e "$kubeconfig" ] || die "not up: run tests/cluster/cluster up first"
  export_line KUBECONFIG "$kubeconfig"
  export_line SSEFLEET_INGRESS_CLASS traefik
  export_line SSEFLEET_INGRESS_CONTROLLER Traefik
  export_line SSEFLEET_INGRESS_ADDRESS "http://$ingress"
  export_line SSEFLEET_GATEWAY kube-system/traefik
  export_line SSEFLEET_SERVICES port-forward
}

provider_images() {
  local target
  exists || die "not up: run tests/cluster/cluster up first"
  for target in sse-node sse-operator; do
    if ! docker image inspect "localhost/$target:$1" >/dev/null 2>&1; then
      step "$target" docker build --target "$target" --tag "localhost/$target:$1" "$context"
    fi
  done
  step "images to the nodes" kind load docker-image --name ssefleet "localhost/sse-node:$1" "localhost/sse-operator:$1"
  values_file localhost/sse-operator localhost/sse-node "$1" IfNotPresent
}

provider_down() {
  if exists; then step "end of the kind cluster" kind delete cluster --name ssefleet --kubeconfig "$kubeconfig"; fi
  rm -f "$kubeconfig" "$values"
}

provider_status() {
  if exists; then KUBECONFIG=$kubeconfig kubectl get nodes; else echo "not up"; fi
}
