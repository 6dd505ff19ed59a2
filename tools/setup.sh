#!/bin/bash
#
# Installs the Debian packages that taskctx is built, tested and worked on with.
# Does and says nothing if all of them are there. Needs root or sudo.

set -euo pipefail

readonly USAGE="Usage: tools/setup.sh [--dev] [--peers]

Installs the Debian packages that taskctx is built and tested with.

  --dev    also those for working on it: Clang, clang-format, clang-tidy, shellcheck,
           valgrind, matplotlib, Asio
  --peers  also the libraries that tools/bench_report.sh --peers compares it with, as far as this
           release has them: OpenTelemetry, Boost.Fiber, Boost.Thread, Qt
  --help   print this and exit"

# bazel-rules-java and -proto are what Bazel 4 would otherwise download.
readonly BUILD_PACKAGES=(
  bazel-bootstrap bazel-rules-java bazel-rules-proto g++ git pkg-config python3
  libabsl-dev libbenchmark-dev libgmock-dev libgtest-dev libtbb-dev
)
readonly DEV_PACKAGES=(libasio-dev python3-matplotlib shellcheck valgrind)
readonly DEV_PACKAGES_OF_SOME_RELEASES=(clang-16 clang-format-16 clang-tidy-16 libclang-rt-16-dev)
readonly PEERS_OF_SOME_RELEASES=(libboost-fiber-dev libboost-thread-dev opentelemetry-cpp-dev qtbase5-dev)

die() {
  echo "tools/setup.sh: $1" >&2
  exit 1
}

is_installed() {
  [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

is_available() {
  apt-cache show "$1" >/dev/null 2>&1
}

# Runs apt-get as root, and shows what it said only if it failed.
apt_get() {
  local log
  if ! log="$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@" 2>&1)"; then
    echo "$log" >&2
    die "apt-get $1 failed, see above"
  fi
}

packages=("${BUILD_PACKAGES[@]}")
optional=()
for argument in "$@"; do
  case "$argument" in
    --dev)
      packages+=("${DEV_PACKAGES[@]}")
      optional+=("${DEV_PACKAGES_OF_SOME_RELEASES[@]}")
      ;;
    --peers) optional+=("${PEERS_OF_SOME_RELEASES[@]}") ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    *)
      echo "tools/setup.sh: unknown option '$argument'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
  esac
done

# Sets `missing`. A package that not every release has counts only where the package lists have it.
find_missing() {
  local package
  missing=()
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  for package in ${optional[@]+"${optional[@]}"}; do
    is_installed "$package" || ! is_available "$package" || missing+=("$package")
  done
}

command -v apt-get >/dev/null || die "this is no Debian: there is no apt-get"

find_missing
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ "$(id -u)" -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  die "packages are missing (${missing[*]}): run this as root, or install sudo"
fi

apt_get update
find_missing  # Once more, with fresh lists.
for package in "${missing[@]}"; do
  is_available "$package" || die "the package lists of this machine have no package $package"
done

echo "Installing ${missing[*]}"
apt_get install --yes --no-install-recommends "${missing[@]}"
