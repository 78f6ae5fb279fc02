# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What relaying by TURN costs: processor time and memory of Adit's server beside coturn's, with the same load."""

import argparse
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "relay"))
sys.path.insert(0, str(ROOT / "IntegrationTests/peers"))

from measure import cpu_nanoseconds, median, private_kilobytes  # noqa: E402
from programs import Failure, Folder, free_port  # noqa: E402
from report import Figure, heading, row, save  # noqa: E402
from turn_client import Refused, Turn, credentials  # noqa: E402

SECRET = "a secret for the benchmark, long enough"
# Flows, bytes of a payload, payloads under way in each direction, payloads, whether clients come over TCP.
CASES = [
    ("64 bytes, one at a time", 1, 64, 1, 30_000, False),
    ("64 bytes, 1 flow", 1, 64, 64, 400_000, False),
    ("64 bytes, 32 flows", 32, 64, 4, 300_000, False),
    ("200 bytes, 32 flows", 32, 200, 4, 300_000, False),
    ("1200 bytes, 1 flow", 1, 1200, 64, 300_000, False),
    ("1200 bytes, 32 flows", 32, 1200, 4, 300_000, False),
    ("1200 bytes, 8 flows, TCP", 8, 1200, 16, 200_000, True),
]
ALLOCATIONS = 400


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


class Server:
    """A TURN server on loopback."""

    def __init__(self, name, process, port):
        self.name, self.process, self.port = name, process, port
        self.sources = 0
        for _ in range(200):
            try:
                client = self.client(timeout=0.2)
                client.allocate()
                client.refresh(0)
                return client.close()
            except (OSError, AssertionError):
                time.sleep(0.05)
            if process.poll() is not None:
                break
        raise Failure("%s does not relay\n%s" % (name, process.log.read_text(errors="replace")[-1500:]))

    def source(self):
        """An address of its own for each client, as clients have."""
        self.sources += 1
        return "127.3.%d.%d" % divmod(self.sources % 60_000 + 1, 250)

    def client(self, stream=None, name="bench", timeout=5):
        server = ("127.0.0.1", self.port)
        return Turn(server, *credentials(SECRET, name), source=self.source(), stream=stream, timeout=timeout)

    def flow(self, index, is_stream):
        """A client with a channel to a peer, and the peer."""
        for _ in range(20):
            stream = None
            if is_stream:
                stream = socket.create_connection(("127.0.0.1", self.port), source_address=(self.source(), 0))
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = self.client(stream, "bench-%d" % index)
            try:
                relayed = client.allocate()
                break
            except Refused as refused:
                # The system gave a port that a client before had, whose allocation still is there.
                client.close()
                if refused.code != 437:
                    raise
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        client.bind(0x4000, peer.getsockname())
        peer.connect(relayed)
        return client.socket, peer


