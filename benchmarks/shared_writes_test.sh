#!/bin/bash
#
# Fails if an operation writes more to lines that threads share than it may: see shared_writes.py.

set -euo pipefail

exec python3 benchmarks/shared_writes.py --program=benchmarks/shared_writes
