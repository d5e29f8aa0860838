# shellcheck shell=bash disable=SC2154 # cache: set by ./cluster
# What every provider uses: messages, long steps with their seconds, waiting for a condition.
# Messages go to stderr, so that `cluster env` can be evaluated.

say() { printf '%5d s  %s\n' "$SECONDS" "$*" >&2; }
die() { printf 'cluster: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# short_hash: 12 hex digits for what stands on its input
short_hash() { sha256sum | cut -c1-12; }

# await SECONDS WHAT COMMAND...: until the command succeeds
await() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "waited in vain for $what"
    sleep 0.1
  done
}

# step TITLE COMMAND...: runs the command while counting its seconds: on a terminal every second, else every 60.
# Its output goes to a log, the end of which is shown if it fails.
step() {
  local title=$1 log every=60 began=$SECONDS
  shift
  mkdir -p "$cache/log"
  log=$cache/log/${title//[^a-zA-Z0-9.-]/_}.log
  if [ -t 2 ]; then every=1; fi
  # A process group of its own, so that Ctrl-C ends the compilers of a build with it.
  set -m
  (set +m; set -e; "$@") >"$log" 2>&1 </dev/null &
  step_group=$!
  set +m
  until timeout "$every" tail --pid="$step_group" -s 0.1 -f /dev/null; do
    if [ -t 2 ]; then
      printf '\r%5d s  %s: %d s …' "$SECONDS" "$title" $((SECONDS - began)) >&2
    else
      say "$title: $((SECONDS - began)) s so far"
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
  if ! wait "$step_group"; then
    step_group=
    tail -n 20 "$log" >&2
    die "failed: $title (all of its output is in $log)"
  fi
  step_group=
  say "$title: $((SECONDS - began)) s"
}
step_group=
end_step() { if [ -n "$step_group" ]; then kill -- "-$step_group" 2>/dev/null || true; fi; }
