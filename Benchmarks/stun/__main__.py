# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What a STUN request costs: processor time of Adit's server beside coturn's, with the same load."""

import argparse
import os
import pathlib
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "relay"))

from measure import cpu_nanoseconds, median, private_kilobytes  # noqa: E402
from programs import Failure, Folder, free_port  # noqa: E402
from report import Figure, heading, row, save  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What is under way at once: sockets, and requests on each.
CASES = [("one at a time", 1, 1, 20_000), ("16 at once", 16, 1, 60_000), ("256 at once", 32, 8, 120_000)]


def find_binary():
    candidates = [os.environ.get("ADIT"), ROOT / "dist/adit", ROOT / ".build/release/adit"]
    binary = next((str(each) for each in candidates if each and os.access(each, os.X_OK)), None)
    return os.path.abspath(binary) if binary else sys.exit("✗ no binary; run `make release` first")


def free_udp_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12))
            return len(sock.recv(2048)) > 20
        except OSError:
            return False


def wait(process, port):
    for _ in range(200):
        if answers(port):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Failure("%s does not answer\n%s" % (process.args[0], process.log.read_text(errors="replace")[-1500:]))


def start_adit(folder, binary):
    home = folder.place("adit")
    home.mkdir(mode=0o700)
    port, alternate = free_udp_ports(2)
    order = [binary, "server", "--listen", "127.0.0.1", "--port", free_port(), "--http-port", free_port()]
    order += ["--stun-port", port, "--stun-alternate-port", alternate, "--stun-tls-port", free_port()]
    # All clients have one address here: the limit is counted, and never reached.
    order += ["--stun-rate", 1_000_000]
    process = folder.start("adit", order, dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8"))
    wait(process, port)
    return process, port


def start_coturn(folder):
    """STUN alone, no encryption and no log: what costs it least."""
    port, alternate = free_udp_ports(2)
    order = ["turnserver", "-n", "--stun-only", "--no-tls", "--no-dtls", "--no-cli", "--listening-ip", "127.0.0.1"]
    order += ["--listening-port", port, "--alt-listening-port", alternate, "--no-stdout-log", "--log-file", "/dev/null"]
    order += ["--no-software-attribute", "--pidfile", folder.place("pid")]
    process = folder.start("coturn", order)
    wait(process, port)
    return process, port


def once(load, server, sockets, window, count):
    """Microseconds of processor time for a request, and requests in a second."""
    process, port = server
    before = cpu_nanoseconds(process.pid)
    result = subprocess.run(
        [str(each) for each in (load, port, sockets, window, count)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise Failure(result.stderr.strip())
    answered, sent, seconds = result.stdout.split()
    if int(answered) < 0.9 * int(sent):
        raise Failure("only %s of %s requests were answered" % (answered, sent))
    used = cpu_nanoseconds(process.pid) - before
    return used / int(answered) / 1000, int(answered) / float(seconds)


def measure(load, adit, coturn, title, sockets, window, count, rounds):
    for server in (coturn, adit):
        once(load, server, sockets, window, count)  # to warm up
    pairs = [(once(load, coturn, sockets, window, count), once(load, adit, sockets, window, count)) for _ in range(rounds)]
    ratios = [ours[0] / theirs[0] for theirs, ours in pairs]
    return Figure(
        case="stun",
        title="STUN request, " + title,
        unit="CPU µs",
        adit=median([ours[0] for _, ours in pairs]),
        base=median([theirs[0] for theirs, _ in pairs]),
        best=min(ratios),
        worst=max(ratios),
        target_ratio=1.0,
        note="%.0f/s, coturn %.0f/s" % (median([ours[1] for _, ours in pairs]), median([each[1] for each, _ in pairs])),
    )


def main():
    parser = argparse.ArgumentParser(prog="make bench ONLY=stun", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--rounds", type=int, help="how often each case runs")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 5)
    os.environ["PATH"] += ":/usr/sbin"
    for each in ("turnserver", "gcc"):
        if shutil.which(each) is None:
            sys.exit("✗ %s is not installed" % each)
    binary = find_binary()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip()
    print("adit %s beside coturn · %d cores · base is coturn" % (version, os.cpu_count()))
    print(heading(), flush=True)
    figures = []
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path)
        try:
            load = folder.path / "load"
            subprocess.run(["gcc", "-O2", "-o", load, pathlib.Path(__file__).resolve().parent / "load.c"], check=True)
            coturn, adit = start_coturn(folder), start_adit(folder, binary)
            idle = [private_kilobytes(process.pid) / 1024 for process, _ in (adit, coturn)]
            for title, sockets, window, count in CASES:
                count = count // 4 if options.quick else count
                figures.append(measure(load, adit, coturn, title, sockets, window, count, rounds))
                print(row(figures[-1]), flush=True)
            # Adit's is the whole server: sessions, names, tunnels and STUN.
            figures.append(Figure("stun", "memory, idle", "MB", idle[0], idle[1], note="Adit: the whole server"))
            print(row(figures[-1]), flush=True)
        except Failure as reason:
            sys.exit("✗ %s" % reason)
        finally:
            folder.stop_all()
    if options.json:
        save(options.json, {"adit": version, "binary": binary, "rounds": rounds, "quick": options.quick}, figures, {})


if __name__ == "__main__":
    main()
