#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Many visitors, many tunnels, slow readers, restarts and frozen links; prints the figures as a table and as JSON.

The environment variable ADIT names the binary. Without arguments the numbers are modest, as `make test` wants them; with
`--full` they are those that the project promises. What must hold is asserted, how long it took is only printed, except
for the promises of the protocol: a frozen session is freed within 15 s, and devices come back. For that the promise is 3 s;
it stands beside the figure, and what is asserted leaves room for slow machines and unoptimised builds.
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time

from program import ADIT
from scene import MemoryWatch, Scene, facts, host_of, port_of

FULL = "--full" in sys.argv
IDLE, BUSY, BUSY_SECONDS = (5000, 1000, 10) if FULL else (300, 100, 2)
TUNNELS, DEVICES, TUNNELS_EACH = (1000, 50, 20) if FULL else (100, 6, 10)
DOWNLOAD = (1 << 30) if FULL else (48 << 20)
RETURNING_DEVICES = 20 if FULL else 4
FREED_SECONDS = 15
PROMISED_RETURN_SECONDS = 3
RETURN_SECONDS = 10
BLOCK = bytes((index * 7 + index // 256) % 256 for index in range(1 << 16))
PAGE = b"a page behind NAT\n"

figures = {}


def note(name, value, unit=""):
    figures[name] = value
    print("  %-62s %12s %s" % (name, value, unit), flush=True)


def note_return(name, seconds):
    """A time that devices needed to come back."""
    note(name, round(seconds, 2), "s, promised: %d s" % PROMISED_RETURN_SECONDS)
    assert seconds <= RETURN_SECONDS, "%s: %.1f s" % (name, seconds)


def megabytes(count):
    return round(count / 1e6, 1)


# The services behind the devices, in a process of their own.


class Pour(asyncio.Protocol):
    """Sends DOWNLOAD bytes and the end."""

    def connection_made(self, transport):
        self.transport = transport
        self.left = DOWNLOAD
        self.may_write = True
        transport.set_write_buffer_limits(high=1 << 20)
        self.send()

    def send(self):
        while self.left > 0 and self.may_write and not self.transport.is_closing():
            count = min(self.left, len(BLOCK))
            self.left -= count
            self.transport.write(BLOCK[:count])
        if self.left == 0:
            self.transport.write_eof()

    def pause_writing(self):
        self.may_write = False

    def resume_writing(self):
        self.may_write = True
        self.send()

    def connection_lost(self, _):
        self.left = -1


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Page(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.held = b""

    def data_received(self, data):
        self.held += data
        while b"\r\n\r\n" in self.held:
            self.held = self.held.split(b"\r\n\r\n", 1)[1]
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE))


def serve(pipe):
    async def run():
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(kind, "127.0.0.1", 0, backlog=4096) for kind in (Echo, Pour, Page)]
        pipe.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    asyncio.run(run())


def start_services():
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    return process, mine.recv()


# What happens.


def tcp(name, port, **more):
    return dict({"name": name, "kind": "tcp", "target": "localhost:%d" % port}, **more)


def web(name, port):
    return {"name": name, "kind": "http", "target": "localhost:%d" % port}


