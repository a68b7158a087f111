#!/bin/sh
# Fuzzes the protocol: fuzz/run.sh [seconds per target, default 60] [target ...]
#
# Needs a C++ compiler (libfuzzer-sys builds libFuzzer) and any Rust toolchain, stable included: coverage comes
# from plain codegen flags. Neither cargo-fuzz, nor nightly, nor RUSTC_BOOTSTRAP=1 is needed, for AddressSanitizer
# is left out: the crate forbids unsafe code. Who has cargo-fuzz and nightly can also use
# `cargo +nightly fuzz run <target>` in the crate's folder.
#
# The corpus stays in fuzz/corpus/<target>, so that each run goes on where the last one ended. An input that breaks a
# rule is written to fuzz/artifacts/<target>/ and ends the script; run it again with the command it prints.
set -eu
cd "$(dirname "$0")"

seconds=${1:-60}
case $seconds in '' | *[!0-9]*)
    echo "usage: $0 [seconds per target] [target ...]" >&2
    exit 2 ;;
esac
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- parser close differential inflate extension

command -v cargo >/dev/null || { echo "fuzzing needs cargo" >&2; exit 1; }
command -v "${CXX:-c++}" >/dev/null || { echo "fuzzing needs a C++ compiler (c++, or CXX)" >&2; exit 1; }

target_dir=${CARGO_TARGET_DIR:-$PWD/target}
host=$(rustc -vV | sed -n 's/^host: //p')

# The same instrumentation that cargo-fuzz asks for. An explicit --target keeps it away from build scripts.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    cargo build --release --target "$host" --target-dir "$target_dir"

for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    binary="$target_dir/$host/release/$target"
    echo "== $target, $seconds s"
    "$binary" -max_total_time="$seconds" -max_len=2048 -use_value_profile=1 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" || {
        echo "$target failed; again: $binary fuzz/artifacts/$target/<file>" >&2
        exit 1
    }
done
