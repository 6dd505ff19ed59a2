#!/bin/bash
#
# Runs Bazel in the current folder with the dependencies from the system's packages: no network.
#
#   tools/bazel.sh test //...
#
# Bazel 7 would ask the central registry for them, unless it is told not to; Bazel 4 does not know
# that option.

set -euo pipefail

command -v bazel >/dev/null || {
  echo "tools/bazel.sh: Bazel is not installed: run tools/setup.sh" >&2
  exit 1
}

command="$1"
shift
options=()
# Not through a pipe to grep --quiet: that ends at the first match, and Bazel with SIGPIPE then.
if [[ "$(bazel help build --short 2>/dev/null)" == *enable_bzlmod* ]]; then
  options=(--noenable_bzlmod)
fi
exec bazel "$command" ${options[@]+"${options[@]}"} "$@"
