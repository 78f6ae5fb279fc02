# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What servers can do to their devices: every device comes back, serves its visitors again and has not grown without bound."""

import json
import os
import queue
import random
import socket
import struct
import threading
import time

import datagrams
import frps
import messages
import server
from device import ACK, DATA, GO_AWAY, PING, RST, SYN, WINDOW, mux
from links import read_exactly
from scene import MemoryWatch, Scene

# What a device may grow by from its start; unoptimised builds keep more than others.
DEVICE_LIMIT = 160 << 20
# A device waits between tries; the waits of a few failures are in it.
PATIENCE = 40


def spoofed(count):
    """Visitors that nobody is."""
    for index in range(count):
        yield "127.1.%d.%d" % (index >> 8 & 255, index & 255), 1 + index % 65535


# An Adit server.


def raw(data):
    """An attack that is bytes on the connection itself."""

    def strike(peer):
        peer.session.link.write(data)

    return strike


def first_frames(peer):
    deep = b'{"proxy_name":' + b"[" * 30000
    for body in (
        os.urandom(3000),
        struct.pack(">HHI", 16, 0, 0xFFFFFFFF),
        struct.pack(">HHI", 16, 0xFFFF, 2),
        struct.pack(">HHI", 3, 0, 2) + b"{}",
        server.message_frame(8, deep),
        server.message_frame(8, b"null"),
        server.message_frame(8, b'{"proxy_name":7,"src_port":-1}'),
        server.message_frame(1, b"{}"),
        b"\0\x10",
    ):
        for _ in range(20):
            peer.session.open().write(body)


def unknown_tunnels(peer):
    for index in range(300):
        peer.open_work(("nobody", "", "x" * 20000, peer.names[0].upper(), "../echo", "\0")[index % 6]).write(b"x" * 100)


def datagram_attack(*frames):
    def strike(peer):
        dns = next(name for name in peer.names if name.startswith("dns"))
        for frame in frames:
            peer.open_work(dns, None).write(frame)

    return strike


def many_visitors(peer):
    dns = next(name for name in peer.names if name.startswith("dns"))
    stream = peer.open_work(dns, None)
    stream.write(b"".join(server.datagram(b"x", visitor) for visitor in spoofed(20000)))


def reports_without_end(peer):
    report = {"proxyName": peer.names[0], "time": -1, "method": "GET" * 50, "path": "/" + "x" * 3000, "status": -7}
    report.update(durationMs=-(1 << 62), visitor="\x1b[2J" * 50, omitted=1 << 62)
    body = json.dumps(report).encode()
    for _ in range(100):
        peer.send_raw(server.message_frame(0x4001, body) * 50)


def news_of_nothing(peer):
    for index in range(2000):
        peer.send("TunnelClosed", proxyName="nobody-%d" % index, error={"code": -1, "what": {"en": "x" * 1000}})
        peer.control.send("NewProxyResp", proxy_name="nobody-%d" % index, remote_addr=":1")
    peer.send("Draining", reconnectAfterMs=-(1 << 62))


def beyond_the_window(peer):
    stream = peer.open_work(peer.names[0])
    for _ in range(200):
        peer.session.send(DATA, 0, stream.number, 65536, b"x" * 65536)


