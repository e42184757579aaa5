# shellcheck shell=bash
# What the scripts under resources/ share: strict mode, messages, packages and the cache.
# To be sourced, not run.

set -euo pipefail
shopt -s inherit_errexit

# Everything slow to make is kept here, outside the tree. Entries are named for their content
# (config hash, package version), so a stale one is never used and any may be deleted.
cache=${KILN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln}

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$*"
    exit 125
}

# quietly COMMAND...: runs it, and shows what it printed only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if ((status != 0)); then
        say "\`$*\` failed with status $status; its last lines:"
        tail -n 40 "$log" >&2
    fi
    rm -f "$log"
    return "$status"
}

# as_root COMMAND...: runs it as root, through sudo where needed and possible.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        die "needs root for \`$*\`: run it yourself as root, then start this again"
    fi
}

# cached NAME COMMAND...: prints the path of cache entry NAME. If there is none, COMMAND is called
# with an empty directory as its last argument; what it leaves there becomes the entry. Callers
# in parallel wait for the first, and nobody sees an entry half made.
cached() {
    local name=$1 entry=$cache/$1 lock made
    shift
    if [[ ! -e $entry ]]; then
        mkdir -p "$cache"
        exec {lock}>"$cache/$name.lock"
        flock "$lock"
        if [[ ! -e $entry ]]; then
            # One left by a maker that was killed; the lock says nobody is using it.
            made=$cache/$name.partial
            rm -rf "$made"
            mkdir "$made"
            "$@" "$made" {lock}>&- >&2
            mv -T "$made" "$entry"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$entry"
}

is_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Mirrors are a network away.
retries=(-o Acquire::Retries=5)

candidate() {
    { apt-cache show --no-all-versions "$1" 2>/dev/null || true; } | sed -n 's/^Version: //p'
}

# newest PACKAGE: prints the version that apt would install; asks the mirrors once if apt has
# never heard of the package, as on a machine just made.
newest() {
    local version
    version=$(candidate "$1")
    if [[ -z $version ]]; then
        quietly as_root apt-get -q "${retries[@]}" update
        version=$(candidate "$1")
    fi
    [[ -n $version ]] || die "apt knows no package $1: its sources need Debian's main and security archives"
    printf '%s\n' "$version"
}

# packages NAME...: installs those Debian packages that are missing.
packages() {
    local missing=() name
    for name; do
        is_installed "$name" || missing+=("$name")
    done
    ((${#missing[@]} > 0)) || return 0
    command -v apt-get >/dev/null || die "needs the packages ${missing[*]}: install them, there is no apt here"
    say "installing ${missing[*]}"
    for name in "${missing[@]}"; do
        newest "$name" >/dev/null
    done
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600
        "${retries[@]}" --no-install-recommends install "${missing[@]}")
    quietly as_root "${install[@]}" && return
    # What apt has heard of may have gone from the mirrors since.
    quietly as_root apt-get -q "${retries[@]}" update
    quietly as_root "${install[@]}"
}

# remembered NAME COMMAND...: prints what COMMAND printed when last asked under that NAME, and asks
# again only if apt's lists have changed since: apt takes a second to answer.
remembered() {
    local memo=$cache/$1
    shift
    if [[ ! -s $memo || /var/lib/apt/lists -nt $memo ]]; then
        mkdir -p "$cache"
        "$@" >"$memo.$$"
        mv "$memo.$$" "$memo"
    fi
    cat "$memo"
}

# unpack_package NAME DIR: downloads a package and unpacks it into DIR without installing it.
unpack_package() {
    local name=$1 into=$2
    (
        cd "$into"
        quietly apt-get -q -o APT::Sandbox::User=root "${retries[@]}" download "$name"
        dpkg -x ./*.deb .
        rm ./*.deb
    )
}
