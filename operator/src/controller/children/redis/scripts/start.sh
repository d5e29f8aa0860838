#!/bin/sh
# Starts Redis: with the configuration that the operator wrote, and what only the pod knows: the password, and whom to
# follow.
#
# Where there are replicas, a Redis never starts as the primary, whatever it was before: it may have lost what a replica
# has. It follows the primary. While there is none, but a replica that was in step with it, it stays away until that one
# is made the primary: Sentinels see so that the old one is gone. And if there is neither, it shows what it holds and
# waits (keeper.sh).
set -eu
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"

password=$(the_password)

# How long it stays away for others to become the primary: longer than Sentinels need for two attempts, 28 s. Yet they choose
# no replica whose primary was gone for 50 s before they noticed, and notice anew, within 7 s, when this one is back as another.
PATIENCE=${PATIENCE:-35}
any_in_step() {
  for peer in $peers; do if [ "$(state "$peer")" = synced ]; then return; fi; done
  return 1
}
follow=
if [ -n "$peers" ]; then
  end=$(($(date +%s) + PATIENCE))
  while follow=$(primary) && [ -z "$follow" ] && any_in_step && [ "$(date +%s)" -lt "$end" ]; do sleep 0.5; done
  say "starting as a replica of ${follow:-no one yet}"
fi

{
  cat "$files/redis.conf"
  echo "user default on $(accepted) ~* &* +@all"
  if [ -n "$peers" ]; then
    echo "replica-announce-ip $HOST"
    printf 'masterauth %s\n' "$(quoted "$password")" # dash's echo would read the backslashes
    echo "replica-priority 0"
    # Nobody listens on port 1.
    if [ -n "$follow" ]; then echo "replicaof $follow $port"; else echo "replicaof 127.0.0.1 1"; fi
  fi
} >"$run/redis.conf"
exec redis-server "$run/redis.conf"