ADIT_ATTACKS = {
    "streams without end": raw(b"".join(mux(WINDOW, SYN, n, 0) for n in range(2, 200002, 2))),
    "streams that are reset": raw(b"".join(mux(WINDOW, SYN, n, 0) + mux(WINDOW, RST, n, 0) for n in range(2, 100002, 2))),
    "streams of the device's parity": raw(mux(WINDOW, SYN, 3, 0)),
    "first frames that are none": first_frames,
    "tunnels that nobody has": unknown_tunnels,
    "datagrams with bad lengths": datagram_attack(
        server.datagram(b"", length=65535), server.datagram(b"x" * 70, length=65508), server.datagram(b"x", length=65507)
    ),
    "datagrams of other families": datagram_attack(server.datagram(b"x", family=0), server.datagram(b"x", family=255)),
    "datagrams cut and doubled": datagram_attack(*(server.datagram(b"x" * 50)[:size] for size in range(1, 59))),
    "visitors that nobody is": many_visitors,
    "reports without end": reports_without_end,
    "news of nothing": news_of_nothing,
    "a request of plain frp": lambda peer: peer.control.send("ReqWorkConn"),
    "more than the window": beyond_the_window,
    "a control frame of 4 GB": lambda peer: peer.send_raw(struct.pack(">HHI", 16, 0, 0xFFFFFFFF) + bytes(100000)),
}


# A server of plain frp.


def on_link(data):
    def strike(login, session):
        session.link.write(data)

    return strike


def in_control(data):
    def strike(login, session):
        login.control.link.write(data)

    return strike


def requests_without_end(login, session):
    for _ in range(1500):
        login.control.send("ReqWorkConn")


def unknown_proxies(login, session):
    for index in range(200):
        login.control.send("ReqWorkConn")
        _, wire = login.work.get(timeout=10)
        name = ("nobody", "x" * 5000, "echo", "")[index % 4]
        wire.send("StartWorkConn", proxy_name=name, src_addr="no address", src_port=-1, error=("", "x" * 1000)[index % 2])


def work_that_never_starts(login, session):
    for index in range(100):
        login.control.send("ReqWorkConn")
        link, _ = login.work.get(timeout=10)
        if index % 2:
            link.write(os.urandom(1 + index))


def answers_to_nothing(login, session):
    for index in range(3000):
        error = ("", "x" * 500)[index % 2]
        login.control.send("NewProxyResp", proxy_name="nobody-%d" % index, remote_addr="x" * 500, error=error)
        login.control.send("Pong")


def packet_attack(*packets):
    def strike(login, session):
        (side,) = login.datagrams.values()
        while side.connection is None:
            time.sleep(0.05)
        for fields in packets:
            side.connection.send("UDPPacket", **fields)

    return strike


def packets_of_many(login, session):
    (side,) = login.datagrams.values()
    while side.connection is None:
        time.sleep(0.05)
    for visitor in spoofed(10000):
        side.connection.send("UDPPacket", **datagrams.pack(b"x", visitor))


FRP_ATTACKS = {
    "streams without end": on_link(b"".join(mux(WINDOW, SYN, n, 0) for n in range(2, 200002, 2))),
    "a version that is none": on_link(b"\7" * 1000),
    "4 GB of data for nobody": on_link(mux(DATA, 0, 77, 0xFFFFFFFF) + bytes(1 << 20)),
    "4 GB of data for the control stream": on_link(mux(DATA, 0, 1, 0xFFFFFFFF) + bytes(1 << 20)),
    "windows that overflow": on_link(mux(WINDOW, 0, 1, 0xFFFFFFFF) * 2),
    "pings and answers to none": on_link(mux(PING, SYN, 0, 1) * 100000 + mux(PING, ACK, 0, 9) * 100000),
    "go away, again and again": on_link(mux(GO_AWAY, 0, 0, 2) * 1000),
    "requests without end": requests_without_end,
    "proxies that nobody has": unknown_proxies,
    "work that never starts": work_that_never_starts,
    "answers to nothing": answers_to_nothing,
    "a message that is none": in_control(b"\x7f" * 1000),
    "a message of 10 EB": in_control(b"4" + struct.pack(">q", (1 << 63) - 1) + bytes(1000)),
    "datagrams that are none": packet_attack(
        {"c": "!!!!", "r": {"IP": "127.0.0.9", "Port": 9}},
        {"c": "eA==", "r": {"IP": "no address", "Port": -5}},
        {"c": "eA=="},
        {"c": "eA" * 3000, "r": {"IP": "::", "Port": 1 << 40, "Zone": "x" * 500}},
    ),
    "visitors that nobody is": packets_of_many,
}


