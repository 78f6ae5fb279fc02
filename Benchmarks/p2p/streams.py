# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What streams between two devices cost: CPU-seconds for each GB, both ends together, over a pair of network namespaces, beside
TCP by iperf3 and QUIC by aioquic on the same way."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

PACKAGE = "aioquic==1.7.2"
TARGET = 1.5
SEEDS = "11" * 32, "22" * 32
GB = 1e9
# How large packets are on a direct path over an Ethernet, a few seconds after its beginning; and before.
ETHERNET, LEAST = 1452, 1200

AIOQUIC = '''
import asyncio, os, ssl, sys
from aioquic.asyncio import connect, serve
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived

role, address, count, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

async def main():
    configuration = QuicConfiguration(
        is_client=role == "client", alpn_protocols=["adit/1"], verify_mode=ssl.CERT_NONE,
        max_data=12 << 20, max_stream_data=6 << 20)
    if role == "client":
        port = int(sys.argv[5])
        async with connect(address, port, configuration=configuration) as protocol:
            reader, writer = await protocol.create_stream()
            block = bytes(65536)
            for _ in range(count // len(block)):
                writer.write(block)
                while sum(len(s.sender._buffer) for s in protocol._quic._streams.values()) > 4 << 20:
                    await asyncio.sleep(0.001)
            writer.write_eof()
            await reader.read()
        return
    over = asyncio.Event()

    class Sink(QuicConnectionProtocol):
        def quic_event_received(self, event):
            if isinstance(event, StreamDataReceived) and event.end_stream:
                self._quic.send_stream_data(event.stream_id, b"", end_stream=True)
            if isinstance(event, ConnectionTerminated):
                over.set()

    configuration.load_cert_chain(folder + "/certificate", folder + "/key")
    server = await serve(address, 0, configuration=configuration, create_protocol=Sink)
    print(server._transport.get_extra_info("sockname")[1], flush=True)
    await over.wait()

asyncio.run(main())
'''


class Place:
    """Two ends with a way between them: namespaces as root, loopback else."""

    def __init__(self):
        self.names = None
        self.addresses = "127.0.0.1", "127.0.0.1"
        if os.geteuid() != 0 or shutil.which("ip") is None:
            return
        names = ["qb%d%s" % (os.getpid() % 10000, side) for side in "ab"]
        try:
            for name in names:
                self.ip("netns", "add", name)
            self.ip("link", "add", names[0], "netns", names[0], "type", "veth", "peer", "name", names[1], "netns", names[1])
            for number, name in enumerate(names, 1):
                self.ip("-n", name, "addr", "add", "10.9.9.%d/24" % number, "dev", name)
                self.ip("-n", name, "link", "set", name, "up")
                self.ip("-n", name, "link", "set", "lo", "up")
        except (OSError, subprocess.SubprocessError):
            self.close(names)
            return
        self.names = names
        self.addresses = "10.9.9.1", "10.9.9.2"

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def close(self, names=None):
        for name in names or self.names or []:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)

    def command(self, end, *words):
        inside = ["ip", "netns", "exec", self.names[end]] if self.names else []
        return [*inside, *words]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def public_keys(binary):
    """The public halves of the two seeds, as the program itself says them."""
    found = []
    for seed in SEEDS:
        process = subprocess.Popen(
            [binary, "lab", "quic", "--seed", seed, "--peer", "0" * 64], stdout=subprocess.PIPE, text=True)
        found.append(json.loads(process.stdout.readline())["key"])
        process.terminate()
        process.communicate()
    return found


def pair(place, binary, keys, *words):
    """A sink, and one that sends to it as the words say."""
    server = subprocess.Popen(
        place.command(0, binary, "lab", "quic", "--seed", SEEDS[0], "--peer", keys[1], "--address", place.addresses[0],
                      "--sink"),
        stdout=subprocess.PIPE, text=True)
    port = json.loads(server.stdout.readline())["port"]
    client = subprocess.Popen(
        place.command(1, binary, "lab", "quic", "--seed", SEEDS[1], "--peer", keys[0], "--address", place.addresses[1],
                      "--connect", "%s:%d" % (place.addresses[0], port), *words),
        stdout=subprocess.PIPE, text=True)
    return server, client


