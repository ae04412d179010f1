#!/usr/bin/env bash
# Shows that the fuzz targets find a bug: plants one in a decoder (planted.patch), in a copy of the
# source, and expects the target `frames` to crash there within 60 seconds. No corpus is kept: all
# that is known at the start is the golden file.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c -C "$root" --exclude=.git --exclude=target --exclude='target-fuzz' --exclude=artifacts \
  --exclude=corpus . | tar -x -C "$copy"
patch --quiet --strip=1 --directory="$copy" <planted.patch

# The folder of run.sh: what is built there of others is used, the planted product is built beside.
export FUZZ_TARGET_DIR="${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$PWD/target}-fuzz}"
if out=$("$copy/tests/fuzz/run.sh" --seconds 60 frames 2>&1); then
  echo "$out"
  echo "the planted bug was not found" >&2
  exit 1
fi
grep -v '^again:' <<<"$out"
grep -q 'src/codec/reading.rs' <<<"$out" || { echo "not the planted bug" >&2; exit 1; }
echo "the planted bug was found"
