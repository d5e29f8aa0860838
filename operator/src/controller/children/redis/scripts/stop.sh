#!/bin/sh
# Before the Redis of this pod stops: if it is the primary, another one becomes it first. Writes wait meanwhile, so that
# the new one has everything, and those who wait are told by the end of their connections.
set -eu
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"

if [ -z "$peers" ] || [ "$(state "$here")" != primary ]; then exit 0; fi

# How long Sentinels may take; then it stops all the same.
PATIENCE=20
# caught_up: whether all replicas that are connected have everything
caught_up() {
  replication=$(ask "$here" "$port" info replication | tr -d '\r') || return
  offset=$(echo "$replication" | sed -n 's/^master_repl_offset://p')
  echo "$replication" | grep -q 'state=online' || return
  ! echo "$replication" | grep 'state=online' | grep -vq ",offset=$offset,"
}
other() {
  primary=$(primary)
  [ -n "$primary" ] && [ "$primary" != "$HOST" ]
}
# within SECONDS COMMAND: until it succeeds
within() {
  end=$(($(date +%s) + $1))
  until "$2"; do
    if [ "$(date +%s)" -ge "$end" ]; then return 1; fi
    sleep 0.2
  done
}
fail_over() {
  # This pod's own Sentinel is about to stop as well.
  for peer in $peers; do
    if [ "$peer" != "$HOST" ] && ask "$peer" "$sentinel_port" sentinel failover ssefleet >/dev/null; then return; fi
  done
  return 1
}

order "$port" "client pause $((PATIENCE * 2000)) write"
if within 3 caught_up && within 5 fail_over && within "$PATIENCE" other; then
  say "$primary is the primary now"
else
  say "no other could be made the primary"
  order "$port" 'client unpause'
fi