class HostileFRPS(frps.Server):
    """Attacks each client once, by the number that is its user, and serves it from its second login on."""

    def __init__(self, token, attacks, greetings=()):
        self.attacks = attacks
        self.greetings = list(greetings)
        self.logged_in_users = set()
        self.served = {}
        super().__init__(token)

    def _accepted(self, link, address):
        if self.greetings:
            greeting = self.greetings.pop(0)
            try:
                greeting(self, link)
            except (OSError, ConnectionError):
                pass
            link.close()
        else:
            super()._accepted(link, address)

    def _login(self, wire, clear, fields, seal):
        user, run_id = fields.get("user", ""), os.urandom(8).hex()
        clear.send("LoginResp", version="0.65.0", run_id=run_id)
        login = frps.Login(self, seal(self.token), wire, fields, run_id)
        self.logins[run_id] = self.last_login = login
        first = user not in self.logged_in_users
        self.logged_in_users.add(user)
        session = clear.link.link.session
        threading.Thread(target=self._behave, args=(login, session, user, first), daemon=True).start()
        try:
            login.run()
        finally:
            login.end()
            self.logins.pop(run_id, None)

    def _behave(self, login, session, user, first):
        try:
            while len(login.listeners) < 2:
                if session.closed.wait(0.05):
                    return
            if first and self.attacks:
                self.attacks[int(user)](login, session)
                session.closed.wait(3)
                session.close()
            else:
                echo = next(name for name in login.listeners if name not in login.datagrams)
                work = login.open_work({"proxy_name": echo}, ("127.0.0.9", 9), ("127.0.0.1", 1))
                work.write(b"served again")
                if read_exactly(work, 12) != b"served again":
                    raise messages.WireError("other bytes came back")
                (side,) = login.datagrams.values()
                datagrams.ask(side.port, b"datagrams too")
                self.served[user] = True
        except (OSError, ConnectionError, queue.Empty):
            session.close()
        except Exception as error:
            self.errors.append(error)


def inside_tls(data):
    def greet(frp_server, link):
        tls = frps.links.TLSLink(link, frp_server.context, server=True)
        tls.write(data)
        link.read(1)

    return greet


def plain(data):
    def greet(frp_server, link):
        link.write(data)
        link.read(1)

    return greet


QUESTION, VISITOR = b"datagrams too", ("127.0.0.9", 9)


def ask(stream, is_answered):
    """Sends a datagram until the answer is there: visitors of an attack have to be silent for a while to make room."""
    try:
        while not is_answered():
            stream.write(server.datagram(QUESTION, VISITOR))
            time.sleep(0.5)
    except (OSError, ConnectionError):
        pass


def read_datagram(stream):
    size, family, number, port = struct.unpack(">HB4sH", read_exactly(stream, 9))
    if family != 4:
        raise messages.WireError("a datagram of family %d came back" % family)
    return read_exactly(stream, size), (socket.inet_ntoa(number), port)


