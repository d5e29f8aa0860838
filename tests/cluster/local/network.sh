# shellcheck shell=bash disable=SC2034,SC2154 # addresses are for the other files; state: set by ../providers/local.sh
# Addresses, and the cables between the hosts. All is in 198.18.0.0/15, which is set aside for tests of networks.
#
#   this machine .0.2 ── ssef-host ── br0 in hub .0.1 (control plane) ──┬── node1 .0.11, pods 198.18.65.0/24
#                                                                       └── node2 .0.12, pods 198.18.66.0/24

nodes=(1 2)
range=198.18.0.0/15
hub_ip=198.18.0.1
outside_ip=198.18.0.2 # this machine, as the cluster sees it
pods=198.18.64.0/20
services=198.18.128.0/20
api_ip=198.18.128.1      # Service kubernetes
dns_ip=198.18.128.10     # Service kube-dns, as in addons/coredns.yaml
ingress_ip=198.18.128.80 # Service traefik, as in addons/traefik.yaml
node_ip() { echo "198.18.0.$((10 + $1))"; }
node_pods() { echo "198.18.$((64 + $1)).0/24"; }

connect_hub() {
  local n
  host_net hub sh -euc "
    ip link set lo up
    ip link add br0 type bridge
    ip addr add $hub_ip/24 dev br0
    ip link set br0 up"
  ip link add ssef-host type veth peer name host netns "$(host_pid hub)"
  host_net hub ip link set host master br0 up
  ip addr add $outside_ip/24 dev ssef-host
  ip link set ssef-host up
  for n in "${nodes[@]}"; do
    host_net hub ip route add "$(node_pods "$n")" via "$(node_ip "$n")"
    ip route add "$(node_pods "$n")" via "$(node_ip "$n")"
  done
  ip route add $services via "$(node_ip 1)"
  # Behind those, so that a packet for a cluster that is down never leaves this machine.
  ip route replace blackhole $pods metric 4000
  ip route replace blackhole $services metric 4000
}

connect_node() { # N
  local other
  host_net hub ip link add "node$1" type veth peer name eth0 netns "$(host_pid "node$1")"
  host_net hub ip link set "node$1" master br0 up
  host_net "node$1" sh -euc "
    ip link set lo up
    ip addr add $(node_ip "$1")/24 dev eth0
    ip link set eth0 up
    # Pods of one node meet on a bridge: without this, their answers by way of a Service would skip the NAT.
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
    # A connection to a Service needs some route before the NAT rule sees it.
    ip route add $services dev eth0"
  for other in "${nodes[@]}"; do
    if ((other != $1)); then host_net "node$1" ip route add "$(node_pods "$other")" via "$(node_ip "$other")"; fi
  done
}

network_down() {
  local net
  # The cable goes when the kernel has cleared hub's namespace; not to wait for that, it is removed here.
  ip link del ssef-host 2>/dev/null || true
  for net in $pods $services; do ip route del blackhole "$net" metric 4000 2>/dev/null || true; done
}
