#!/bin/sh
# Keeps the Redis of this pod as it should be while it runs, so that nothing needs a restart:
# - a changed password (the Secret's file) is accepted at once, beside the previous one until everyone has the new one;
# - where there are replicas, and none is the primary or was in step with one since its start, as when all have been
#   away at once, the one whose log goes furthest becomes the primary. In all other cases that is up to the Sentinels.
set -u
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"
trap 'exit 0' TERM INT

# After a change of password, in seconds: until this pod shows the new one to others, as by then the kubelet has brought
# it to all of them (it looks every minute or so); and until the previous one is no longer good.
SHOW=${SHOW:-180}
FORGET=${FORGET:-600}
# How long the pod with the longest log is waited for; after that, that of a majority counts.
WAIT_FOR_ALL=${WAIT_FOR_ALL:-60}

now() { date +%s; }
# both COMMAND: to Redis, and to the Sentinel if there is one
both() {
  order "$port" "$1" || return
  if [ -s "$run/sentinel.conf" ]; then order "$sentinel_port" "$1"; fi
}

rotate() {
  wanted=$(cat "$files/auth/password") && [ -n "$wanted" ] || return
  current=$(cat "$run/password") || return
  if [ "$wanted" != "$current" ]; then
    # First what is to be; a Redis that starts right now takes both.
    put "$run/previous" "$current"
    put "$run/changed" "$(now)"
    rm -f "$run/shown"
    put "$run/password" "$wanted"
    say "a new password is good from now on, the previous one for $FORGET s more"
  fi
  [ -s "$run/previous" ] || return 0
  both "acl setuser default $(digest "$wanted")" || return
  age=$(($(now) - $(cat "$run/changed")))
  if [ -n "$peers" ] && [ ! -e "$run/shown" ] && [ "$age" -ge "$SHOW" ]; then
    order "$port" "config set masterauth $(quoted "$wanted")" || return
    order "$sentinel_port" "sentinel set ssefleet auth-pass $(quoted "$wanted")" || return
    order "$sentinel_port" "sentinel config set sentinel-pass $(quoted "$wanted")" || return
    : >"$run/shown"
  fi
  if [ "$age" -ge "$FORGET" ]; then
    both "acl setuser default resetpass $(digest "$wanted")" || return
    rm -f "$run/previous"
    say "the previous password is no longer good"
  fi
}

# further EPOCH NUMBER EPOCH NUMBER: whether the first is behind the second no more
further() { [ "$1" -gt "$3" ] || { [ "$1" -eq "$3" ] && [ "$2" -gt "$4" ]; }; }

# elect: makes this Redis the primary if all others are as fresh, and none has a longer log
fresh_since=
elect() {
  best='' best_position='-1 0' count=0
  for peer in $peers; do
    case $(state "$peer") in
      fresh) ;;
      '') continue ;;
      *) fresh_since='' && return ;; # the Sentinels' business
    esac
    position=$(position "$peer") && [ -n "$position" ] || continue
    count=$((count + 1))
    # shellcheck disable=SC2086 # two words each
    if further $position $best_position; then best=$peer best_position=$position; fi
  done
  : "${fresh_since:=$(now)}"
  all=$(echo "$peers" | wc -w)
  if [ "$count" -lt "$all" ]; then
    [ "$count" -gt $((all / 2)) ] && [ $(($(now) - fresh_since)) -ge "$WAIT_FOR_ALL" ] || return 0
  fi
  if [ "$best" = "$HOST" ]; then
    say "becoming the primary: of $count, the log goes furthest here, to $best_position"
    order "$port" "replicaof no one"
  fi
}

attend() {
  # How many replicas a primary needs; this one may be the next.
  order "$port" "config set min-replicas-to-write $(cat "$files/min-replicas")"
  # Sentinels choose the replica with the greatest offset by what they last heard of it: that must be from after the
  # primary was last seen, 5 s before, and by default may be 10 s old.
  ask "$here" "$sentinel_port" sentinel debug info-period 1000 >/dev/null
  case $(state "$here") in
    fresh) ;;
    primary) fresh_since='' && order "$port" 'config set replica-priority 100' && return ;;
    *) fresh_since='' && return ;;
  esac
  if in_step; then
    order "$port" 'config set replica-priority 100'
    return
  fi
  leader=$(primary)
  if [ -z "$leader" ]; then
    elect
  elif ! ask "$here" "$port" info replication | grep -q "^master_host:$leader.\{0,1\}$"; then
    say "following $leader"
    order "$port" "replicaof $leader $port"
  fi
}

until [ -s "$run/password" ]; do sleep 0.2; done
while :; do
  rotate
  if [ -n "$peers" ]; then attend; fi
  sleep 2
done
