#!/bin/sh
# Fuzzes the code that reads bytes from the network:
#
#   npm run fuzz [-- [seconds per target, default 60] [target ...]]
#
# It needs a C++ compiler (libfuzzer-sys builds libFuzzer) and any Rust toolchain, even stable:
# coverage comes from plain codegen flags. cargo-fuzz, nightly and RUSTC_BOOTSTRAP=1 are not needed,
# because AddressSanitizer is left out: the crates forbid unsafe code. With cargo-fuzz and nightly,
# `cargo +nightly fuzz run <target>` in the folder of a crate works too.
#
# A run begins with the inputs in fuzz/seeds/<target> and fuzz/corpus/<target>. It adds what it finds
# to the corpus, and the next run continues from there. An input that breaks a rule is written to
# fuzz/artifacts/<target>/ and ends the script, which prints the command that runs it again. Once the
# fault is fixed, add the input to the seeds: the tests of the crate run them.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-60}
case $seconds in '' | *[!0-9]*)
    echo "usage: $0 [seconds per target] [target ...]" >&2
    exit 2 ;;
esac
[ $# -eq 0 ] || shift
wanted="$*"
[ -n "$wanted" ] || wanted=$(cd crates && for file in */fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done)

command -v cargo >/dev/null || { echo "fuzzing needs cargo" >&2; exit 1; }
command -v "${CXX:-c++}" >/dev/null || { echo "fuzzing needs a C++ compiler (c++, or CXX)" >&2; exit 1; }

target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
# The same instrumentation that cargo-fuzz asks for. An explicit --target keeps build scripts out of it.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"

built=
for target in $wanted; do
    set -- crates/*/fuzz/fuzz_targets/"$target".rs
    [ -f "$1" ] || { echo "there is no target $target" >&2; exit 2; }
    fuzz=${1%/fuzz_targets/*}
    if [ "$built" != "$fuzz" ]; then
        RUSTFLAGS="$flags" cargo build --release --manifest-path "$fuzz/Cargo.toml" --target "$host" --target-dir "$target_dir"
        built=$fuzz
    fi
    mkdir -p "$fuzz/corpus/$target" "$fuzz/artifacts/$target"
    seeds=
    [ ! -d "$fuzz/seeds/$target" ] || seeds=$fuzz/seeds/$target
    binary=$target_dir/$host/release/$target
    echo "== $target, $seconds s"
    # shellcheck disable=SC2086 # no seeds, no argument
    "$binary" -max_total_time="$seconds" -max_len=2048 -use_value_profile=1 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$fuzz/artifacts/$target/" "$fuzz/corpus/$target" $seeds || {
        echo "$target failed; again: $binary $fuzz/artifacts/$target/<file>" >&2
        exit 1
    }
done
