# shellcheck shell=bash disable=SC2154 # context, cache, values: set by ../cluster
# A cluster that exists already, by the name of its kube context. It is never started, changed or ended here.

kubeconfig=$cache/context.kubeconfig

provider_check() {
  local tool
  [ -n "${SSEFLEET_CONTEXT:-}" ] || die "set SSEFLEET_CONTEXT to one of the contexts of \`kubectl config get-contexts\`"
  for tool in kubectl helm; do have "$tool" || die "$tool is not installed"; done
}

provider_up() {
  # Just that context: the user's own current one stays what it is, and no test can stray to another.
  (umask 077; kubectl config view --raw --minify --flatten --context="$SSEFLEET_CONTEXT" >"$kubeconfig") ||
    die "there is no context $SSEFLEET_CONTEXT; see \`kubectl config get-contexts\`"
  KUBECONFIG=$kubeconfig kubectl get --raw /readyz >/dev/null || die "the cluster of $SSEFLEET_CONTEXT does not answer"
  say "the cluster of $SSEFLEET_CONTEXT answers"
}

provider_env() {
  [ -e "$kubeconfig" ] || die "not up: run tests/cluster/cluster up first"
  export_line KUBECONFIG "$kubeconfig"
  # Only who runs the cluster knows its ingress controller: what is set already is passed on.
  export_line SSEFLEET_INGRESS_CLASS "${SSEFLEET_INGRESS_CLASS:-}"
  export_line SSEFLEET_INGRESS_CONTROLLER "${SSEFLEET_INGRESS_CONTROLLER:-}"
  export_line SSEFLEET_INGRESS_ADDRESS "${SSEFLEET_INGRESS_ADDRESS:-}"
  export_line SSEFLEET_GATEWAY "${SSEFLEET_GATEWAY:-}"
  export_line SSEFLEET_SERVICES port-forward
}

provider_images() {
  local target to=${SSEFLEET_IMAGE_REPOSITORY:-}
  [ -n "$to" ] || die "set SSEFLEET_IMAGE_REPOSITORY to where the images may be pushed and the cluster can pull them from"
  have docker || die "building and pushing images needs docker"
  for target in sse-node sse-operator; do
    if ! docker manifest inspect "$to/$target:$1" >/dev/null 2>&1; then
      step "$target" docker build --target "$target" --tag "$to/$target:$1" "$context"
      step "push of $target" docker push "$to/$target:$1"
    fi
  done
  values_file "$to/sse-operator" "$to/sse-node" "$1" IfNotPresent
}

provider_down() {
  rm -f "$kubeconfig" "$values"
  say "the cluster of the context is left as it is"
}

provider_status() {
  if [ -e "$kubeconfig" ]; then KUBECONFIG=$kubeconfig kubectl get nodes; else echo "not up"; fi
}