def start_adit(folder, binary):
    home = folder.place("adit")
    home.mkdir(mode=0o700)
    config = folder.place("adit-server.toml")
    config.write_text('turnSecret = "%s"\n' % SECRET)
    port, alternate = free_udp_ports(2)
    order = [binary, "server", "--config", config, "--listen", "127.0.0.1", "--port", free_port(), "--http-port", free_port()]
    order += ["--stun-port", port, "--stun-alternate-port", alternate, "--stun-tls-port", free_port()]
    # Every client has one address here, and more than any device sends: the limits are counted, and never reached.
    order += ["--stun-rate", 1_000_000, "--turn-allow-peer", "127.0.0.0/8", "--turn-packets-per-device", 100_000_000]
    order += ["--turn-max-allocations-per-device", 1000, "--turn-bandwidth-per-device", "100000MB"]
    process = folder.start("adit", order, dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8"))
    return Server("Adit", process, port)


def start_coturn(folder):
    """No encryption and no log: what costs it least."""
    port, alternate = free_udp_ports(2)
    order = ["turnserver", "-n", "--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "bench", "--no-tls", "--no-dtls"]
    order += ["--no-cli", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--allow-loopback-peers"]
    order += ["--listening-port", port, "--alt-listening-port", alternate, "--no-stdout-log", "--log-file", "/dev/null"]
    order += ["--no-software-attribute", "--pidfile", folder.place("pid")]
    return Server("coturn", folder.start("coturn", order), port)


def once(load, server, flows, size, window, count, is_stream):
    """Nanoseconds of processor time for a payload, and payloads in a second."""
    sockets = [each for index in range(flows) for each in server.flow(index, is_stream)]
    try:
        numbers = [str(each.fileno()) for each in sockets]
        before = cpu_nanoseconds(server.process.pid)
        order = [str(each) for each in (load, size, window, count, int(is_stream))] + numbers
        done = subprocess.run(
            order, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[each.fileno() for each in sockets]
        )
        if done.returncode != 0:
            raise Failure("%s: %s" % (server.name, done.stderr.strip()))
        arrived, sent, seconds = done.stdout.split()
        if int(arrived) < 0.9 * int(sent) - 2 * flows * window:
            raise Failure("%s: only %s of %s payloads arrived" % (server.name, arrived, sent))
        return (cpu_nanoseconds(server.process.pid) - before) / int(arrived), int(arrived) / float(seconds)
    finally:
        for each in sockets:
            each.close()


def measure(load, adit, coturn, title, flows, size, window, count, is_stream, rounds):
    for server in (coturn, adit):
        once(load, server, flows, size, window, count // 4, is_stream)  # to warm up
    pairs = []
    for number in range(rounds):
        order = (coturn, adit) if number % 2 == 0 else (adit, coturn)
        found = {server.name: once(load, server, flows, size, window, count, is_stream) for server in order}
        pairs.append((found["coturn"], found["Adit"]))
    ratios = [ours[0] / theirs[0] for theirs, ours in pairs]
    ours, theirs = median([each[0] for _, each in pairs]), median([each[0] for each, _ in pairs])
    return Figure(
        case="turn",
        title=title,
        unit="CPU µs",
        adit=ours / 1000,
        base=theirs / 1000,
        best=min(ratios),
        worst=max(ratios),
        target_ratio=1.0,
        note="%.0f/s, coturn %.0f/s; CPU s/GB %.2f, coturn %.2f"
        % (median([each[1] for _, each in pairs]), median([each[1] for each, _ in pairs]), ours / size, theirs / size),
    )


def memory(server):
    """Kilobytes of the process's own for an allocation with one channel, over UDP."""
    held = [server.flow(index, False) for index in range(20)]
    time.sleep(0.5)
    before = private_kilobytes(server.process.pid)
    held += [server.flow(index, False) for index in range(20, 20 + ALLOCATIONS)]
    time.sleep(0.5)
    used = (private_kilobytes(server.process.pid) - before) / ALLOCATIONS
    for pair in held:
        for each in pair:
            each.close()
    return used


def main():
    parser = argparse.ArgumentParser(prog="make bench ONLY=turn", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--rounds", type=int, help="how often each case runs")
    parser.add_argument("--case", help="only cases with these words in the title")
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
    print("adit %s beside coturn · %d cores · base is coturn · for each payload that is relayed" % (version, os.cpu_count()))
    print(heading(), flush=True)
    figures = []
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path)
        try:
            load = folder.path / "load"
            subprocess.run(["gcc", "-O2", "-o", load, HERE / "load.c"], check=True)
            coturn, adit = start_coturn(folder), start_adit(folder, binary)
            idle = [private_kilobytes(each.process.pid) / 1024 for each in (adit, coturn)]
            if not options.case or "memory" in options.case:
                ours, theirs = memory(adit), memory(coturn)
                figures.append(Figure("turn", "memory of an allocation", "KB", ours, theirs, target_ratio=1.0))
                print(row(figures[-1]), flush=True)
            for title, flows, size, window, count, is_stream in CASES:
                if options.case and options.case not in title:
                    continue
                count = count // 5 if options.quick else count
                figures.append(measure(load, adit, coturn, title, flows, size, window, count, is_stream, rounds))
                print(row(figures[-1]), flush=True)
            # Adit's is the whole server: sessions, names, tunnels, STUN and TURN.
            figures.append(Figure("turn", "memory, idle", "MB", idle[0], idle[1], note="Adit: the whole server"))
            print(row(figures[-1]), flush=True)
        except Failure as reason:
            sys.exit("✗ %s" % reason)
        finally:
            folder.stop_all()
    if options.json:
        save(options.json, {"adit": version, "binary": binary, "rounds": rounds, "quick": options.quick}, figures, {})


if __name__ == "__main__":
    main()
