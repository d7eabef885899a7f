#!/usr/bin/env bash
# Prints the instructions of one warm get and drop, for each function of `count.rs`, or with --write puts them into
# `instructions.txt`, which `.ci/hot_path` compares. Needs valgrind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

calls=1000
cargo build --quiet --release --bin count
binary=${CARGO_TARGET_DIR:-target}/release/count

count() {
    rustc -V
    printf '%-30s %s\n' function 'instructions a pair'
    for function in $("$binary"); do
        # `Collected : N` is what ran between entering and leaving the function, over all calls.
        collected=$(valgrind --tool=callgrind --collect-atstart=no --toggle-collect="$function" \
            --callgrind-out-file=/dev/null "$binary" "$function" "$calls" 2>&1 | awk '/Collected :/ { print $NF }')
        awk -v function_name="$function" -v n="$collected" -v calls="$calls" \
            'BEGIN { printf "%-30s %.1f\n", function_name, n / calls }'
    done
}

case ${1-} in
    '') count ;;
    --write)
        counted=$(count)
        printf '%s\n' "$counted" | tee instructions.txt
        ;;
    *) echo "usage: count.sh [--write]" && exit 2 ;;
esac
