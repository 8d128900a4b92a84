#!/usr/bin/env bash
# Builds the libFuzzer targets (clang and its runtime: Debian's clang, libclang-rt-14-dev) and runs each for SECONDS.
# Exits 1 at the first finding; the input that found it is left beside the target in build/fuzz.
#   tools/fuzz.sh SECONDS [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [TARGET ...]}
shift
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in cpp/tests/fuzz_*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi
cd build/fuzz
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  echo "==> $target, $seconds s"
  "./$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 \
    "corpus/$target" 2>"$target.log" || { tail -40 "$target.log"; exit 1; }
  grep -E "stat::(number_of_executed_units|peak_rss_mb)|^Done" "$target.log"
done