def adit(place, binary, keys, count, streams, size=ETHERNET):
    """CPU-seconds of both ends for `count` bytes in all."""
    words = "--send", str(count // streams), "--streams", str(streams), "--packet-size", str(size)
    server, client = pair(place, binary, keys, *words)
    sent, _ = client.communicate(timeout=600)
    assert client.returncode == 0, sent
    rest, _ = server.communicate(timeout=60)
    ends = [json.loads(text.strip().splitlines()[-1]) for text in (sent, rest)]
    assert ends[1]["bytes"] == count // streams * streams, ends
    return sum(end["cpu"] for end in ends)


def iperf3(place, count):
    begun = children()
    server = subprocess.Popen(
        place.command(0, "iperf3", "-s", "-1", "--forceflush", "-p", "5299", "-B", place.addresses[0]),
        stdout=subprocess.PIPE, text=True)
    while "listening" not in server.stdout.readline():
        pass
    subprocess.run(
        place.command(1, "iperf3", "-c", place.addresses[0], "-p", "5299", "-n", str(count)),
        stdout=subprocess.DEVNULL, check=True, timeout=600)
    server.communicate(timeout=60)
    return children() - begun


def aioquic(place, count, folder):
    begun = children()
    python = [sys.executable, "-W", "ignore", "-c", AIOQUIC]
    environment = dict(os.environ, PYTHONPATH=folder)
    server = subprocess.Popen(
        place.command(0, *python, "server", place.addresses[0], str(count), folder), env=environment,
        stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    subprocess.run(
        place.command(1, *python, "client", place.addresses[0], str(count), folder, port), env=environment,
        check=True, timeout=600)
    server.communicate(timeout=60)
    return children() - begun


def idle_streams(place, binary, keys, count):
    """Resident bytes of both ends for each stream that is open and silent."""
    memory = []
    for streams in (1, count):
        server, client = pair(place, binary, keys, "--send", "100", "--hold", "--streams", str(streams))
        while "established" not in client.stdout.readline():
            pass
        # The streams are there when the last one's bytes are: the round trip is far below a second here.
        settled = [0, 0]
        while True:
            now = [resident(each) for each in (server, client)]
            if now == settled:
                break
            settled = now
            subprocess.run(["sleep", "1"], check=True)
        memory.append(settled)
        for each in (client, server):
            each.terminate()
            each.communicate()
    return [(more - less) / (count - 1) for less, more in zip(*memory)]


def resident(process):
    with open("/proc/%d/statm" % process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def install_aioquic(folder):
    try:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action", "ignore",
             "--target", folder, PACKAGE], check=True, timeout=300)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=bench",
             "-keyout", folder + "/key", "-out", folder + "/certificate"],
            check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        print("SKIPPED aioquic: it cannot be installed (%s)" % error)
        return False
    return True


def measure(binary, quick):
    rounds = 3 if quick else 5
    count = 500_000_000 if quick else 2_000_000_000
    slow = 10_000_000 if quick else 40_000_000
    figures = []

    def note(name, function, size):
        costs = [function() / (size / GB) for _ in range(rounds)]
        figure = {"case": name, "cpuPerGB": statistics.median(costs), "least": min(costs), "most": max(costs)}
        figures.append(figure)
        print("%-28s %6.2f CPU-s/GB  (%.2f to %.2f)" % (name, figure["cpuPerGB"], min(costs), max(costs)), flush=True)
        return figure

    with Place() as place, tempfile.TemporaryDirectory() as folder:
        print("streams, both ends, %s" % ("two network namespaces" if place.names else "loopback"))
        keys = public_keys(binary)
        one = note("adit, 1 stream", lambda: adit(place, binary, keys, count, 1), count)
        note("adit, 16 streams", lambda: adit(place, binary, keys, count, 16), count)
        note("adit, 1 stream, at first", lambda: adit(place, binary, keys, count, 1, LEAST), count)
        if shutil.which("iperf3"):
            tcp = note("iperf3, TCP, no encryption", lambda: iperf3(place, count), count)
            print("adit / iperf3: %.1f" % (one["cpuPerGB"] / tcp["cpuPerGB"]))
        if install_aioquic(folder):
            other = note("aioquic, 1 stream", lambda: aioquic(place, slow, folder), slow)
            print("adit / aioquic: %.3f" % (one["cpuPerGB"] / other["cpuPerGB"]))
        idle = idle_streams(place, binary, keys, 1000)
        figures.append({"case": "idle stream", "bytes": idle})
        print("an idle stream: %.1f KB at the end that takes it, %.1f KB at the one that opened it" % tuple(
            each / 1000 for each in idle))
    one["isMet"] = one["cpuPerGB"] <= TARGET
    if not one["isMet"]:
        print("✗ %.2f is above the target of %.1f CPU-s/GB" % (one["cpuPerGB"], TARGET))
    return figures
