#!/bin/bash
#
# Shows what taskctx is for, on real input: eight users' searches over /usr/include at once, first
# with a thread_local that carries their requests' ids, then with the context.
# Installs what is missing (as root or with sudo), builds, runs, and checks the counts against grep.

set -euo pipefail

readonly USAGE="Usage: tools/demo.sh

Searches /usr/include for eight queries at once, with a thread_local and with a context, and checks
the results against grep. Installs and builds what it needs."

readonly ROOT=/usr/include
readonly QUERIES=(
  'alice/1=#include' 'alice/2=size_t' 'bob/1=noexcept' 'bob/2=std::'
  'carol/1=template' 'carol/2=TODO' 'dave/1=struct' 'dave/2=virtual'
)

die() {
  echo "tools/demo.sh: $1" >&2
  exit 1
}

# Runs a command, and shows what it said only if it failed.
quietly() {
  local log
  if ! log="$("$@" 2>&1)"; then
    echo "$log" >&2
    die "'$*' failed, see above"
  fi
}

# Prints one column of the rows of a table, the first being 1.
column() {
  awk -v column="$1" -v rows="${#QUERIES[@]}" 'NR > 1 && NR <= rows + 1 { print $column }'
}

sum() {
  awk '{ sum += $1 } END { print sum + 0 }'
}

run_search() {
  "$program" --threads=8 --carrier="$1" "$ROOT" "${QUERIES[@]}"
}

case "${1:-}" in
  "") ;;
  -h | --help)
    echo "$USAGE"
    exit 0
    ;;
  *)
    echo "tools/demo.sh: unknown argument '$1'" >&2
    echo "$USAGE" >&2
    exit 2
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh
echo "Building the search program ..."
quietly tools/bazel.sh build -c opt //tools:search
program="$(tools/bazel.sh info -c opt bazel-bin 2>/dev/null)/tools/search"

cat <<EOT

Four users send eight queries, over all of $ROOT, to one pool of eight threads.
Each query is a job; its files are the leaves of a parallel loop, which idle threads steal. Deep in
a leaf, a function records each matching line. It is told the line, but not whose query it is.

1. The request's id is in a thread_local that each job sets where it starts. A stolen leaf runs on
   a thread where nobody has set it, so its lines are lost:

EOT
table="$(run_search thread_local)" || die "the search with the thread_local failed"
echo "$table"
lost="$(column 6 <<<"$table" | sum)"
wrong="$(column 5 <<<"$table" | sum)"
((wrong + lost > 0)) || die "the thread_local went wrong nowhere: nothing was stolen, which is odd"

cat <<EOT

   $lost lines lost, $wrong credited to somebody else. An audit that knows the truth counts them.

2. The request's id is in the job's context. taskctx carries it to each leaf, on whichever thread:

EOT
table="$(run_search context)" || die "the search with the context failed"
echo "$table"
[[ "$(column 5 <<<"$table" | sum) $(column 6 <<<"$table" | sum)" == "0 0" ]] ||
  die "the context has lost a line, or credited it to somebody else"

cat <<EOT

   Leaves were stolen as before, but every line is credited to the request that it belongs to.

3. Does the program find what there is? grep counts one query at a time:

EOT
mapfile -t lines < <(column 3 <<<"$table")
for i in "${!QUERIES[@]}"; do
  id="${QUERIES[i]%%=*}"
  text="${QUERIES[i]#*=}"
  expected="$({ LC_ALL=C grep -rIcF -- "$text" "$ROOT" || true; } | sed 's/.*://' | sum)"
  printf '   %-8s %-10s %8d lines\n' "$id" "$text" "$expected"
  [[ "${lines[i]}" == "$expected" ]] ||
    die "$id has ${lines[i]} lines of '$text', but grep finds $expected"
done
echo
echo "   All counts are the same."
