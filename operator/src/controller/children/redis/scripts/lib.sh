# shellcheck shell=sh disable=SC2034 # what is set here is used by those who read it
# What the scripts of a Redis pod share: where things lie, and how Redis is asked. POSIX sh, with the tools of Debian
# and of busybox alike, as the image may be of either.
#
# No password is ever in an argument: redis-cli takes it from REDISCLI_AUTH, and commands that hold one from stdin.
# What Redis takes at the moment lies in $run, a volume in memory that the pod's containers share: `password`, and for a
# while after a change `previous`. From outside come
#   HOST   the name that this pod is announced by     ⎫ only where there
#   PEERS  the names of all its pods, this one's too  ⎭ are replicas
files=${FILES:-/etc/redis}
run=${RUN:-/run/redis}
here=${HERE:-127.0.0.1}
port=6379
sentinel_port=26379
peers=${PEERS:-}
umask 077

say() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >&2; }

# put FILE TEXT: who reads it sees the old text or the new one, never half of it
put() {
  new=$(mktemp "$1.XXXXXX")
  printf '%s' "$2" >"$new"
  mv "$new" "$1"
}

# quoted TEXT: as redis.conf and redis-cli read it
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# digest TEXT: how an ACL names a password
digest() { printf '#%s' "$(printf '%s' "$1" | sha256sum | cut -c1-64)"; }

# accepted: the passwords that are good, as an ACL names them
accepted() {
  digest "$(cat "$run/password")"
  if [ -s "$run/previous" ]; then printf ' %s' "$(digest "$(cat "$run/previous")")"; fi
}

# cli WORD HOST PORT [COMMAND...]: what redis-cli says, or not in time, by the password in the file WORD
cli() {
  cli_word=$1 cli_host=$2 cli_port=$3
  shift 3
  REDISCLI_AUTH=$(cat "$run/$cli_word") timeout 3 redis-cli -e --no-auth-warning -h "$cli_host" -p "$cli_port" "$@" 2>/dev/null
}

# words: the files of passwords that there are: of two, another pod may know the previous one only
words() { if [ -s "$run/previous" ]; then echo password previous; else echo password; fi; }

# ask HOST PORT COMMAND...: the answer. Fails if it is an error, or does not come in time.
ask() {
  for word in $(words); do cli "$word" "$@" && return; done
  return 1
}

# order PORT COMMAND: for what holds a secret. Fails unless the Redis or the Sentinel of this pod says OK.
order() {
  for word in $(words); do [ "$(printf '%s\n' "$2" | cli "$word" "$here" "$1")" != OK ] || return 0; done
  return 1
}

# the_password: waits until one of the containers has put it there, and does it itself if it is the first
the_password() {
  [ -s "$run/password" ] || put "$run/password" "$(cat "$files/auth/password")"
  cat "$run/password"
}
