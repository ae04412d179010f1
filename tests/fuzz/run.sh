#!/usr/bin/env bash
# Builds and runs the fuzz targets: tests/fuzz/run.sh [--seconds N] [--keep DIR] [target...]
#
#   --seconds N   in total, shared by the targets (default 30)
#   --keep DIR    keep the corpus that grows there (default: a folder that is thrown away)
#   targets       frames records recovery commands documents (default: all)
#
# Prints executions, edges (cov), corpus size and crashes of each; ends with 1 on a crash, with the
# command that shows it again. Stable Rust: the coverage passes of LLVM are switched on by flags, for
# the target only (--target keeps them from build scripts). Needs a C++ compiler for libFuzzer.
set -euo pipefail
cd "$(dirname "$0")"

seconds=30 keep="" targets=()
while (($#)); do
  case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --keep) mkdir -p "$2"; keep=$(cd "$2" && pwd); shift 2 ;;
    -*) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
((${#targets[@]})) || targets=(frames records recovery commands documents)

compiler="${CXX:-c++}"
if ! command -v "$compiler" >/dev/null; then
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends g++; } >/dev/null 2>&1 || true
  fi
  if ! command -v "$compiler" >/dev/null; then
    echo "skipped: fuzz targets need a C++ compiler (g++), and it cannot be installed here"
    exit 0
  fi
fi

host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  --cfg fuzzing
)
# Never the folder of the product: other flags would build it anew each time.
build="${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$PWD/target}-fuzz}"
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$build" \
  cargo build --quiet --release --locked --target "$host" "${targets[@]/#/--bin=}"

work=$(mktemp -d)
# Snapshots are files; in memory they cost little.
memory=$work
if [[ -w /dev/shm ]]; then memory=$(mktemp -d -p /dev/shm haoyuan-fuzz-XXXXXX); fi
export HAOYUAN_FUZZ_DIR=$memory
trap 'rm -rf "$work" "$memory"' EXIT

# A seed from hexadecimal digits.
seed() { printf "$(sed 's/../\\x&/g' <<<"$2")" >"$1"; }

# The golden file gives one of each unit; the first byte tells the target what it is.
seed_golden() {
  local name hex facts length
  while read -r name hex; do
    case $1:$name in
      frames:request.*) seed "$2/$name" "00$hex" ;;
      frames:reply.*) seed "$2/$name" "01$hex" ;;
      frames:fact.*) seed "$2/$name" "02$hex" ;;
      frames:hello.client) seed "$2/$name" "03$hex" ;;
      frames:hello.server) seed "$2/$name" "04$hex" ;;
      frames:push.*) seed "$2/$name" "05$hex" ;;
      frames:frame.*) seed "$2/$name" "0607$hex" ;;
      records:fact.*) seed "$2/$name" "00${hex:32}" ;;
      recovery:fact.*)
        facts=${hex:32} length=$((${#hex} / 2 - 16))
        seed "$2/$name" "$(printf '0000%02x%02x' $((length % 256)) $((length / 256)))$facts"
        ;;
    esac
  done <../it/golden/wire.hex
}

seed_documents() {
  { printf '\x00' && cat seeds/config.toml; } >"$1/config.toml"
  { printf '\x01' && cat seeds/sessions.toml; } >"$1/sessions.toml"
  { printf '\x02' && cat seeds/sessions.json; } >"$1/sessions.json"
  { printf '\x03' && cat seeds/table.csv; } >"$1/table.csv"
  { printf '\x01' && cat ../../docs/examples/sessions.toml; } >"$1/sessions-terms.toml"
  for example in schedule schedule-draw schedule-waitlist; do
    { printf '\x81' && cat "../../docs/examples/$example.toml"; } >"$1/$example.toml"
  done
  { printf '\x80' && cat ../../docs/examples/calendar-china-2026.toml; } >"$1/calendar.toml"
}

crashes=0
each=$((seconds / ${#targets[@]}))
((each)) || each=1
for target in "${targets[@]}"; do
  corpus=${keep:-$work}/$target
  mkdir -p "$corpus" artifacts
  seed_golden "$target" "$corpus"
  if [[ $target == documents ]]; then seed_documents "$corpus"; fi
  if [[ -f corpus/$target.tar.gz ]]; then tar -xzf "corpus/$target.tar.gz" -C "$corpus"; fi
  options=(-max_total_time="$each" -max_len=8192 -timeout=30 -rss_limit_mb=2048)
  options+=(-print_final_stats=1 -artifact_prefix="$PWD/artifacts/$target-")
  if [[ $target == documents ]]; then options+=(-dict=documents.dict); fi
  log=$work/$target.log
  found="" start=$SECONDS
  "$build/$host/release/$target" "${options[@]}" "$corpus" >"$log" 2>&1 || found=yes
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  cov=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
  size=$(sed -n 's/.* corp: \([^ ]*\).*/\1/p' "$log" | tail -1)
  printf '%-9s %9s executions  %5s edges  %12s corpus  %s crashes\n' \
    "$target" "${runs:-?}" "${cov:-?}" "${size:-?}" "$([[ $found ]] && echo 1 || echo 0)"
  if [[ $found ]]; then
    crashes=$((crashes + 1))
    echo "$target crashed after $((SECONDS - start)) s"
    grep -E -A4 'panicked at|ERROR: libFuzzer' "$log" | head -12
    unit=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    echo "again: $build/$host/release/$target ${unit:-(see above)}"
  fi
done
((crashes == 0))
