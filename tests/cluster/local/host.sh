# shellcheck shell=bash disable=SC2154 # state, bin: set by ../providers/local.sh
# A "host" of the cluster (hub, node1, node2) is a set of namespaces - network, mounts, processes - held by one
# process, `pause`, their init. When that ends, the kernel ends all that ran in them, and with the last process go
# its mounts, addresses and cables: there is nothing to undo one by one, and nothing to forget.
# Each host has /run, /var/lib and /var/log of its own, so that every daemon can keep its default paths.

# A process is known by pid and start time: a reused pid is not taken for it, and neither is a zombie.
stamp() { awk '$3 !~ /[ZX]/ {print $1, $22}' "/proc/$1/stat" 2>/dev/null || true; }
alive() { # PID-FILE
  local was
  was=$(cat "$1" 2>/dev/null) && [ -n "$was" ] && [ "$(stamp "${was%% *}")" = "$was" ]
}

# launch PID-FILE LOG COMMAND...: starts a daemon that outlives this script
launch() {
  local pid_file=$1 log=$2
  shift 2
  rm -f "$pid_file"
  # shellcheck disable=SC2016 # for the inner shell, whose pid the daemon keeps
  setsid bash -c 'awk "{print \$1, \$22}" /proc/$$/stat >"$0.part" && mv "$0.part" "$0" && exec "$@"' \
    "$pid_file" "$@" >"$log" 2>&1 </dev/null 9>&- &
  await 5 "$pid_file" test -e "$pid_file"
}

host_alive() { alive "$state/$1/pid"; }
host_pid() { cut -d' ' -f1 "$state/$1/pid"; }
host_run() { # HOST COMMAND...
  local host=$1
  shift
  nsenter --target "$(host_pid "$host")" --net --mount --pid -- "$@"
}

# In its network only: pids stay this machine's, as `ip link … netns PID` needs.
host_net() { # HOST COMMAND...
  local host=$1
  shift
  nsenter --target "$(host_pid "$host")" --net -- "$@"
}

# host_start HOST NAME COMMAND...: a daemon on it, if it does not run already
host_start() {
  local host=$1 name=$2
  shift 2
  if alive "$state/$host/$name.pid"; then return; fi
  # nsenter stays outside and ends with the daemon, so its pid tells whether the daemon runs.
  launch "$state/$host/$name.pid" "$state/$host/$name.log" \
    nsenter --target "$(host_pid "$host")" --net --mount --pid -- "$@"
}

# host_up HOST SETUP...: makes the host, then calls SETUP, which gives it its place in the network
host_up() {
  local host=$1 dir=$state/$1 outer
  shift
  if host_alive "$host" && [ -e "$dir/set-up" ]; then return; fi
  host_down "$host"
  mkdir -p "$dir/lib" "$dir/log"
  # Kubernetes expects a root whose mounts propagate.
  # shellcheck disable=SC2016 # for the inner shell
  launch "$dir/outer.pid" "$dir/host.log" unshare --net --mount --pid --fork --kill-child --mount-proc bash -euc '
    mount --make-rshared /
    mount -t tmpfs tmpfs /run
    mount --bind "$1/lib" /var/lib
    mount --bind "$1/log" /var/log
    exec "$2"' host "$dir" "$bin/pause"
  outer=$(cut -d' ' -f1 "$dir/outer.pid")
  await 10 "namespaces of $host" host_init "$outer" "$dir/pid"
  "$@"
  touch "$dir/set-up"
}
host_init() { # OUTER PID-FILE: notes the init, once its mounts are made and it is `pause`
  local pid
  pid=$(tr -d ' ' <"/proc/$1/task/$1/children") && [ "$(cat "/proc/$pid/comm")" = pause ] && stamp "$pid" >"$2"
}

host_down() {
  local dir=$state/$1
  if host_alive "$1"; then
    kill -9 "$(host_pid "$1")"
  elif alive "$dir/outer.pid"; then
    kill -9 "$(cut -d' ' -f1 "$dir/outer.pid")" # the init was never noted; by --kill-child it ends too
  fi
  # unshare ends when it has seen its child's end, and that comes after the end of all others in there.
  await 20 "the end of $1" gone "$dir/outer.pid"
  rm -rf "$dir"
}
gone() { ! alive "$1"; }
