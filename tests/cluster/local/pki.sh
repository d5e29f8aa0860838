# shellcheck shell=bash disable=SC2154 # state, hub_ip …: set by ../providers/local.sh and network.sh
# Keys, certificates and kubeconfigs of one run of the cluster.

pki=$state/pki
ec=(-algorithm EC -pkeyopt ec_paramgen_curve:P-256)

# certificate NAME SUBJECT USAGE [ALTERNATIVE-NAMES [CA]]
certificate() {
  openssl genpkey "${ec[@]}" -out "$pki/$1.key"
  openssl req -new -key "$pki/$1.key" -subj "$2" |
    openssl x509 -req -CA "$pki/${5:-ca}.crt" -CAkey "$pki/${5:-ca}.key" -CAcreateserial -days 365 -out "$pki/$1.crt" -extfile <(
      printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "$3"
      if [ -n "${4:-}" ]; then printf 'subjectAltName=%s\n' "$4"; fi
    )
}

# client NAME SUBJECT: a certificate, and the kubeconfig that uses it
client() {
  certificate "$1" "$2" clientAuth
  cat >"$state/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: ssefleet, cluster: {server: "${api_url:-https://$hub_ip:6443}", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}}]
contexts: [{name: ssefleet, context: {cluster: ssefleet, user: $1}}]
current-context: ssefleet
Y
}

authority() {
  umask 077
  mkdir -p "$pki"
  openssl genpkey "${ec[@]}" -out "$pki/ca.key"
  openssl req -x509 -new -key "$pki/ca.key" -days 365 -subj /CN=ssefleet-test -out "$pki/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
service_account_keys() {
  openssl genpkey "${ec[@]}" -out "$pki/service-accounts.key"
  openssl pkey -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub"
}

pki_up() {
  local n dns=DNS:kubernetes
  if [ -e "$pki/complete" ]; then return; fi
  authority
  # With these the API server shows itself to aggregated APIs: a CA of its own, so that no other client passes for it.
  openssl genpkey "${ec[@]}" -out "$pki/front-proxy-ca.key"
  openssl req -x509 -new -key "$pki/front-proxy-ca.key" -days 365 -subj /CN=ssefleet-test-front-proxy \
    -out "$pki/front-proxy-ca.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  certificate front-proxy-client /CN=front-proxy-client clientAuth '' front-proxy-ca
  certificate etcd /CN=etcd serverAuth,clientAuth IP:127.0.0.1
  certificate apiserver /CN=kube-apiserver serverAuth \
    "$dns,$dns.default,$dns.default.svc,$dns.default.svc.cluster.local,IP:127.0.0.1,IP:$api_ip,IP:$hub_ip"
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  # For a webhook that a test serves on this machine.
  certificate outside /CN=outside serverAuth "IP:$outside_ip"
  client admin /O=system:masters/CN=admin
  for n in kube-controller-manager kube-scheduler kube-proxy; do client $n /CN=system:$n; done
  for n in "${nodes[@]}"; do
    client "node$n" "/O=system:nodes/CN=system:node:node$n"
    certificate "node$n-server" "/CN=node$n" serverAuth "DNS:node$n,IP:$(node_ip "$n")"
  done
  service_account_keys
  touch "$pki/complete"
}
