#!/bin/bash
#
# Builds a oneTBB that ThreadSanitizer understands, from Debian's source package of the version that
# is installed, once, in a cache folder, and prints the folder of its tbb.pc. The compiler is the
# default one: tests must be built with the same.

set -euo pipefail

fail() {
  echo "tools/tsan_tbb.sh: $1" >&2
  exit 1
}

version=$(dpkg-query --show --showformat='${source:Version}' libtbb-dev 2>/dev/null) ||
  fail "libtbb-dev is not installed: tools/setup.sh installs it"
compiler=$(c++ -dumpfullversion 2>/dev/null) || fail "there is no C++ compiler"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/taskctx/tsan-tbb-$version-$(uname -m)-$compiler
readonly version compiler cache
if [[ -f "$cache/lib/tbb.pc" ]]; then
  echo "$cache/lib"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# Fetches the package with lists of its own, so that nothing of the system's is touched.
fetch() {
  mkdir -p "$work/lists/partial" "$work/source"
  # shellcheck disable=SC1091
  . /etc/os-release
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "${TASKCTX_DEBIAN_MIRROR:-http://deb.debian.org/debian} ${VERSION_CODENAME:-sid} main" \
    >"$work/sources.list"
  local -a options=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User=root)
  cd "$work/source"
  apt-get "${options[@]}" update && apt-get "${options[@]}" --download-only source onetbb &&
    tar --strip-components=1 -xf onetbb_*.orig.tar.*
}
if ! (fetch) >"$work/log" 2>&1; then
  fail "cannot fetch oneTBB's source package from Debian: $(tail -n 1 "$work/log")"
fi

compile() {
  local -a flags=(-std=c++17 -O1 -g -fPIC -w -fsanitize=thread -D__TBB_BUILD
    -D__TBB_DYNAMIC_LOAD_ENABLED=0 -D__TBB_SOURCE_DIRECTLY_INCLUDED=1 "-I$work/source/include"
    "-I$work/source/src")
  if [[ "$(uname -m)" == x86_64 ]]; then
    flags+=(-mwaitpkg)
  fi
  mkdir -p "$work/lib"
  cd "$work/lib"
  printf '%s\0' "$work"/source/src/tbb/*.cpp |
    xargs -0 --max-args=1 --max-procs="$(nproc)" c++ "${flags[@]}" -c &&
    ar rcs libtbb.a ./*.o && rm ./*.o
}
if ! (compile) >"$work/log" 2>&1; then
  fail "cannot compile oneTBB: $(grep --max-count=1 error "$work/log" || tail -n 1 "$work/log")"
fi

cat >"$work/lib/tbb.pc" <<PC
libdir=$cache/lib
includedir=$cache/include

Name: oneTBB
Description: oneTBB $version with ThreadSanitizer
Version: ${version%%-*}
Libs: -L\${libdir} -ltbb -ldl
Cflags: -I\${includedir}
PC
# In place at once or not at all.
mkdir -p "$(dirname "$cache")"
mkdir "$work/result"
mv "$work/lib" "$work/source/include" "$work/result"
mv -T "$work/result" "$cache" 2>/dev/null || cp -rT "$work/result" "$cache"
echo "$cache/lib"