def get(port, host, timeout=10):
    """Status and body of a page; None when the connection ends without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
        reply = b""
        while data := sock.recv(65536):
            reply += data
    return (int(reply[9:12]), reply.split(b"\r\n\r\n", 1)[1]) if reply else None


def echoes(port, timeout=10):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(b"ping")
        return sock.recv(4) == b"ping"


def eventually(check, timeout):
    """Seconds until the check is true."""
    begun = time.monotonic()
    while True:
        try:
            if check():
                return time.monotonic() - begun
        except OSError:
            pass
        if time.monotonic() - begun > timeout:
            raise AssertionError("not within %d s" % timeout)
        time.sleep(0.02)


class Snapshot:
    """Memory and CPU of the server and some devices."""

    def __init__(self, server, *devices):
        self.server = facts(server)
        self.devices = [facts(pid) for pid in devices]

    @property
    def memory(self):
        return self.server[0], sum(device[0] for device in self.devices)

    @property
    def cpu(self):
        return self.server[1], sum(device[1] for device in self.devices)


async def in_turn(count, width, work):
    """Runs work(index) for each index, at most `width` at a time."""
    gate = asyncio.Semaphore(width)

    async def one(index):
        async with gate:
            return await work(index)

    return await asyncio.gather(*(one(index) for index in range(count)))


def many_visitors(ports):
    print("many visitors of one tunnel: %d idle, %d busy" % (IDLE, BUSY))
    scene = Scene('publicPorts = "23000-23099"\nmaxTunnelsPerDevice = 64\n')
    try:
        device = scene.client("laptop", [tcp("echo", ports[0])])
        port = port_of(device.wait_open()["echo"])
        pids = scene.server.process.pid, device.pid
        watch = MemoryWatch(server=pids[0], device=pids[1])
        before = Snapshot(*pids)
        asyncio.run(visit(port, pids, before))
        time.sleep(1)
        after = Snapshot(*pids)
        note("memory after all have left: server", megabytes(after.memory[0]), "MB")
        note("memory after all have left: device", megabytes(after.memory[1]), "MB")
        watch.stop()
        assert echoes(port)
        status = scene.status()
        note("visitors counted by the server", status["clients"][0]["tunnels"][0]["visitors"])
    finally:
        scene.close()


async def visit(port, pids, before):
    async def connect(_):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        return reader, writer

    begun = time.monotonic()
    idle = await in_turn(IDLE, 200, connect)
    note("idle visitors connected in", round(time.monotonic() - begun, 2), "s")
    await asyncio.sleep(1)
    held = Snapshot(*pids)
    for index, name in enumerate(("server", "device")):
        note("memory before: " + name, megabytes(before.memory[index]), "MB")
        note("memory with idle visitors: " + name, megabytes(held.memory[index]), "MB")
    grown = sum(held.memory) - sum(before.memory)
    note("memory of an idle visitor, server and device", round(grown / IDLE / 1000, 1), "KB")
    begun_cpu = Snapshot(*pids).cpu
    await asyncio.sleep(2)
    idle_cpu = Snapshot(*pids).cpu
    note("CPU while idle, server and device", round((sum(idle_cpu) - sum(begun_cpu)) / 2 * 100, 1), "%")

    busy = await in_turn(BUSY, 200, connect)
    until = time.monotonic() + BUSY_SECONDS
    rounds = [0] * BUSY
    times = []

    async def chat(index):
        reader, writer = busy[index]
        message = b"%063d\n" % index
        while time.monotonic() < until:
            sent = time.monotonic()
            writer.write(message)
            assert await reader.readexactly(len(message)) == message
            times.append(time.monotonic() - sent)
            rounds[index] += 1

    cpu = Snapshot(*pids).cpu
    await asyncio.gather(*(chat(index) for index in range(BUSY)))
    used = [after - first for after, first in zip(Snapshot(*pids).cpu, cpu)]
    times.sort()
    note("round trips of busy visitors", round(sum(rounds) / BUSY_SECONDS), "/s")
    note("a round trip: median", round(times[len(times) // 2] * 1000, 1), "ms")
    note("a round trip: 99 %", round(times[len(times) * 99 // 100] * 1000, 1), "ms")
    note("fewest and most round trips of one visitor", "%d..%d" % (min(rounds), max(rounds)))
    note("CPU while busy: server, device", "%.0f, %.0f" % tuple(each / BUSY_SECONDS * 100 for each in used), "%")
    assert min(rounds) > 0, "a busy visitor starved"
    note("memory with all visitors: server", megabytes(facts(pids[0])[0]), "MB")
    note("memory with all visitors: device", megabytes(facts(pids[1])[0]), "MB")

    async def still_there(index):
        reader, writer = idle[index]
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y", "an idle visitor was lost"

    await in_turn(IDLE, 500, still_there)
    for _, writer in idle + busy:
        writer.close()


def many_tunnels(ports):
    print("many tunnels on one server: %d of one device, %d devices with %d each" % (TUNNELS, DEVICES, TUNNELS_EACH))
    scene = Scene('publicPorts = "24000-26999"\nmaxTunnelsPerDevice = %d\n' % max(TUNNELS, 64))
    try:
        before = facts(scene.server.process.pid)
        begun = time.monotonic()
        one = scene.client("one", [tcp("t%d" % n, ports[0]) for n in range(TUNNELS)])
        addresses = one.wait_open(120)
        note("tunnels of one device open in", round(time.monotonic() - begun, 2), "s")
        after = facts(scene.server.process.pid)
        note("memory of a tunnel: server", round((after[0] - before[0]) / TUNNELS / 1000, 1), "KB")
        note("memory of the device with all of them", megabytes(facts(one.pid)[0]), "MB")
        assert len(set(addresses.values())) == TUNNELS
        for address in addresses.values():
            assert echoes(port_of(address))
        names = ["device%02d" % n for n in range(DEVICES)]
        for name in names:
            scene.join(name)
        begun = time.monotonic()
        many = [
            scene.client(
                name,
                [(tcp if n % 2 else web)("%s-%d" % (name, n), ports[0 if n % 2 else 2]) for n in range(TUNNELS_EACH)],
                joined=True,
            )
            for name in names
        ]
        for each in many:
            for tunnel, address in each.wait_open(120).items():
                assert address not in addresses.values()
        note("tunnels of all devices open in", round(time.monotonic() - begun, 2), "s")
        for each in many:
            for address in list(each.opened.values())[:2]:
                if "://" in address:
                    assert get(scene.http_port, host_of(address)) == (200, PAGE)
                else:
                    assert echoes(port_of(address))
        note("memory of the server with all of them", megabytes(facts(scene.server.process.pid)[0]), "MB")
    finally:
        scene.close()


def slow_beside_fast(ports):
    print("one byte a second beside a download of %d MB" % (DOWNLOAD >> 20))
    expected = hashlib.sha256()
    left = DOWNLOAD
    while left > 0:
        count = min(left, len(BLOCK))
        expected.update(BLOCK[:count])
        left -= count
    scene = Scene('publicPorts = "23100-23199"\n')
    try:
        device = scene.client("laptop", [tcp("pour", ports[1])])
        port = port_of(device.wait_open()["pour"])
        watch = MemoryWatch(server=scene.server.process.pid, device=device.pid)
        cpu = Snapshot(scene.server.process.pid, device.pid).cpu
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(10)
        slow.connect(("127.0.0.1", port))
        read, done = [0], threading.Event()

        def sip():
            while not done.is_set():
                byte = slow.recv(1)
                assert byte == BLOCK[read[0] : read[0] + 1]
                read[0] += 1
                done.wait(1)

        thread = threading.Thread(target=sip)
        thread.start()
        time.sleep(1.5)
        begun = time.monotonic()
        digest, received = hashlib.sha256(), 0
        with socket.create_connection(("127.0.0.1", port), timeout=60) as fast:
            while data := fast.recv(1 << 18):
                digest.update(data)
                received += len(data)
        seconds = time.monotonic() - begun
        time.sleep(1.2)
        done.set()
        thread.join()
        slow.close()
        grown = watch.stop()
        assert received == DOWNLOAD and digest.digest() == expected.digest(), "%d bytes, other hash" % received
        assert read[0] >= 2, "the slow reader starved"
        note("download beside a slow reader", round(DOWNLOAD / seconds / 1e6), "MB/s")
        used = [after - first for after, first in zip(Snapshot(scene.server.process.pid, device.pid).cpu, cpu)]
        note("CPU seconds for each GB, server and device", round(sum(used) / DOWNLOAD * 1e9, 2), "s")
        note("memory grew: server", megabytes(grown["server"]), "MB")
        note("memory grew: device", megabytes(grown["device"]), "MB")
        assert max(grown.values()) < 96 << 20, "memory is not flat: %r" % grown
    finally:
        scene.close()


def restarts(ports):
    print("the server restarts under load, %d devices" % RETURNING_DEVICES)
    scene = Scene('publicPorts = "23200-23999"\ndrainSeconds = 2\n')
    try:
        names = ["device%02d" % n for n in range(RETURNING_DEVICES)]
        devices = [scene.client(name, [tcp(name + "-tcp", ports[0]), web(name + "-web", ports[2])]) for name in names]
        addresses = [device.wait_open() for device in devices]
        stop = threading.Event()
        served = [0]

        def visitors():
            """A held connection and fresh ones, over and over."""
            while not stop.is_set():
                for opened in addresses:
                    try:
                        for address in opened.values():
                            if "://" in address:
                                get(scene.http_port, host_of(address), 2)
                            else:
                                echoes(port_of(address), 2)
                            served[0] += 1
                    except (OSError, AssertionError):
                        time.sleep(0.01)
                        break

        threads = [threading.Thread(target=visitors, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()

        def all_back():
            def one(opened):
                for address in opened.values():
                    if "://" in address:
                        if get(scene.http_port, host_of(address), 2) != (200, PAGE):
                            return False
                    elif not echoes(port_of(address), 2):
                        return False
                return True

            return all(one(opened) for opened in addresses)

        for way in ("adit server stop", "SIGTERM", "kill -9"):
            time.sleep(0.5)
            assert served[0] > 0
            begun = time.monotonic()
            if way == "adit server stop":
                scene.adit("server", "server", "stop")
                scene.server.process.wait(30)
            elif way == "SIGTERM":
                assert scene.server.stop(30) == 0
            else:
                scene.server.process.kill()
                scene.server.process.wait()
            down = time.monotonic() - begun
            assert scene.server.count("Cannot schedule tasks") == 0, "callbacks came after the event loops had ended"
            scene.start_server()
            back = eventually(all_back, 60)
            note("%s: down after" % way, round(down, 2), "s")
            note_return("%s: all names and ports answer after the start within" % way, back)
            time.sleep(0.2)
            for device, before in zip(devices, addresses):
                assert device.wait_open() == before, "other addresses after %s" % way
        stop.set()
        for thread in threads:
            thread.join(10)

        # A device that is killed takes its own back, also before the server knows.
        devices[0].program.process.kill()
        devices[0].program.process.wait()
        begun = time.monotonic()
        path = str(scene.folder / (names[0] + ".json"))
        again = type(devices[0])(scene.run(names[0], "client", "-c", path, "--json"), devices[0].names)
        assert again.wait_open() == addresses[0], "a killed device got other addresses"
        note_return("a killed device has its name and port back in", time.monotonic() - begun)
        assert echoes(port_of(addresses[0][names[0] + "-tcp"]))
    finally:
        scene.close()


class Link(threading.Thread):
    """A TCP proxy that can stop forwarding without telling either side."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.is_down = False
        self.start()

    def run(self):
        while True:
            here, _ = self.listener.accept()
            if self.is_down:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self.target))
            frozen = threading.Event()
            self.open.append(frozen)
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._copy, args=(source, sink, frozen), daemon=True).start()

    @staticmethod
    def _copy(source, sink, frozen):
        try:
            while data := source.recv(65536):
                if frozen.is_set():
                    # Neither side hears anything any more, not even an end.
                    threading.Event().wait()
                sink.sendall(data)
            if not frozen.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            if not frozen.is_set():
                source.close()
                sink.close()

    def freeze(self):
        """Freezes the connections that are open; new ones end at once while the link is down."""
        self.is_down = True
        for frozen in self.open:
            frozen.set()


