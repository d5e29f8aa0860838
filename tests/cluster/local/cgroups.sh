# shellcheck shell=bash disable=SC2154 # state: set by ../providers/local.sh
# A cgroup for each node's pods. It is the kubelet's cgroupRoot: with a common one, each kubelet would take the
# other's pods for orphans and delete them. Both layouts are known: one directory per controller (v1), or one tree (v2).

cgroups=/sys/fs/cgroup
unified() { [ -e $cgroups/cgroup.controllers ]; }
# In v1, `cpu` and such may be links to a directory of several controllers.
cgroup_roots() { if unified; then echo $cgroups; else find $cgroups -mindepth 1 -maxdepth 1 -type d; fi; }

cgroup_up() { # NODE
  local controller controllers dir file
  if unified; then
    # The kubelet wants all of the root's controllers in its own cgroup. What is switched on here is noted for `down`.
    read -ra controllers <$cgroups/cgroup.controllers
    for controller in "${controllers[@]}"; do
      grep -qw "$controller" $cgroups/cgroup.subtree_control && continue
      echo "+$controller" 2>/dev/null >$cgroups/cgroup.subtree_control ||
        die "cannot delegate the cgroup controller $controller: run this outside of a container, or in one with its own cgroup root free of processes"
      echo "$controller" >>"$state/delegated"
    done
  fi
  for dir in $(cgroup_roots); do
    mkdir -p "$dir/ssef-$1"
    # A new v1 cpuset has no CPUs, and takes no process, until given some.
    for file in cpuset.cpus cpuset.mems; do
      if ! unified && [ -e "$dir/$file" ]; then cat "$dir/$file" >"$dir/ssef-$1/$file"; fi
    done
  done
}

cgroup_down() { # NODE
  # The kernel lets go of the dead processes' cgroups a moment after they are gone.
  await 10 "the end of the cgroups of $1" cgroups_removed "$1"
}
cgroups_removed() {
  local dir
  for dir in $(cgroup_roots); do
    if [ -d "$dir/ssef-$1" ]; then find "$dir/ssef-$1" -depth -type d -exec rmdir {} + || return; fi
  done
}
undelegate() {
  local controller
  if [ -e "$state/delegated" ]; then
    while read -r controller; do
      echo "-$controller" 2>/dev/null >$cgroups/cgroup.subtree_control || true
    done <"$state/delegated"
  fi
}
