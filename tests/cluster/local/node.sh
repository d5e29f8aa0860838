# shellcheck shell=bash disable=SC2154 # state, pki, dns_ip …: set by ../providers/local.sh and its parts
# A node: containerd, kubelet and kube-proxy on a host of their own. Configuration that is default is left out.

node_up() { # N IMAGE-ARCHIVE...
  local n=$1 node=node$1 dir=$state/node$1
  shift
  host_up "$node" connect_node "$n"
  cgroup_up "$node"
  node_config "$n" "$node" "$dir"
  host_start "$node" containerd containerd --config "$dir/containerd.toml"
  await 30 "containerd of $node" host_run "$node" ctr version
  # The kubelet needs the first of them, the sandbox of every pod; the others may arrive while it starts.
  node_load "$n" "$1"
  host_start "$node" kubelet kubelet --config="$dir/kubelet.yaml" --kubeconfig="$state/$node.kubeconfig" \
    --hostname-override="$node" --node-ip="$(node_ip "$n")"
  host_start "$node" kube-proxy kube-proxy --config="$dir/kube-proxy.yaml"
  node_load "$n" "${@:2}"
  await 90 "node $node to be ready (its log: $dir/kubelet.log)" kubectl wait --for=condition=Ready "node/$node" --timeout=1s
}

node_load() { # N IMAGE-ARCHIVE...: an archive's path has its hash, so one import of it is enough
  local n=$1 loaded=$state/node$1/loaded archive
  for archive in "${@:2}"; do
    if grep -sqxF "$archive" "$loaded"; then continue; fi
    host_run "node$n" ctr -n k8s.io images import "$archive" >/dev/null
    echo "$archive" >>"$loaded"
  done
}

node_down() { # N
  host_down "node$1"
  cgroup_down "node$1"
}

node_config() { # N NODE DIR
  mkdir -p "$3/cni"
  # containerd 1.6 reads configuration version 2. A root without CAP_SYS_RESOURCE cannot lower an OOM score:
  # hence restrict_oom_score_adj here, and oomScoreAdj below.
  cat >"$3/containerd.toml" <<Y
version = 2
disabled_plugins = ["io.containerd.internal.v1.restart", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:local"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$3/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
Y
  cat >"$3/cni/10-pods.conflist" <<Y
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_pods "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
  echo "nameserver $dns_ip" >"$3/resolv.conf"
  # Image collection is off, as there is nowhere to pull a deleted image from.
  cat >"$3/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_ip "$1")
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/$2-server.crt
tlsPrivateKeyFile: $pki/$2-server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /ssef-$2
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: $3/resolv.conf
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
maxPods: 200
nodeStatusUpdateFrequency: 5s
Y
  # The conntrack sysctls are this machine's, not ours to set. With a clusterCIDR, what comes from outside is
  # masqueraded, so that its answers return by the same node.
  cat >"$3/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: $(node_ip "$1")
hostnameOverride: $2
clientConnection: {kubeconfig: $state/kube-proxy.kubeconfig}
clusterCIDR: $pods
mode: nftables
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 200ms}
Y
}
