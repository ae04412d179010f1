#!/usr/bin/env bash
# Plants known bugs, one at a time, and expects the named tests to go red.
#
#   run.sh             all of them, in a copy of the tree; a quarter of an hour on two cores
#   run.sh NAME...     those
#   run.sh --check     only whether each still applies, and names tests that exist; seconds
#   run.sh --in KIND   only whether the tests of a kind are in what `cargo test ... -- --list` says of it
#
# A patch begins with what the bug is, then a line "Red: KIND TEST" for each test. KIND is core (the
# library without the node), node (with it), loom (a model of threads) or it (tests/it). KIND may be market:
# what follows are flags of `loadtest market`, which must end with 1.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0

only_check=
if [[ ${1:-} == --check ]]; then
  only_check=yes
  shift
fi
in_kind=
if [[ ${1:-} == --in ]]; then
  in_kind=$2
  shift 2
fi
names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for patch in tests/planted/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

reds() { sed -n 's/^Red: //p' "$tree/tests/planted/$1.patch"; }

# A test that is built with another kind never runs, and so is never red.
if [[ -n $in_kind ]]; then
  listed=$(mktemp)
  trap 'rm -f "$listed"' EXIT
  sed -n 's/: test$//p' >"$listed"
  missing=0
  for name in "${names[@]}"; do
    while read -r kind test; do
      if [[ $kind == "$in_kind" ]] && ! grep -qxF "$test" "$listed"; then
        echo "$name: $test is no test of $in_kind"
        missing=1
      fi
    done < <(reds "$name")
  done
  exit "$missing"
fi

# A patch that does not apply, or names no test, proves nothing.
check() {
  local name=$1 kind test
  git apply --check "tests/planted/$name.patch" || { echo "$name does not apply"; return 1; }
  [[ -n $(reds "$name") ]] || { echo "$name names no test"; return 1; }
  while read -r kind test; do
    [[ $kind == market ]] && continue
    git grep -qE "fn ${test##*::}\(" -- src tests || { echo "$name: there is no test $test"; return 1; }
  done < <(reds "$name")
}

failed=0
for name in "${names[@]}"; do check "$name" || failed=1; done
[[ $failed -eq 0 ]] || exit 1
if [[ -n $only_check ]]; then
  echo "${#names[@]} planted bugs apply"
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch"
# What is compiled of others is shared; this tree has another path than the copy.
targets=${CARGO_TARGET_DIR:-$tree/target}
cd "$scratch"
export targets

run_cargo() {
  local kind=$1
  shift
  case $kind in
    core) cargo test -q --locked --target-dir "$targets" --lib --no-default-features "$@" ;;
    node) cargo test -q --locked --target-dir "$targets" --lib "$@" ;;
    it) cargo test -q --locked --target-dir "$targets" --test it "$@" ;;
    loom) RUSTFLAGS="--cfg haoyuan_loom" cargo test -q --locked --target-dir "$targets/loom" \
      --lib --no-default-features "$@" ;;
    *) echo "there is no kind $kind" >&2; return 1 ;;
  esac
}

export -f run_cargo

# The load test against the node: its oracle or its measures must find the bug.
market_verdict() {
  local code=0
  cargo build -q --locked --target-dir "$targets" --workspace --bins >log 2>&1 ||
    { echo "does not compile"; return; }
  # Flags are words.
  # shellcheck disable=SC2086
  timeout 300 "$targets/debug/loadtest" market $1 >log 2>&1 || code=$?
  case $code in
    0) echo "green" ;;
    1) echo "red" ;;
    124) echo "hangs" ;;
    *) echo "not run" ;;
  esac
}

# Prints red, green, or what kept the test from being run. The log is in $scratch/log.
verdict() {
  local kind=$1 test=$2 code=0
  [[ $kind == market ]] && { market_verdict "$test"; return; }
  run_cargo "$kind" --no-run >log 2>&1 || { echo "does not compile"; return; }
  timeout 300 bash -c 'run_cargo "$@"' - "$kind" -- --exact "$test" >log 2>&1 || code=$?
  if [[ $code -eq 124 ]]; then echo "hangs"
  elif ! grep -q '^running 1 test' log; then echo "not run"
  elif [[ $code -eq 0 ]]; then echo "green"
  else echo "red"; fi
}

printf '%-28s %-5s %-7s %s\n' bug kind found test
for name in "${names[@]}"; do
  git apply "$tree/tests/planted/$name.patch"
  while read -r kind test; do
    found=$(verdict "$kind" "$test")
    printf '%-28s %-5s %-7s %s\n' "$name" "$kind" "$found" "$test"
    if [[ $found != red ]]; then
      failed=1
      tail -n 20 log | sed 's/^/  | /'
    fi
  done < <(reds "$name")
  git apply -R "$tree/tests/planted/$name.patch"
done

# Red means something only where the same tests are green without the bug.
while read -r kind test; do
  found=$(verdict "$kind" "$test")
  [[ $found == green ]] || { failed=1; printf '%-28s %-5s %-7s %s\n' "(no bug)" "$kind" "$found" "$test"; }
done < <(for name in "${names[@]}"; do reds "$name"; done | sort -u)
[[ $failed -eq 0 ]] && echo "every bug was found, and nothing without one"
exit "$failed"
