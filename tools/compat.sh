#!/bin/bash
#
# Builds and tests taskctx on other Debian releases: other compilers, Bazels, oneTBBs and Abseils.

set -euo pipefail

readonly USAGE="Usage: tools/compat.sh [option]... [RELEASE...]

Tests the tree on Debian releases (default: bookworm trixie sid), each in a root of its own, and
prints a table. tools/debian.sh makes the roots, and runs the tests there. Needs root.

  --roots=DIR     where the roots are (default: \$XDG_CACHE_HOME/taskctx/roots)
  --targets=LIST  what Bazel tests (default: //tests:all)
  --mirror=URL    where packages come from (default: tools/debian.sh's)
  --help          print this and exit

Exits with 1 if a release fails; its log is named then. The roots stay."

die() {
  echo "tools/compat.sh: $1" >&2
  exit 2
}

roots=${XDG_CACHE_HOME:-$HOME/.cache}/taskctx/roots
targets=//tests:all
options=()
releases=()
for argument in "$@"; do
  case "$argument" in
    --roots=?*) roots=${argument#*=} ;;
    --targets=?*) targets=${argument#*=} ;;
    --mirror=?*) options+=("$argument") ;;
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
options+=("--roots=$roots")
readonly roots targets options

# Runs on a release. Says first what it has, as cells of the table.
# shellcheck disable=SC2016 # To be expanded in there.
readonly COMMAND='
  version() { dpkg-query --show --showformat="\${Version}" "$1" | sed -E "s/^[0-9]+://; s/[-+~].*//"; }
  printf "versions: %s | %s | %s | %s\n" "$(g++ -dumpfullversion)" "$(version bazel-bootstrap)" \
    "$(version libtbb-dev)" "$(version libabsl-dev)"
  tools/bazel.sh test --color=no --curses=no --noshow_progress --keep_going '"$targets"

status=0
echo "| release | g++ | Bazel | oneTBB | Abseil | tests |"
echo "|---|---|---|---|---|---|"
for release in "${releases[@]}"; do
  log=$roots/$release.log
  result=passed
  tools/debian.sh "${options[@]}" "$release" "$COMMAND" >"$log" 2>&1 || {
    result="failed, see $log"
    status=1
  }
  passed=$(grep --count -E '^//.* PASSED in' "$log" || true)
  all=$(grep --count -E '^//.*(PASSED|FAILED|TIMEOUT|FLAKY|NO STATUS|FAILED TO BUILD)' "$log" || true)
  # A release of which no root could be made has nothing to describe.
  versions=$(sed -n 's/^versions: //p' "$log")
  echo "| $release | ${versions:-– | – | – | –} | $passed of $all $result |"
done
exit "$status"