class DeviceAttacks:
    """Part of the attacks; the other part has the services behind the tunnels."""

    def await_served(self, wanted, served, watch, programs):
        """Waits until every device works again and checks that all are alive and small."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not set(wanted) <= set(served):
            time.sleep(0.05)
        grown = watch.stop()
        for key, program in programs.items():
            self.assertIsNone(program.process.poll(), "%s: %s" % (key, "\n".join(program.lines[-10:])))
        missing = [key for key in wanted if key not in served]
        tails = {key: programs[key].lines[-5:] for key in missing if key in programs}
        self.assertEqual(missing, [], "these devices do not serve again: %r" % tails)
        for key, size in grown.items():
            self.assertLess(size, DEVICE_LIMIT, "the device %s grew by %d MB" % (key, size >> 20))
        most = max(grown, key=grown.get)
        print("    %d devices, grown by at most %.0f MB (%s)" % (len(grown), grown[most] / 1e6, most))

    def test_a_server_that_was_taken_over(self):
        """The server's key is in other hands; the devices trust it, and still none of them may suffer for good."""
        scene = Scene()
        self.addCleanup(scene.close)
        scene.join("laptop")
        self.assertEqual(scene.server.stop(), 0)
        (key,) = scene.folder.joinpath("server").rglob("server.key")
        attacks = list(ADIT_ATTACKS.values())
        struck, served = set(), {}

        def serve(peer):
            number = int(peer.names[0].rsplit("-", 1)[1])
            if number not in struck:
                struck.add(number)
                attacks[number](peer)
                peer.session.closed.wait(3)
                peer.session.close()
                return
            work = peer.open_work("echo-%d" % number)
            work.write(b"served again")
            if read_exactly(work, 12) != b"served again":
                raise messages.WireError("other bytes came back")
            stream = peer.open_work("dns-%d" % number, None)
            threading.Thread(target=ask, args=(stream, lambda: number in served), daemon=True).start()
            # Answers to visitors of the attack may come before.
            while read_datagram(stream) != (QUESTION, VISITOR):
                pass
            served[number] = True

        hostile = server.Server(scene.session_port, str(key.with_name("server.crt")), str(key), 2, serve)
        self.addCleanup(hostile.close)
        programs = {}
        for number in range(len(attacks)):
            target = "localhost:%d" % self.echo.port
            tunnels = [
                {"name": "%s-%d" % (name, number), "kind": kind, "target": target}
                for name, kind in (("echo", "tcp"), ("dns", "udp"))
            ]
            programs[number] = scene.client("laptop", tunnels, joined=True, file="laptop-%d" % number).program
        watch = MemoryWatch(**{str(number): program.process.pid for number, program in programs.items()})
        self.await_served(range(len(attacks)), served, watch, programs)
        self.assertEqual([error for error in hostile.errors if "came back" in str(error)], [])

    def test_a_hostile_frps(self):
        token = b"t"
        attacks = list(FRP_ATTACKS.values())
        hostile = HostileFRPS(token, attacks)
        self.addCleanup(hostile.close)
        # Before anybody has logged in.
        greetings = [plain(os.urandom(5000)), inside_tls(os.urandom(50000)), inside_tls(mux(WINDOW, SYN, 2, 0) * 50000)]
        rude = HostileFRPS(token, [], greetings)
        self.addCleanup(rude.close)
        chance = random.Random(2)
        programs = {}
        for user in [str(number) for number in range(len(attacks))] + ["rude"]:
            path = self.scene.folder / ("frpc-%s.toml" % user)
            path.write_text(
                'serverAddr = "127.0.0.1"\nserverPort = %d\nauth.token = "t"\nuser = "%s"\nloginFailExit = false\n'
                'transport.wireProtocol = "%s"\n'
                '[[proxies]]\nname = "echo"\ntype = "tcp"\nlocalPort = %d\nremotePort = 0\n'
                '[[proxies]]\nname = "dns"\ntype = "udp"\nlocalPort = %d\nremotePort = 0\n'
                % (
                    (rude if user == "rude" else hostile).port,
                    user,
                    chance.choice(("v1", "v2")),
                    self.echo.port,
                    self.echo.port,
                )
            )
            programs[user] = self.scene.run("frpc", "frpc", "-c", str(path))
        watch = MemoryWatch(**{user: program.process.pid for user, program in programs.items()})
        users = [user for user in programs if user != "rude"]
        self.await_served(users, hostile.served, watch, programs)
        deadline = time.monotonic() + PATIENCE
        while "rude" not in rude.served and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertIn("rude", rude.served, programs["rude"].lines[-10:])
        for program in programs.values():
            program.process.terminate()
        for program in programs.values():
            self.assertEqual(program.stop(), 0)
