#!/bin/sh
# Runs nginx, and has it read its files anew when they have changed: the kubelet renews them in place, and so do we.
# Streams that are open stay with the workers that they have.
set -eu
files=/etc/ssefleet

# What nginx asks for the address of the nodes' Service, and the cluster's own domain: both as the pod has them.
dns='' domain=''
while read -r key first rest; do
  case $key in
    nameserver) dns=${dns:-$first} ;;
    search) for name in $first $rest; do case $name in svc.*) domain=$name ;; esac; done ;;
  esac
done </etc/resolv.conf
case $dns in *:*) dns="[$dns]" ;; esac
printf 'resolver %s valid=5s;\n' "$dns" >/tmp/resolver.conf
printf 'set $nodes http://NODES.%s;\n' "$domain" >/tmp/nodes.conf

now() { cat "$files"/*/* | sha256sum; }
seen=$(now)
nginx -e stderr -c "$files/conf/nginx.conf" &
nginx=$!

# First the endpoints must know; until then, who comes is served. Streams have no end to wait for: they are cut, and
# their clients come back to another edge, each in its own time.
stop() {
  sleep 5
  kill -TERM "$nginx"
}
trap stop TERM

while kill -0 "$nginx" 2>/dev/null; do
  sleep 2 &
  wait $! || true
  if [ "$(now)" != "$seen" ]; then
    seen=$(now)
    nginx -t -q -e stderr -c "$files/conf/nginx.conf" && kill -HUP "$nginx" && echo 'read its files anew' >&2 || true
  fi
done
wait "$nginx"
