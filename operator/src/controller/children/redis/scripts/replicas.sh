# shellcheck shell=sh disable=SC2034,SC2154 # lib.sh, which is read first, says where things are; so does this for others
# What the scripts of a pod ask of the others, where there are replicas.
#
# A Redis is `fresh` from its start until it has been in step with a primary: what it holds may be old, or nothing, and
# its offset says nothing. Its replica-priority is 0 until then, so that no Sentinel makes it the primary.

majority=$(($(echo "$peers" | wc -w) / 2 + 1))
sentinel_settings='down-after-milliseconds 5000
failover-timeout 10000
parallel-syncs 4'

# state HOST: `primary`, `synced` or `fresh`; nothing if it does not answer
state() {
  replication=$(ask "$1" "$port" info replication) || return 0
  case $replication in
    *role:master*) echo primary ;;
    *slave_priority:0*) echo fresh ;;
    *) echo synced ;;
  esac
}

# in_step: whether the Redis of this pod, a replica, has all that its primary has
in_step() { ask "$here" "$port" info replication | grep -q '^master_link_status:up'; }

# named: the primary, alive or not, by the word of most Sentinels
named() {
  for peer in $peers; do ask "$peer" "$sentinel_port" sentinel get-master-addr-by-name ssefleet | head -n 1; done |
    sort | uniq -c | sort -rn | sed -n 's/^ *[0-9][0-9]* \(..*\)/\1/p' | head -n 1
}

# primary: the Redis to follow, if it is alive. Before Sentinels know of one, it is the only one that says so of itself.
primary() {
  found=$(named)
  if [ -n "$found" ]; then
    if [ "$(state "$found")" = primary ]; then echo "$found"; fi
    return
  fi
  for peer in $peers; do
    if [ "$(state "$peer")" != primary ]; then continue; fi
    if [ -n "$found" ]; then return; fi
    found=$peer
  done
  echo "$found"
}

# chosen_by_sentinels: whether they know a primary and can replace it. One that is back as a replica, after they had time enough
# (start.sh), they can't: to them the others have been cut off from it for too long to be its successors.
chosen_by_sentinels() {
  chosen=$(named) && [ -n "$chosen" ] || return
  case $(state "$chosen") in fresh | synced) return 1 ;; esac
}

# position HOST: how far the stream's log goes there, `EPOCH NUMBER`. Fails if it can't be told yet.
position() {
  case $(ask "$1" "$port" exists "$LOG") in
    0) echo 0 0 ;;
    1) ask "$1" "$port" xinfo stream "$LOG" | sed -n '/^last-generated-id/{n;s/-/ /p;q;}' ;;
    *) return 1 ;;
  esac
}
