#!/bin/bash
#
# Builds and tests taskctx on other Debian releases: other compilers, Bazels, oneTBBs and Abseils.

set -euo pipefail

readonly USAGE="Usage: tools/compat.sh [option]... [RELEASE...]

Tests the tree on Debian releases (default: bookworm trixie sid), each in a root of its own, and
prints a table. Makes the roots that are missing with debootstrap, and installs in them what
tools/setup.sh installs; that needs the network, testing doesn't. Needs root.

  --roots=DIR     where the roots are (default: \$XDG_CACHE_HOME/taskctx/roots)
  --targets=LIST  what Bazel tests (default: //tests:all)
  --mirror=URL    where packages come from (default: http://deb.debian.org/debian)
  --help          print this and exit

Exits with 1 if a release fails; its log is named then. The roots stay: nothing of the machine is
mounted in them but while they are in use, in a namespace that ends with that."

die() {
  echo "tools/compat.sh: $1" >&2
  exit 2
}

roots=${XDG_CACHE_HOME:-$HOME/.cache}/taskctx/roots
targets=//tests:all
mirror=http://deb.debian.org/debian
releases=()
for argument in "$@"; do
  case "$argument" in
    --roots=?*) roots=${argument#*=} ;;
    --targets=?*) targets=${argument#*=} ;;
    --mirror=?*) mirror=${argument#*=} ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    -*)
      echo "tools/compat.sh: unknown option '$argument'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
    *) releases+=("$argument") ;;
  esac
done
[[ ${#releases[@]} -gt 0 ]] || releases=(bookworm trixie sid)
[[ "$(id -u)" == 0 ]] || die "needs root, for debootstrap and chroot"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
readonly roots targets mirror

# Runs a script in a root, with the tree in /taskctx. What is mounted there is seen by nobody else,
# and goes with the namespace; of the machine's own file systems nothing is mounted.
in_root() {
  # shellcheck disable=SC2016 # To be expanded in there.
  unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    mkdir -p "$1/proc" "$1/dev/shm"
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/dev/shm"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive bash -euc "cd /taskctx; $2"' in_root "$1" "$2"
}

make_root() {
  local root=$1 release=$2
  command -v debootstrap >/dev/null || die "debootstrap is not installed"
  # Under another name until it is whole, so that the next run does not take a part for it.
  debootstrap --variant=minbase "$release" "$root.new" "$mirror"
  mv "$root.new" "$root"
}

copy_tree() {
  mkdir -p "$1/taskctx"
  # What was deleted here must not stay there; Bazel's own folders are elsewhere.
  find "$1/taskctx" -xdev -mindepth 1 -delete
  git ls-files -z | tar --null --files-from=- -cf - | tar -C "$1/taskctx" -xf -
}

# Says what a root has, as cells of the table.
# shellcheck disable=SC2016 # To be expanded in there.
readonly DESCRIBE='
  version() { dpkg-query --show --showformat="\${Version}" "$1" | sed -E "s/^[0-9]+://; s/[-+~].*//"; }
  printf "%s | %s | %s | %s" "$(g++ -dumpfullversion)" "$(version bazel-bootstrap)" \
    "$(version libtbb-dev)" "$(version libabsl-dev)"'

test_release() {
  local release=$1 root=$roots/$1
  [[ -d "$root/usr" ]] || make_root "$root" "$release"
  copy_tree "$root"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  in_root "$root" 'tools/setup.sh --dev'
  # Bazel's own sandbox wants namespaces that a chroot does not give.
  in_root "$root" "tools/bazel.sh test --spawn_strategy=local --color=no --curses=no \
    --noshow_progress --keep_going $targets"
}

status=0
echo "| release | g++ | Bazel | oneTBB | Abseil | tests |"
echo "|---|---|---|---|---|---|"
for release in "${releases[@]}"; do
  log=$roots/$release.log
  result=passed
  # In the background, because a function ends at its first error only where nobody asks for its status.
  test_release "$release" >"$log" 2>&1 &
  wait $! || {
    result="failed, see $log"
    status=1
  }
  passed=$(grep --count -E '^//.* PASSED in' "$log" || true)
  all=$(grep --count -E '^//.*(PASSED|FAILED|TIMEOUT|FLAKY|NO STATUS|FAILED TO BUILD)' "$log" || true)
  # A release of which no root could be made has nothing to describe.
  versions=$(in_root "$roots/$release" "$DESCRIBE" 2>/dev/null) || versions="– | – | – | –"
  echo "| $release | $versions | $passed of $all $result |"
done
exit "$status"