def frozen_links(ports):
    scene = Scene('publicPorts = "23300-23399"\n')
    try:
        link = Link(scene.session_port)
        invite = scene.invite()
        place, code = invite.rsplit("/", 1)
        scene.adit("laptop", "join", "%s:%d/%s" % (place.split(":")[0], link.port, code), "--name", "laptop")
        device = scene.client("laptop", [tcp("echo", ports[0]), web("web", ports[2])], joined=True)
        addresses = device.wait_open()

        def freed(name):
            """Seconds until the server knows that the device is gone."""

            def is_gone():
                client = next(each for each in scene.status()["clients"] if each["name"] == name)
                return not client["isOnline"]

            return eventually(is_gone, FREED_SECONDS + 10)

        # A visitor comes while the link is frozen and nobody knows yet.
        answers = []

        def visitor():
            begun = time.monotonic()
            try:
                answer = get(scene.http_port, host_of(addresses["web"]), 40)
            except OSError as error:
                answer = repr(error)
            answers.append((answer and answer[0], time.monotonic() - begun))

        link.freeze()
        begun = time.monotonic()
        waiting = threading.Thread(target=visitor)
        waiting.start()
        connected = device.connected
        seconds = freed("laptop")
        note("frozen link: the server frees the session in", round(seconds, 1), "s")
        assert seconds <= FREED_SECONDS + 1, "a frozen session was held for %.1f s" % seconds
        device.wait_until(lambda each: not each.opened, 30)
        note("frozen link: the device has noticed after", round(time.monotonic() - begun, 1), "s")
        link.is_down = False
        begun = time.monotonic()
        device.wait_until(lambda each: each.connected > connected, 60)
        assert device.wait_open() == addresses
        note_return("frozen link: back once the link is", time.monotonic() - begun)
        waiting.join()
        note("frozen link: a visitor was answered", "%s in %.1f s" % answers[0])
        assert answers[0][0] in (502, 503, 504), answers
        assert get(scene.http_port, host_of(addresses["web"])) == (200, PAGE)
        assert echoes(port_of(addresses["echo"]))

        # The device itself stands still.
        device.program.process.send_signal(signal.SIGSTOP)
        seconds = freed("laptop")
        note("stopped device: the server frees the session in", round(seconds, 1), "s")
        assert seconds <= FREED_SECONDS + 1
        status, body = get(scene.http_port, host_of(addresses["web"]))
        assert status == 503, status
        begun = time.monotonic()
        device.program.process.send_signal(signal.SIGCONT)
        eventually(lambda: get(scene.http_port, host_of(addresses["web"])) == (200, PAGE), 60)
        note_return("stopped device: back after it goes on in", time.monotonic() - begun)
        assert device.wait_open() == addresses
    finally:
        scene.close()


def main():
    begun = time.monotonic()
    process, ports = start_services()
    failure = []

    def beside():
        try:
            frozen_links(ports)
        except BaseException as error:
            failure.append(error)

    # It waits most of the time.
    freezing = threading.Thread(target=beside)
    if FULL:
        beside()
    else:
        freezing.start()
    for part in (many_visitors, many_tunnels, slow_beside_fast, restarts):
        part(ports)
    if not FULL:
        freezing.join()
    process.terminate()
    if failure:
        raise failure[0]
    print("load: %.0f s" % (time.monotonic() - begun))
    if FULL:
        print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the binary")
    main()
