#!/usr/bin/env bash
# Counts the instructions of the hot paths of engine and codec under callgrind, and compares them with what
# is written down in instructions.txt. A machine that is busy does not change them; a compiler does.
#
#   instructions.sh           ends with 1 where a path takes over 5 % more than written down
#   instructions.sh --write   writes down what it counts; say in the commit why it is more
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=benches/instructions.txt
percent=5
touch "$baseline"

skip() {
  echo "skipped: $*"
  exit 0
}

if ! command -v valgrind >/dev/null; then
  (apt-get update && apt-get install -y --no-install-recommends valgrind) >/dev/null 2>&1 ||
    skip "valgrind is not installed, and cannot be; on Debian: apt install valgrind"
fi
# What decides the count besides our code: the compiler, the C library (copying, memory) and the processor.
here="$(rustc --version), $(ldd --version 2>&1 | head -n 1), $(uname -m)"
written=$(sed -n 's/^# //p' "$baseline" | head -n 1)
if [[ ${1:-} != --write && $written != "$here" ]]; then
  skip "the counts are of $written, this is $here"
fi

# Code is cut into units otherwise where a caller's environment asks for incremental builds or for flags.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
export CARGO_INCREMENTAL=0

program=$(cargo build --quiet --profile counts --bench instructions --no-default-features --locked \
  --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
turns=$("$program" --list | sed -n 's/^turns //p')

# The instructions of one turn. Only what happens inside of `counted` counts.
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
    --toggle-collect='*instructions*counted*' "$program" "$1" 2>&1 |
    sed -n 's/.*Collected : //p' | awk -v turns="$turns" '{ printf "%d", $1 / turns }'
}

found=$(mktemp)
trap 'rm -f "$found"' EXIT
printf '# %s\n' "$here" >"$found"
worse=0
printf '%-28s %8s %8s\n' "instructions a turn" now written
while read -r name; do
  now=$(count "$name")
  [[ ${now:-0} -gt 0 ]] || { echo "$name: nothing was counted" >&2; exit 1; }
  before=$(sed -n "s/^$name: //p" "$baseline")
  printf '%s: %d\n' "$name" "$now" >>"$found"
  printf '%-28s %8d %8s\n' "$name" "$now" "${before:--}"
  if [[ ${1:-} != --write && $((now * 100)) -gt $((${before:-0} * (100 + percent))) ]]; then
    echo "  over $percent % more than written down" >&2
    worse=1
  fi
done < <("$program" --list | grep -v '^turns ')
if [[ ${1:-} == --write ]]; then
  cp "$found" "$baseline"
fi
exit "$worse"
