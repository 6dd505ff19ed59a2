#!/bin/bash
#
# Runs the benchmarks and reports: a table, a chart, and whether the goals are met.

set -euo pipefail

readonly USAGE="Usage: tools/bench_report.sh [option]...

Builds the benchmarks with -c opt, runs them (nine repetitions, interleaved, in three rounds), prints
tables, and writes benchmarks/results/<date>-<cpu>.json, .md and .svg.

  --quick          three repetitions in one round, and no files: for a first impression
  --filter=REGEX   only the benchmarks whose name matches, and no files
  --instructions   also count instructions, under valgrind
  --shared-writes  also count what is written to cache lines that threads share, of oneTBB's own, too, and
                   foretell throughput on many cores: needs the benchmarks 'scale/|G8/leaf'
  --peers          instead of all that: taskctx beside what other libraries have for a value of a task or a
                   thread, those that tools/setup.sh --peers installs; with --readme also the chart
                   results/peers.svg, and benchmarks/README.md
  --debian=RELEASE with --peers: in a root of that Debian release, made by tools/debian.sh; trixie has them all
  --readme         also show the results in README.md and benchmarks/README.md; writes files in any case
  --config=NAME    build with Bazel's --config=NAME, such as clang
  --help           print this and exit

Exits with 1 if a goal is missed by more than the noise that was measured, with 2 if something else
goes wrong. BAZEL names another Bazel than tools/bazel.sh, with options if need be."

die() {
  echo "tools/bench_report.sh: $1" >&2
  exit 2
}

rounds=3
filter=""
with_instructions=""
with_shared_writes=""
with_readme=""
with_peers=""
writes=1
release=""
options=()
python=python3
build_options=(-c opt)
for argument in "$@"; do
  [[ "$argument" == --debian=* ]] || options+=("$argument")
  case "$argument" in
    --quick)
      rounds=1
      writes=""
      ;;
    --filter=?*)
      filter="${argument#*=}"
      writes=""
      ;;
    --instructions) with_instructions=1 ;;
    --shared-writes) with_shared_writes=1 ;;
    --peers) with_peers=1 ;;
    --debian=?*) release="${argument#*=}" ;;
    --readme) with_readme=1 ;;
    --config=?*) build_options+=("$argument") ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    *)
      echo "tools/bench_report.sh: unknown option '$argument'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
  esac
done
readonly REPETITIONS=3 # In each round.

cd "$(dirname "$0")/.."
read -ra bazel <<<"${BAZEL:-tools/bazel.sh}"
if [[ -n "$with_readme" ]]; then
  [[ -z "$filter" ]] || die "--readme needs all benchmarks: leave out --filter"
  writes=1
elif [[ -n "$with_peers" ]]; then
  writes=""
fi
[[ -z "$with_peers" || -z "$with_instructions$with_shared_writes" ]] ||
  die "--peers measures nothing else: leave out --instructions and --shared-writes"

if [[ -n "$release" ]]; then
  [[ -n "$with_peers" ]] || die "--debian is for --peers only"
  takes=()
  [[ -z "$writes" ]] || takes=(--take=benchmarks/README.md --take=benchmarks/results/peers.svg)
  exec tools/debian.sh ${takes[@]+"${takes[@]}"} "$release" \
    "tools/setup.sh --peers >&2; tools/bench_report.sh$(printf ' %q' "${options[@]}")"
fi

command -v bazel >/dev/null || die "Bazel is not installed: run tools/setup.sh"
if [[ -n "$writes" ]]; then
  # Debian's matplotlib belongs to Debian's Python, which need not be the first one in PATH.
  python3 -c 'import matplotlib' 2>/dev/null || python=/usr/bin/python3
  "$python" -c 'import matplotlib' 2>/dev/null || die "matplotlib is not installed: run tools/setup.sh --dev"
fi
if [[ -n "$with_instructions" ]]; then
  command -v valgrind >/dev/null || die "valgrind is not installed: run tools/setup.sh --dev"
fi

temporary="$(mktemp -d)"
trap 'rm -rf "$temporary"' EXIT

# Runs a command, and shows what it said only if it failed.
quietly() {
  "$@" >"$temporary/log" 2>&1 || {
    cat "$temporary/log" >&2
    die "$1 failed, see above"
  }
}

# Overwrites the line of progress; says nothing where nobody watches.
progress() {
  [[ ! -t 2 ]] || printf '\r\033[K%s' "$1" >&2
}

# Chooses a peer of peers_bench if its package is installed, or says that it is not.
#
#   peer HEADER PACKAGE MACRO FLAG...   # -l... for the linker, others for the compiler
peer_options=-fPIC
peer() {
  local flag
  if [[ ! -e "$1" ]]; then
    echo "tools/bench_report.sh: $2 is not installed, so its column is missing: see tools/setup.sh --peers" >&2
    return
  fi
  peer_options+=",-D$3"
  for flag in "${@:4}"; do
    case "$flag" in
      -l*) build_options+=("--linkopt=$flag") ;;
      *) peer_options+=",$flag" ;;
    esac
  done
}

