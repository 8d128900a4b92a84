#!/usr/bin/env bash
# Builds the libFuzzer targets (clang and its runtime: Debian's clang, libclang-rt-14-dev) and runs each for SECONDS.
# Exits 1 at the first finding; the input that found it is left beside the target in build/fuzz.
#   [SEED=1] tools/fuzz.sh SECONDS [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [TARGET ...]}
shift
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in cpp/fuzz/fuzz_*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi
cd build/fuzz
run_target() {
  mkdir -p "corpus/$1"
  "./$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 ${SEED:+-seed="$SEED"} \
    "corpus/$1" 2>"$1.log" || { tail -40 "$1.log"; return 1; }
  echo "==> $1, $seconds s"
  grep -E "stat::(number_of_executed_units|peak_rss_mb)|^Done" "$1.log"
}
for ((i = 0; i < ${#targets[@]}; i += 2)); do  # two at a time
  running=()
  for target in "${targets[@]:i:2}"; do
    run_target "$target" &
    running+=($!)
  done
  for pid in "${running[@]}"; do wait "$pid"; done
done
