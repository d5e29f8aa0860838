# shellcheck shell=bash disable=SC2154 # repo, context, cache: set by ../cluster
# Images without a Docker engine and without a registry, by Debian's buildah.

storage=$cache/buildah

# In a mount namespace of its own, so that what buildah mounts ends with it; what it would leave in /var/lib and
# /var/tmp (the cache mounts of a Dockerfile among it) goes to the cache instead.
in_buildah() {
  mkdir -p "$storage/tmp"
  # shellcheck disable=SC2016 # for the inner shell
  TMPDIR=$storage/tmp unshare --mount bash -euc 'mount -t tmpfs tmpfs /var/lib; exec buildah "$@"' \
    buildah --root "$storage/root" --runroot "$storage/run" "$@"
}

# buildah_build ARCHIVE REFERENCE ARGUMENT...: an archive of docker's format, as OCI's has no HEALTHCHECK
buildah_build() {
  in_buildah bud --isolation chroot --pull-never --layers --force-rm --format docker --tag "$2" "${@:3}"
  rm -f "$1.part"
  in_buildah push "$2" "docker-archive:$1.part:$2"
  in_buildah rmi "$2"
  mv "$1.part" "$1"
}

# oci_image NAME OUT BINARY: OUT/NAME.tar, the image localhost/NAME:local of one static program
oci_image() {
  local root=$2/$1.root
  mkdir -p "$root"
  mkdir -m 1777 "$root/tmp"
  cp "$3" "$root/$1"
  printf 'FROM scratch\nCOPY . /\nENTRYPOINT ["/%s"]\n' "$1" | buildah_build "$2/$1.tar" "localhost/$1:local" -f - "$root"
  rm -r "$root"
}

# The Dockerfile's base, made on first use: Debian with a C compiler. The Rust toolchain is this machine's, bound in
# at build time rather than copied.
make_rust_base() { # OUT REFERENCE
  local work=${1:?}/work
  debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$work"
  rm -rf "${work:?}"/{dev/*,var/cache/apt/*.bin,var/cache/apt/archives/*.deb,var/lib/apt/lists/*}
  mkdir "$work/usr/local/rust"
  in_buildah bud --isolation chroot --pull-never --tag "localhost/$2" -f - "$work" <<'D'
FROM scratch
COPY . /
ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/usr/local/cargo
D
  rm -rf "$work"
}

make_app() { # ARCHIVE TARGET TAG
  # Behind a proxy that signs for itself, cargo needs this machine's authorities. Bound over the file, they are seen
  # by RUN alone: what the Dockerfile copies into the images is Debian's own bundle.
  local certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  buildah_build "$1" "localhost/$2:$3" --target "$2" -f "$context/Dockerfile" \
    -v "$(cd "$repo" && rustc --print sysroot):/usr/local/rust:ro" \
    -v "$certificates:/etc/ssl/certs/ca-certificates.crt:ro" "$context"
}

app_images() { # TAG: sets `archives`
  local target base wanted
  archives=("$images/sse-node-$1.tar" "$images/sse-operator-$1.tar")
  if [ -e "${archives[0]}" ] && [ -e "${archives[1]}" ]; then return; fi
  base=$(sed -n 's/^FROM \(rust:[^ ]*\).*/\1/p' "$context/Dockerfile")
  wanted=$(grep -oE '[0-9]+\.[0-9]+' <<<"$base" | head -n1)
  case $(cd "$repo" && rustc --version) in
    "rustc $wanted."*) ;;
    *) die "the Dockerfile builds with Rust $wanted; install that here: rustup toolchain install $wanted" ;;
  esac
  if ! in_buildah inspect --type image "localhost/$base" >/dev/null 2>&1; then
    mkdir -p "$storage/tmp/base"
    step "base image $base" make_rust_base "$storage/tmp/base" "$base"
    rm -rf "$storage/tmp/base"
  fi
  mkdir -p "$images"
  for target in sse-node sse-operator; do
    step "image of $target" make_app "$images/$target-$1.tar" "$target" "$1"
  done
  step "removal of older images" remove_older "$1"
}
remove_older() { # TAG
  find "$images" -name 'sse-*.tar' ! -name "*-$1.tar" -delete
  # Layers too: cargo has its cache mount, and the two targets have shared what there was to share.
  in_buildah rmi --prune
}