if [[ -n "$with_peers" ]]; then
  read -ra otel <<<"$(pkg-config --cflags-only-other --libs-only-l opentelemetry_api 2>/dev/null || true)"
  qt="$(pkg-config --variable=includedir Qt5Concurrent 2>/dev/null || true)"
  peer /usr/include/opentelemetry/context/runtime_context.h opentelemetry-cpp-dev TASKCTX_WITH_OPENTELEMETRY \
    ${otel[@]+"${otel[@]}"}
  peer /usr/include/boost/fiber/fss.hpp libboost-fiber-dev TASKCTX_WITH_BOOST_FIBER -lboost_fiber -lboost_context
  peer /usr/include/boost/thread/tss.hpp libboost-thread-dev TASKCTX_WITH_BOOST_THREAD -lboost_thread
  peer "${qt:-none}/QtCore/QThreadStorage" qtbase5-dev TASKCTX_WITH_QT -lQt5Concurrent -lQt5Core "-isystem$qt"
  # Qt wants code that lies anywhere; all contenders get the same.
  build_options+=("--per_file_copt=benchmarks/peers_bench\\.cc@$peer_options")
  targets=(//benchmarks:peers_bench)
  programs=(peers)
else
  targets=(//benchmarks:all)
  programs=(context pool memory)
fi

progress "building"
quietly "${bazel[@]}" build "${build_options[@]}" "${targets[@]}"
bin="$("${bazel[@]}" info "${build_options[@]}" bazel-bin 2>/dev/null)"
mkdir "$temporary/bin"
for program in "${programs[@]}"; do
  cp "$bin/benchmarks/${program}_bench" "$temporary/bin"
done
[[ -n "$with_peers" ]] || cp "$bin"/benchmarks/instructions{,_pic} "$bin"/benchmarks/shared_writes "$temporary/bin"

results=()
step=0
for ((round = 1; round <= rounds; ++round)); do
  for program in "${programs[@]}"; do
    step=$((step + 1))
    progress "[$step/$((rounds * ${#programs[@]}))] ${program}_bench, round $round of $rounds, $((SECONDS / 60)) min $((SECONDS % 60)) s"
    result="$temporary/$program.$round.json"
    quietly "$temporary/bin/${program}_bench" \
      "--benchmark_filter=${filter:-.}" \
      --benchmark_min_time=0.05 \
      "--benchmark_repetitions=$REPETITIONS" \
      --benchmark_enable_random_interleaving \
      "--benchmark_out=$result" --benchmark_out_format=json
    [[ ! -s "$result" ]] || results+=("$result")
  done
done

instructions_status=0
shared_writes_status=0
report_options=()
if [[ -n "$with_instructions" ]]; then
  progress "counting instructions"
  python3 benchmarks/instructions.py --program "$temporary/bin/instructions" \
    --pic-program "$temporary/bin/instructions_pic" --limits=goals \
    >"$temporary/instructions" 2>"$temporary/instructions.errors" || instructions_status=$?
  report_options+=("--instructions=$temporary/instructions")
fi
readme_options=()
if [[ -n "$with_readme" ]]; then
  readme_options=(--readme)
fi
if [[ -n "$with_shared_writes" ]]; then
  progress "counting shared writes"
  python3 benchmarks/shared_writes.py --program="$temporary/bin/shared_writes" --onetbb \
    --json="$temporary/counts.json" ${readme_options[@]+"${readme_options[@]}"} \
    >"$temporary/shared_writes" 2>"$temporary/shared_writes.errors" || shared_writes_status=$?
fi
progress ""

[[ ${#results[@]} -gt 0 ]] || die "no benchmark's name matches '$filter'"

# A copy in another root has no history.
commit="$(git rev-parse --short HEAD 2>/dev/null)" || commit=unknown
[[ -z "$(git status --porcelain -- include lib benchmarks 2>/dev/null)" ]] || commit+=", changed"
cpu="$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
today="$(date +%F)"
libraries=""
for module in tbb absl_base benchmark; do
  libraries+="${libraries:+, }$module $(pkg-config --modversion "$module")"
done
common_options=(
  "--context=commit=$commit" "--context=date=$today" "--context=cpu=$cpu, $(nproc) cores"
  "--context=libraries=$libraries" "--context=repetitions=$((rounds * REPETITIONS))"
)
common_options+=(${readme_options[@]+"${readme_options[@]}"})
model_options=(--counts="$temporary/counts.json")
if [[ -n "$writes" ]]; then
  name="$today-$(tr -cs '[:alnum:]\n' '-' <<<"${cpu,,}" | sed 's/-*$//')"
  mkdir -p benchmarks/results
  report_options+=("--output=benchmarks/results/$name")
  model_options+=("--chart=benchmarks/results/$name-scale.svg")
fi

if [[ -n "$with_peers" ]]; then
  [[ -z "$writes" ]] || common_options+=("--chart=benchmarks/results/peers.svg")
  "$python" benchmarks/peers.py "${common_options[@]}" "${results[@]}" || exit 2
  exit 0
fi

status=0
"$python" benchmarks/report.py "${common_options[@]}" ${report_options[@]+"${report_options[@]}"} "${results[@]}" || status=$?
if [[ $instructions_status -ne 0 ]]; then
  cat "$temporary/instructions.errors" >&2
  status=1
fi
if [[ -n "$with_shared_writes" ]]; then
  printf '## Shared writes\n\n'
  cat "$temporary/shared_writes"
  if [[ $shared_writes_status -ne 0 ]]; then
    cat "$temporary/shared_writes.errors" >&2
    status=1
  fi
  if [[ -f "$temporary/counts.json" ]]; then
    printf '\n## On many cores\n\n'
    "$python" benchmarks/scale_model.py "${common_options[@]}" "${model_options[@]}" "${results[@]}" || status=2
  fi
fi
exit "$status"
