# shellcheck shell=bash disable=SC2154 # state, pki, hub_ip …: set by ../providers/local.sh and its parts
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on the host `hub`.

control_plane_up() {
  host_up hub connect_hub
  # Nothing here must survive a power cut: without fsync the cluster is up sooner.
  host_start hub etcd etcd --data-dir=/var/lib/etcd --unsafe-no-fsync --log-level=warn \
    --listen-client-urls=https://127.0.0.1:2379 --advertise-client-urls=https://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 \
    --cert-file="$pki/etcd.crt" --key-file="$pki/etcd.key" --client-cert-auth --trusted-ca-file="$pki/ca.crt"
  # Aggregator routing: hub has no kube-proxy, so calls to webhooks and aggregated APIs must go to endpoints.
  host_start hub kube-apiserver kube-apiserver \
    --etcd-servers=https://127.0.0.1:2379 --etcd-cafile="$pki/ca.crt" \
    --etcd-certfile="$pki/etcd.crt" --etcd-keyfile="$pki/etcd.key" \
    --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$hub_ip" --service-cluster-ip-range="$services" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$pki/service-accounts.pub" \
    --service-account-signing-key-file="$pki/service-accounts.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
    --enable-aggregator-routing=true --profiling=false
  await 120 "kube-apiserver (its log: $state/hub/kube-apiserver.log)" kubectl get --raw /readyz
  controller kube-scheduler
  # The HPA looks three times as often as by default, and believes new pods sooner: a test is to see it within seconds.
  controller kube-controller-manager --horizontal-pod-autoscaler-sync-period=5s \
    --horizontal-pod-autoscaler-initial-readiness-delay=5s --horizontal-pod-autoscaler-cpu-initialization-period=20s \
    --use-service-account-credentials=true --service-account-private-key-file="$pki/service-accounts.key" \
    --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --cluster-cidr="$pods" --service-cluster-ip-range="$services"
  await 60 "kube-controller-manager" kubectl -n default get serviceaccount default
}
controller() { # NAME FLAG...
  host_start hub "$1" "$1" --kubeconfig="$state/$1.kubeconfig" --authentication-kubeconfig="$state/$1.kubeconfig" \
    --authorization-kubeconfig="$state/$1.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false "${@:2}"
}
