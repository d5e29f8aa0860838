#!/bin/sh
# Keeps the Redis of this pod as it should be while it runs, so that nothing needs a restart:
# - a changed password (the Secret's file) is accepted at once, beside the previous one until everyone has the new one;
# - where there are replicas, and none is the primary or was in step with one since its start, as when all have been
#   away at once, the one whose log goes furthest becomes the primary; also if the primary that Sentinels know is back as a
#   replica before they could replace it. In all other cases that is up to the Sentinels;
# - a Sentinel that was told so to forget the primary it knew looks after the new one.
set -u
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"
trap 'exit 0' TERM INT

# How often it looks, in seconds.
EVERY=${EVERY:-2}
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

# elect: makes this Redis the primary if none is for the Sentinels to choose, and none has a longer log
fresh_since=
elect() {
  best='' best_position='-1 0' count=0
  for peer in $peers; do
    case $(state "$peer") in
      fresh) ;;
      '') continue ;;
      synced) if chosen_by_sentinels; then fresh_since='' && return; fi ;;
      *) fresh_since='' && return ;;
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
    # Sentinels that know another one would wait for it for ever: it follows this one from now on, and none of those that
    # started anew is good for them. Told to forget it, they have no later word of it to tell each other.
    for peer in $peers; do ask "$peer" "$sentinel_port" sentinel remove ssefleet >/dev/null; done
    order "$port" "replicaof no one"
  fi
}

# watch_over: for a Sentinel that looks after none. The others' word counts even if the primary is gone just now, as in
# sentinel.sh; but not at once, when they may still be about to be told to forget it.
idle=
watch_over() {
  if [ ! -s "$run/sentinel.conf" ]; then return 0; fi
  known=$(ask "$here" "$sentinel_port" sentinel get-master-addr-by-name ssefleet) && [ -z "$known" ] || { idle='' && return; }
  whom=$(primary)
  if [ -n "$idle" ] && [ -z "$whom" ]; then whom=$(named); fi
  idle=yes
  if [ -z "$whom" ]; then return; fi
  say "the Sentinel looks after $whom"
  order "$sentinel_port" "sentinel monitor ssefleet $whom $port $majority" || return
  echo "$sentinel_settings" | while read -r setting; do order "$sentinel_port" "sentinel set ssefleet $setting"; done
  if [ -s "$run/previous" ] && [ ! -e "$run/shown" ]; then word=previous; else word=password; fi
  order "$sentinel_port" "sentinel set ssefleet auth-pass $(quoted "$(cat "$run/$word")")"
}

attend() {
  # How many replicas a primary needs; this one may be the next.
  order "$port" "config set min-replicas-to-write $(cat "$files/min-replicas")"
  # Sentinels choose the replica with the greatest offset by what they last heard of it: that must be from after the
  # primary was last seen, 5 s before, and by default may be 10 s old.
  ask "$here" "$sentinel_port" sentinel debug info-period 1000 >/dev/null
  watch_over
  state=$(state "$here")
  if [ -z "$state" ]; then return; fi
  if [ "$state" = primary ] || in_step; then
    fresh_since=''
    order "$port" 'config set replica-priority 100'
    return
  fi
  leader=$(primary)
  if [ "$state" = synced ] && chosen_by_sentinels; then
    fresh_since='' # a failover is under way
  elif [ -z "$leader" ]; then
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
  sleep "$EVERY"
done
