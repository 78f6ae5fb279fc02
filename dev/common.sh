# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the scripts beside it: what the machine must have, and a timer for steps.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SWIFT_BACKTRACE=enable=no

die() {
    echo "✗ $*" >&2
    exit 1
}

# The first Python that has the package `cryptography`.
find_python() {
    local each
    for each in python3 /usr/bin/python3; do
        if "$each" -c 'import cryptography' 2>/dev/null; then
            command -v "$each"
            return 0
        fi
    done
    return 1
}

is_there() {
    case $1 in
    libsqlite3-dev) [ -e /usr/include/sqlite3.h ] ;;
    libexpat1-dev) [ -e /usr/include/expat.h ] ;;
    libngtcp2-dev) [ -e /usr/include/ngtcp2/ngtcp2.h ] ;;
    libngtcp2-crypto-gnutls-dev) [ -e /usr/include/ngtcp2/ngtcp2_crypto.h ] ;;
    g++) compgen -G '/usr/include/c++/*/vector' >/dev/null ;;
    python3-cryptography) find_python >/dev/null ;;
    binutils) command -v strip >/dev/null ;;
    nghttp2-client) command -v h2load >/dev/null ;;
    iproute2) command -v ip >/dev/null || [ -x /usr/sbin/ip ] ;;
    nftables) command -v nft >/dev/null || [ -x /usr/sbin/nft ] ;;
    conntrack) command -v conntrack >/dev/null || [ -x /usr/sbin/conntrack ] ;;
    coturn) command -v turnserver >/dev/null ;;
    miniupnpd) command -v miniupnpd >/dev/null || [ -x /usr/sbin/miniupnpd ] ;;
    stun-client) command -v stun >/dev/null ;;
    openssh-client) command -v ssh >/dev/null ;;
    openssh-server) [ -x /usr/sbin/sshd ] ;;
    haproxy) command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# need PACKAGE...: installs the Debian packages whose content is missing; asks the network for nothing otherwise.
need() {
    local missing=() each root=()
    for each in "$@"; do is_there "$each" || missing+=("$each"); done
    [ ${#missing[@]} = 0 ] && return 0
    command -v apt-get >/dev/null || die "missing: ${missing[*]} (install them with this system's package manager)"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    echo "installing ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

need_swift() {
    local version
    command -v swift >/dev/null ||
        die "swift is not installed; Adit needs Swift 6.2 or newer: https://www.swift.org/install/linux/"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case $version in
    6.[01] | [0-5].*) die "Swift $version is too old; Adit needs 6.2 or newer: https://www.swift.org/install/linux/" ;;
    esac
    need git libsqlite3-dev libexpat1-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev g++
}

steps=()

# step NAME COMMAND...: runs it, keeps how long it took, and ends the script when it fails.
step() {
    local name=$1 begun ended status=0
    shift
    begun=$(date +%s.%N)
    echo "── $name"
    "$@" || status=$?
    ended=$(date +%s.%N)
    steps+=("$(printf '%7.1f s  %s' "$(echo "$begun $ended" | awk '{ print $2 - $1 }')" "$name")")
    if [ $status != 0 ]; then
        steps[-1]+="  ✗"
        show_steps
        die "$name failed"
    fi
}

show_steps() {
    local each
    echo "── how long it took"
    for each in "${steps[@]}"; do echo "$each"; done
}
