#!/bin/bash
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
#
# The smallest frp example there is, with exactly its keys: two INI files and a visitor who asks for a name.
# Ports are free ones here; FIXED_PORTS=1 uses the ports 7000 and 8080 of the example itself.
# Run through links named frps and frpc as well, because that is how frp's programs are called.
set -euo pipefail

adit=$(realpath "${ADIT:?set ADIT to the adit binary, e.g. ADIT=.build/debug/adit}")
folder=$(mktemp -d)
pids=()

finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

wait_for() {  # FILE TEXT
    for _ in $(seq 200); do
        if grep -qF -- "$2" "$1"; then return 0; fi
        sleep 0.1
    done
    echo "no '$2' within 20 s:" >&2
    cat "$1" >&2
    return 1
}

if [ "${FIXED_PORTS:-0}" = 1 ]; then
    bind=7000 http=8080 local=$(free_ports 1)
else
    read -r bind http local < <(free_ports 3)
fi

mkdir "$folder/site" "$folder/bin"
echo "hello from behind NAT" >"$folder/site/index.html"
ln -s "$adit" "$folder/bin/frps"
ln -s "$adit" "$folder/bin/frpc"
python3 -m http.server --bind 127.0.0.1 --directory "$folder/site" "$local" >"$folder/site.log" 2>&1 &
pids+=($!)

printf '[common]\nbind_port = %s\nvhost_http_port = %s\n' "$bind" "$http" >"$folder/frps.ini"
printf '[common]\nserver_addr = 127.0.0.1\nserver_port = %s\n[web]\ntype = http\nlocal_port = %s\ncustom_domains = demo.yourserver.com\n' \
    "$bind" "$local" >"$folder/frpc.ini"
printf 'bindPort = %s\nvhostHTTPPort = %s\n' "$bind" "$http" >"$folder/frps.toml"
printf 'serverAddr = "127.0.0.1"\nserverPort = %s\n\n[[proxies]]\nname = "web"\ntype = "http"\nlocalPort = %s\ncustomDomains = ["demo.yourserver.com"]\n' \
    "$bind" "$local" >"$folder/frpc.toml"

run() {  # FORMAT SERVER_COMMAND... -- CLIENT_COMMAND...
    local format=$1 server=() client=()
    shift
    while [ "$1" != -- ]; do server+=("$1"); shift; done
    shift
    client=("$@")
    echo "\$ ${server[*]##*/} -c frps.$format"
    "${server[@]}" -c "$folder/frps.$format" >"$folder/frps.log" 2>&1 &
    local server_pid=$!
    pids+=($server_pid)
    wait_for "$folder/frps.log" "started successfully"
    echo "\$ ${client[*]##*/} -c frpc.$format"
    "${client[@]}" -c "$folder/frpc.$format" >"$folder/frpc.log" 2>&1 &
    local client_pid=$!
    pids+=($client_pid)
    if ! wait_for "$folder/frpc.log" "[web] start proxy success"; then cat "$folder/frps.log" >&2; return 1; fi
    echo "\$ curl -H 'Host: demo.yourserver.com' http://127.0.0.1:$http/"
    local page
    page=$(curl -sS --fail --max-time 10 -H 'Host: demo.yourserver.com' "http://127.0.0.1:$http/")
    echo "$page"
    [ "$page" = "hello from behind NAT" ]
    [ "$(curl -sS -o "$folder/other" -w '%{http_code}' --max-time 10 -H 'Host: other.example' "http://127.0.0.1:$http/")" = 404 ]
    kill "$client_pid" "$server_pid"
    wait "$client_pid"
    wait "$server_pid"
    echo
}

run ini "$adit" frps -- "$adit" frpc
run toml "$adit" frps -- "$adit" frpc
run ini "$folder/bin/frps" -- "$folder/bin/frpc"
echo "seed example: all good"
