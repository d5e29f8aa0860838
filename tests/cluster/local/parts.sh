# shellcheck shell=bash disable=SC2154,SC2164 # here, cache: set by ../cluster; `step` runs all this with `set -e`
# What the cluster is made of. Each part is built once into $parts/NAME-KEY, where KEY is a hash of its recipe (the
# function make_NAME) and of the versions and files it is given; an older one is then removed.
# A *.tar in a part is an image archive, for the nodes.

kubernetes=v1.36.2 coredns=v1.15.0 helm=v4.2.3 local_path=v0.0.30 traefik=v3.7.13 gateway_api=v1.6.1
parts=$cache/parts

packages=(buildah busybox-static ca-certificates conntrack containerd containernetworking-plugins curl debootstrap
  etcd-server iproute2 iptables jq nftables nginx openssl procps redis-server runc util-linux)

install_packages() {
  local wanted package
  for package in "${packages[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || wanted+=" $package"; done
  if [ -z "${wanted:-}" ]; then return; fi
  # shellcheck disable=SC2086 # a list of words
  step "Debian packages:$wanted" apt_install $wanted
}
apt_install() {
  # Debian starts a service as it installs it, unless a policy forbids that.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# part NAME INPUT...: an input is a version, or a folder
part_dir() {
  local name=$1 input
  shift
  echo "$parts/$name-$({
    declare -f "make_$name"
    for input in "$@"; do
      if [ -d "$input" ]; then (cd "$input" && find . -type f -exec sha256sum {} + | LC_ALL=C sort); else echo "$input"; fi
    done
  } | short_hash)"
}
part() {
  local name=$1 dir
  dir=$(part_dir "$@")
  shift
  if [ ! -d "$dir" ]; then
    rm -rf "$parts/$name"-*.part
    mkdir -p "$dir.part"
    step "$name" "make_$name" "$dir.part" "$@"
    rm -rf "$parts/$name"-????????????
    mv "$dir.part" "$dir"
  fi
  find "$dir" -maxdepth 1 -type f -executable -exec ln -sf -t "$bin" {} +
  part_images+=("$dir"/*.tar)
}

prepare_parts() {
  shopt -s nullglob
  part_images=()
  mkdir -p "$parts" "$bin"
}
all_parts() {
  prepare_parts
  part kubernetes "$kubernetes" "$here/local/kube" # first: its image of pause is that which a node needs first
  part coredns "$coredns"
  part local_path "$local_path"
  part traefik_program "$traefik" "$here/local/traefik"
  part traefik "$(traefik_path)"
  part helm "$helm"
  part redis "$(dpkg-query -W -f '${Version}' redis-server)"
  part valkey 8
  part nginx "$(dpkg-query -W -f '${Version}' nginx)"
  part crds "$gateway_api" "$traefik"
}

# apply_crds: the kinds that Traefik must find when it starts; needs Go, as their modules are where they come from
apply_crds() { kubectl apply --server-side --force-conflicts -f "$(part_dir crds "$gateway_api" "$traefik")"; }

# traefik_path: where the program Traefik is, once its part is built
traefik_path() { echo "$(part_dir traefik_program "$traefik" "$here/local/traefik")/traefik"; }

export GOFLAGS='-trimpath -buildvcs=false' CGO_ENABLED=0

make_kubernetes() { # OUT VERSION SOURCE
  local name v=k8s.io/component-base/version
  cd "$3"
  go build -o "$1/kube" -ldflags="-s -w -X $v.gitVersion=$2 -X $v.gitMajor=1 -X $v.gitMinor=$(cut -d. -f2 <<<"$2") \
    -X k8s.io/client-go/pkg/version.gitVersion=$2" .
  go build -o "$1/pause" -ldflags='-s -w' ./pause
  for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln "$1/kube" "$1/$name"
  done
  oci_image pause "$1" "$1/pause"
}
make_coredns() { # OUT VERSION
  GOBIN=$1/scratch go install -ldflags='-s -w' "github.com/coredns/coredns@$2"
  oci_image coredns "$1" "$1/scratch/coredns"
  rm -r "$1/scratch"
}
make_local_path() { # OUT VERSION
  GOBIN=$1/scratch go install -ldflags='-s -w' "github.com/rancher/local-path-provisioner@$2"
  oci_image local-path-provisioner "$1" "$1/scratch/local-path-provisioner"
  rm -r "$1/scratch"
}
make_helm() { # OUT VERSION
  GOBIN=$1 go install -ldflags='-s -w' "helm.sh/helm/v4/cmd/helm@$2"
}
make_traefik() { # OUT PROGRAM
  oci_image traefik "$1" "$2"
}
# Needs Go alone, as `cluster traefik` does without a cluster.
make_traefik_program() { # OUT VERSION SOURCE
  local lego scratch=$1/scratch
  # Its ACME library brings the clients of 220 DNS services; we build against a copy with none (local/traefik/no-dns).
  cp -r "$3" "$scratch"
  cd "$scratch"
  lego=$(sed -n 's|.*\(github.com/go-acme/lego/v5\) \(v[0-9.]*\).*|\1@\2|p' go.mod)
  lego=$(cd / && go mod download -json "$lego" | sed -n 's/.*"Dir": "\(.*\)",*$/\1/p')
  cp -r "$lego" lego
  chmod -R u+w lego
  rm -rf lego/providers lego/cmd lego/e2e lego/main.go
  mkdir -p lego/providers
  mv no-dns lego/providers/dns
  go build -o "$1/traefik" -ldflags="-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=$2" \
    github.com/traefik/traefik/v3/cmd/traefik
  cd /
  rm -r "$scratch"
}
# module_dir MODULE@VERSION: where its files are
module_dir() { (cd / && go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",*$/\1/p'); }
make_crds() { # OUT GATEWAY-API TRAEFIK
  local gateway traefik kind
  gateway=$(module_dir "sigs.k8s.io/gateway-api@$2")/config/crd/standard
  traefik=$(module_dir "github.com/traefik/traefik/v3@$3")/docs/content/reference/dynamic-configuration
  for kind in gatewayclasses gateways httproutes grpcroutes listenersets referencegrants backendtlspolicies tlsroutes tcproutes udproutes; do
    cp "$gateway/gateway.networking.k8s.io_$kind.yaml" "$1/"
  done
  cp "$traefik/kubernetes-crd-definition-v1.yml" "$1/traefik.yaml"
  chmod -x "$1"/*
}
# nginx without the rest of Debian, for any user: the program with its libraries, and busybox for a shell.
make_nginx() { # OUT VERSION
  local root=$1/scratch/files file
  mkdir -p "$root"/{bin,etc,usr/sbin}
  mkdir -m 1777 "$root/tmp"
  cp /bin/busybox "$root/bin/"
  for file in $(busybox --list | grep -vx busybox); do ln -s busybox "$root/bin/$file"; done
  cp /usr/sbin/nginx "$root/usr/sbin/"
  ldd /usr/sbin/nginx | grep -o '/[^ :]*' | sort -u | while read -r file; do cp -L --parents "$file" "$root"; done
  printf 'root:x:0:0:root:/:/bin/sh\nnginx:x:101:101:nginx:/tmp:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnginx:x:101:\n' >"$root/etc/group"
  buildah_build "$1/nginx.tar" localhost/nginx:1 -f - "$root" <<'D'
FROM scratch
COPY . /
ENV PATH=/usr/sbin:/usr/bin:/bin
USER 101:101
CMD ["nginx", "-e", "stderr", "-g", "daemon off;"]
D
  rm -r "$1/scratch"
}
# Redis without the rest of Debian: its two programs with their libraries, and busybox for a shell.
make_redis() { # OUT VERSION
  redis_image "$1/redis.tar" localhost/redis:7 "$1/scratch" /usr/bin/redis-server /usr/bin/redis-cli
  rm -r "$1/scratch"
}
# Valkey, which the chart names by default. Debian 12 has it among its backports: they are looked at from apart, as nothing
# of them is to be installed here.
make_valkey() { # OUT MAJOR-VERSION
  local scratch=$1/scratch site apt=(apt-get -qq)
  mkdir -p "$scratch"/{debs/partial,lists/partial,unpacked}
  if ! apt-cache show valkey-server >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # the format is of apt-get
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | head -n 1)
    echo "deb $site $(. /etc/os-release && echo "$VERSION_CODENAME")-backports main" >"$scratch/sources.list"
    apt+=(-o Dir::Etc::sourcelist="$scratch/sources.list" -o Dir::Etc::sourceparts=/dev/null
      -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch/debs")
    "${apt[@]}" update
  fi
  cd "$scratch/debs"
  "${apt[@]}" -o APT::Sandbox::User=root download "valkey-server=$2.*" "valkey-tools=$2.*"
  local deb
  for deb in *.deb; do dpkg-deb -x "$deb" ../unpacked; done
  cd /
  redis_image "$1/valkey.tar" "localhost/valkey:$2" "$scratch" "$scratch"/unpacked/usr/bin/valkey-{server,cli}
  rm -r "$scratch"
}
redis_image() { # ARCHIVE NAME SCRATCH SERVER CLI: both under the names that Valkey's own image has for them, too
  local root=$3/files file
  mkdir -p "$root"/{bin,data,etc,usr/bin}
  mkdir -m 1777 "$root/tmp"
  chown 999:999 "$root/data"
  cp /bin/busybox "$root/bin/"
  for file in $(busybox --list | grep -vx busybox); do ln -s busybox "$root/bin/$file"; done
  cp -L "$4" "$root/usr/bin/redis-server"
  cp -L "$5" "$root/usr/bin/redis-cli"
  ldd "$4" "$5" | grep -o '/[^ :]*\.so[^ ]*' | sort -u | while read -r file; do cp -L --parents "$file" "$root"; done
  printf 'root:x:0:0:root:/:/bin/sh\nredis:x:999:999:redis:/data:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nredis:x:999:\n' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  buildah_build "$1" "$2" -f - "$root" <<'D'
FROM scratch
COPY . /
ENV PATH=/usr/bin:/bin
WORKDIR /data
USER 999:999
CMD ["redis-server"]
D
}
