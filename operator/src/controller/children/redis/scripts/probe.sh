#!/bin/sh
# What the kubelet asks: `alive`, whether the Redis of this pod answers at all, be it that it reads its log from the disk;
# `ready`, whether it serves, and as a replica is in step; `sentinel`, whether the Sentinel answers.
set -eu
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"

case $1 in
  alive)
    # Without -e, an error such as LOADING is an answer too.
    REDISCLI_AUTH=$(cat "$run/password") timeout 3 redis-cli --no-auth-warning -h "$here" -p "$port" ping
    ;;
  ready)
    ask "$here" "$port" ping
    if [ -n "$peers" ] && [ "$(state "$here")" != primary ]; then in_step; fi
    ;;
  sentinel) ask "$here" "$sentinel_port" ping ;;
esac
