#!/bin/bash
#
# Runs a command on another Debian release, in a copy of the tree.
#
#   tools/debian.sh trixie 'tools/bazel.sh test //tests:all'

set -euo pipefail

readonly USAGE="Usage: tools/debian.sh [option]... RELEASE COMMAND

Runs a shell command on a Debian release such as trixie, in a root of its own, as that root's user
root and in a copy of the tree. A root that is missing is made with debootstrap, and gets what
tools/setup.sh --dev installs: that needs the network, later runs don't. Needs root.

  --roots=DIR      where the roots are (default: \$XDG_CACHE_HOME/taskctx/roots)
  --mirror=URL     where packages come from (default: http://deb.debian.org/debian)
  --take=FILE      copies this file of the tree back when the command has succeeded; may be repeated
  --help           print this and exit

Exits as the command does, or with another error if the root can't be made ready. The roots stay: nothing of
the machine is mounted in them but while they are in use, in a namespace that ends with that."

die() {
  echo "tools/debian.sh: $1" >&2
  exit 2
}

roots=${XDG_CACHE_HOME:-$HOME/.cache}/taskctx/roots
mirror=http://deb.debian.org/debian
files=()
words=()
for argument in "$@"; do
  case "$argument" in
    --roots=?*) roots=${argument#*=} ;;
    --mirror=?*) mirror=${argument#*=} ;;
    --take=?*) files+=("${argument#*=}") ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    -*)
      echo "tools/debian.sh: unknown option '$argument'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
    *) words+=("$argument") ;;
  esac
done
[[ ${#words[@]} -eq 2 ]] || die "name a release and a command, such as: trixie 'tools/bazel.sh test //tests:all'"
[[ "$(id -u)" == 0 ]] || die "needs root, for debootstrap and chroot"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
readonly root=$roots/${words[0]}

# Runs a script in the root, with the tree in /taskctx. What is mounted there is seen by nobody else,
# and goes with the namespace; of the machine's own file systems nothing is mounted.
in_root() {
  # shellcheck disable=SC2016 # To be expanded in there.
  unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    mkdir -p "$1/proc" "$1/dev/shm"
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/dev/shm"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive bash -euc "cd /taskctx; $2"' in_root "$root" "$1"
}

make_root() {
  command -v debootstrap >/dev/null || die "debootstrap is not installed"
  # Under another name until it is whole, so that the next run does not take a part for it.
  debootstrap --variant=minbase "${words[0]}" "$root.new" "$mirror"
  mv "$root.new" "$root"
}

copy_tree() {
  mkdir -p "$root/taskctx"
  # What was deleted here must not stay there; Bazel's own folders are elsewhere.
  find "$root/taskctx" -xdev -mindepth 1 -delete
  git ls-files -z | tar --null --files-from=- -cf - | tar -C "$root/taskctx" -xf -
}

[[ -d "$root/usr" ]] || make_root
copy_tree
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Bazel's own sandbox wants namespaces that a chroot does not give.
in_root 'echo build --spawn_strategy=local >~/.bazelrc; tools/setup.sh --dev' >&2
in_root "${words[1]}"
for file in ${files[@]+"${files[@]}"}; do
  cp "$root/taskctx/$file" "$file"
done
