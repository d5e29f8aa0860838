#!/bin/sh
# Starts the Sentinel of this pod, as soon as there is a primary to look after.
#
# Its file outlives the container, not the pod: with it, the votes that it has given. Its id is that of the pod's name, so
# that one that comes back is the same to the others, and is not counted twice.
set -eu
. "${FILES:-/etc/redis}/lib.sh"
. "$files/replicas.sh"

password=$(the_password)
conf=$run/sentinel.conf

# It looks after none yet, or was told to forget the one it knew (keeper.sh).
if ! grep -q '^sentinel monitor ssefleet ' "$conf" 2>/dev/null; then
  # The others' word counts even if the primary is gone just now: they need this one's vote for another.
  until primary=$(named) && [ -n "$primary" ] || { primary=$(primary) && [ -n "$primary" ]; }; do sleep 0.5; done
  say "looking after $primary"
  # A primary that is gone can't tell of its replicas, and this may be the Sentinel that is elected to choose among them.
  replicas=$(for peer in $peers; do if [ "$peer" != "$primary" ]; then echo "sentinel known-replica ssefleet $peer $port"; fi; done)
  put "$conf" "$(cat "$files/sentinel.conf")
sentinel announce-ip $HOST
sentinel myid $(printf '%s' "$HOST" | sha1sum | cut -c1-40)
sentinel monitor ssefleet $primary $port $majority
$(echo "$sentinel_settings" | sed 's/\([^ ]*\)/sentinel \1 ssefleet/')
$replicas
"
fi

# Sentinel itself writes a password without quotes, and does not write an ACL that was changed.
put "$conf" "$(sed '/auth-pass /d; /^sentinel sentinel-pass /d; /^user /d' "$conf")
sentinel auth-pass ssefleet $(quoted "$password")
sentinel sentinel-pass $(quoted "$password")
user default on $(accepted) ~* &* +@all
"
exec redis-server "$conf" --sentinel
