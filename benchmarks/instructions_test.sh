#!/bin/bash
#
# Fails if an operation takes more instructions than it may: see instructions.py.

set -euo pipefail

if ! command -v valgrind >/dev/null; then
  echo "instructions_test.sh: SKIPPED: valgrind is not installed (tools/setup.sh --dev installs it)" >&2
  exit 0
fi
exec python3 benchmarks/instructions.py \
  --program benchmarks/instructions --pic-program benchmarks/instructions_pic
