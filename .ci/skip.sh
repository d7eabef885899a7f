# shellcheck shell=bash
# Sourced by the checks that need more than a stable toolchain: how a check that cannot run here says so.
# CI_NO_SKIP=1 turns a skipped check into a failed one; `.ci/long` sets it.

# A tool that is missing is reported, never fetched behind the reader's back.
export RUSTUP_AUTO_INSTALL=0

skip() {
    printf '\n######## SKIPPED: %s ########\n\n' "$1"
    [ "${CI_NO_SKIP:-0}" = 0 ] || exit 1
    exit 0
}

need_nightly() {
    rustup toolchain list 2>/dev/null | grep -q '^nightly' || skip "no nightly toolchain is installed"
}

# has_c: whether the feature `jemalloc` can be built here; says so where it cannot. Builds the C library then, once for all checks and
# profiles, each of which would take minutes for one of its own: tikv-jemalloc-sys takes the one that this variable names.
has_c() {
    local tool made
    for tool in "${CC:-cc}" make; do
        tool=${tool%% *}
        command -v "$tool" >/dev/null && continue
        printf '\n######## SKIPPED: the feature jemalloc: %s is not installed ########\n\n' "$tool"
        [ "${CI_NO_SKIP:-0}" = 0 ] || exit 1
        return 1
    done
    made=$(env -u JEMALLOC_OVERRIDE RUSTFLAGS= EXTRA_CFLAGS=-g0 cargo build --quiet --release --no-default-features --features jemalloc \
        --target-dir "${CARGO_TARGET_DIR:-target}/jemalloc" --message-format json |
        sed -n 's/.*build-script-executed.*tikv-jemalloc-sys.*"out_dir":"\([^"]*\)".*/\1/p')
    export JEMALLOC_OVERRIDE=$made/lib/libjemalloc_pic.a
    [ -f "$JEMALLOC_OVERRIDE" ] || { echo "no jemalloc was built: $JEMALLOC_OVERRIDE"; exit 1; }
}

# need_tool CRATE: a subcommand of cargo's; a long run builds it, which takes minutes
need_tool() {
    if ! command -v "$1" >/dev/null && [ "${CI_NO_SKIP:-0}" != 0 ]; then cargo install --locked "$1"; fi
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

# need COMMAND PACKAGE: from Debian's package where that is possible without asking
need() {
    if ! command -v "$1" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && apt-get install -y -qq "$2"; } >/dev/null 2>&1 || :
    fi
    command -v "$1" >/dev/null || skip "$1 is not installed"
}
