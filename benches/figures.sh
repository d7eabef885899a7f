#!/usr/bin/env bash
# Runs every benchmark and the instruction count, and writes what they print into docs/benchmarks.md, below its marker, and
# docs/rss.svg and docs/allocators/. About eight minutes; needs valgrind, and Go or pip. Each benchmark runs alone, so leave the
# machine to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

page=../docs/benchmarks.md
marker='<!-- benches/figures.sh writes what follows. -->'
grep -qxF -- "$marker" "$page" || { echo "no marker in $page"; exit 1; }
new=$(mktemp)
trap 'rm -f "$new"' EXIT

cargo build --quiet --release --benches --bin count
{
    sed "/^${marker//\//\\/}\$/q" "$page"
    printf '\n%s, commit %s, %s, %s cores, %s.\n' "$(date +%Y-%m-%d)" "$(git rev-parse --short HEAD)" \
        "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1)" "$(nproc)" "$(rustc -V)"
    for bench in pair held mixed pipe pause request breakeven objects; do
        printf '\n`cargo bench --bench %s`\n' "$bench"
        cargo bench --quiet --bench "$bench" | grep -E '^\||^$'
    done
    printf '\n`cargo bench --bench allocators`\n'
    cargo bench --quiet --bench allocators -- --svg-dir ../docs/allocators | grep -E '^\||^$'
    for picture in ../docs/allocators/*.svg; do
        printf '\n![time and resident memory, by contender](allocators/%s)\n' "$(basename "$picture")"
    done
    printf '\n`cargo bench --bench burst`\n'
    cargo bench --quiet --bench burst -- --svg ../docs/rss.svg | grep -E '^\||^$'
    printf '\n![resident memory over time, by contender](rss.svg)\n'
    printf '\n`benches/go/compare.sh`\n'
    go/compare.sh
    printf '\n`benches/count.sh`\n\n```text\n'
    ./count.sh | tail -n +2
    printf '```\n'
} | cat -s >"$new"
cp "$new" "$page"
