#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""frp's private proxies between Adit clients: stcp, sudp, xtcp and their visitors, by frp's own files.

The server and the clients run on this computer. The environment variable ADIT names the binary.
"""

import json
import os
import pathlib
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.dont_write_bytecode = True

import frps  # noqa: E402
from program import Program, free_ports  # noqa: E402
from scene import Scene  # noqa: E402
from services import Echo  # noqa: E402

TOKEN = "a token 中文"
SECRET = "correct horse battery staple"
PATIENCE = 40


def addresses():
    """Whether this computer has an address that another could reach: without one there is no direct path."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return False
        return not probe.getsockname()[0].startswith("127.")


class PrivateTest(unittest.TestCase):
    def setUp(self):
        stun, alternate = free_ports(2)
        self.scene = Scene(
            "token = %s\nstunPort = %d\nstunAlternatePort = %d\n" % (json.dumps(TOKEN, ensure_ascii=False), stun, alternate)
        )
        self.addCleanup(self.scene.close)
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        self.port = self.scene.session_port
        self.token = TOKEN

    def frpc(self, name, tables, user="", until="login to server success", head=""):
        text = 'serverAddr = "127.0.0.1"\nserverPort = %d\nauth.token = %s\nlog.level = "debug"\nuser = "%s"\n%s' % (
            self.port, json.dumps(self.token, ensure_ascii=False), user, head)
        for kind, table in tables:
            text += "\n[[%s]]\n" % kind
            for key, value in table.items():
                text += "%s = %s\n" % (key, json.dumps(value))
        path = self.scene.folder / (name + ".toml")
        path.write_text(text)
        program = Program("frpc", "-c", str(path), env=self.scene.environment(name))
        self.addCleanup(program.stop)
        program.wait_for(until)
        return program

    def proxy(self, name, kind, **more):
        return "proxies", dict({"name": name, "type": kind, "localPort": self.echo.port, "secretKey": SECRET}, **more)

    def visitor(self, name, kind, server, port=None, **more):
        port = free_ports(1)[0] if port is None else port
        return "visitors", dict(
            {"name": name, "type": kind, "serverName": server, "secretKey": SECRET, "bindPort": port}, **more)

    def echoes(self, port, count=100_000, timeout=PATIENCE):
        """Whether what is sent to a port comes back."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
                sent = os.urandom(count)
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                came = bytearray()
                while data := connection.recv(65536):
                    came += data
                return came == sent
        except (ConnectionError, TimeoutError):
            return False

    def exchange(self, port, payload):
        """Whether a datagram comes back, which is sent until one does."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
            flow.settimeout(0.5)
            flow.connect(("127.0.0.1", port))
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                flow.send(payload)
                try:
                    return flow.recv(65536) == payload
                except (TimeoutError, ConnectionRefusedError):
                    continue
        return False

    def start(self, *visitors, proxies=None, user="mei", visiting=""):
        """A client with proxies and one with visitors, both ready."""
        proxies = proxies or [self.proxy("ssh", "stcp"), self.proxy("game", "sudp"), self.proxy("fast", "xtcp")]
        owner = self.frpc("owner", proxies, user, until="start proxy success")
        guest = self.frpc("guest", visitors, visiting or user, until="start visitor success")
        return owner, guest

    def test_stcp_and_sudp_and_xtcp_serve_their_visitors(self):
        visitors = [self.visitor("v1", "stcp", "ssh"), self.visitor("v2", "sudp", "game"), self.visitor("v3", "xtcp", "fast")]
        owner, guest = self.start(*visitors)
        ports = [table["bindPort"] for _, table in visitors]
        for port in ports:
            # All three are open once each has said so.
            guest.wait_for("listens at 127.0.0.1:%d" % port)
        self.assertTrue(self.echoes(ports[0]))
        self.assertTrue(self.exchange(ports[1], b"x"))
        self.assertTrue(self.exchange(ports[1], os.urandom(8000)), "larger than a packet")
        if addresses():
            self.assertTrue(self.echoes(ports[2]))
            guest.wait_for("path to a client of user [mei]: direct")
        # The server keeps nothing of them.
        self.assertEqual([each["kind"] for each in self.scene.status()["clients"]], ["frp", "frp"])
        # A client that begins anew is found by the same name.
        owner.stop()
        self.frpc("owner", [self.proxy("ssh", "stcp")], "mei", until="start proxy success")
        end = time.monotonic() + PATIENCE
        while not self.echoes(ports[0]):
            self.assertLess(time.monotonic(), end, "the second run was not found")

    def test_a_client_that_was_cut_off_is_found_again(self):
        visitor = self.visitor("v", "stcp", "ssh")
        owner, guest = self.start(visitor)
        port = visitor[1]["bindPort"]
        guest.wait_for("listens at")
        self.assertTrue(self.echoes(port))
        owner.process.kill()
        owner.process.wait()
        self.frpc("owner", [self.proxy("ssh", "stcp")], "mei", until="start proxy success")
        end = time.monotonic() + PATIENCE
        while not self.echoes(port, timeout=3):
            self.assertLess(time.monotonic(), end, "the second run was not found")

    def test_a_wrong_secret_is_refused_on_both_kinds(self):
        visitors = [
            self.visitor("v1", "stcp", "ssh", secretKey="wrong"), self.visitor("v2", "sudp", "game", secretKey="wrong")]
        owner, guest = self.start(*visitors)
        port = visitors[0][1]["bindPort"]
        guest.wait_for("listens at 127.0.0.1:%d" % port)
        self.assertFalse(self.echoes(port))
        guest.wait_for("visit failed: ADIT-212")
        owner.wait_for("a visitor of user [mei] was refused")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
            flow.connect(("127.0.0.1", visitors[1][1]["bindPort"]))
            flow.send(b"x")
            end = time.monotonic() + PATIENCE
            while guest.count("visit failed: ADIT-212") < 2:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)

    def test_users_who_are_not_named_stay_outside(self):
        proxies = [
            self.proxy("own", "stcp"),
            self.proxy("some", "stcp", allowUsers=["ben"]),
            self.proxy("all", "stcp", allowUsers=["*"]),
        ]
        visitors = [self.visitor(name, "stcp", name, serverUser="mei") for name in ("own", "some", "all")]
        ports = [table["bindPort"] for _, table in visitors]
        self.frpc("owner", proxies, "mei", until="[all] start proxy success")
        for user, allowed in (("ben", [False, True, True]), ("eve", [False, False, True])):
            guest = self.frpc(user, visitors, user, until="[all] start visitor success")
            for port in ports:
                guest.wait_for("listens at 127.0.0.1:%d" % port)
            self.assertEqual([self.echoes(port) for port in ports], allowed, user)
            guest.stop()

    def test_a_visitor_without_a_direct_path_falls_back(self):
        # Nobody waits so short a time in vain: the other visitor takes over, and later connections go directly.
        visitors = [
            self.visitor("relayed", "stcp", "ssh", port=-1),
            self.visitor("direct", "xtcp", "fast", fallbackTo="relayed", fallbackTimeoutMs=1),
        ]
        _, guest = self.start(*visitors)
        port = visitors[1][1]["bindPort"]
        guest.wait_for("listens at 127.0.0.1:%d" % port)
        self.assertTrue(self.echoes(port))
        guest.wait_for("[direct] no direct path in time, the fallback visitor takes over")
        if addresses():
            guest.wait_for("path to a client of user [mei]: direct")
            before = guest.count("the fallback visitor takes over")
            self.assertTrue(self.echoes(port))
            self.assertEqual(guest.count("the fallback visitor takes over"), before)

    def test_a_name_is_given_once_and_nobody_is_said_so(self):
        visitor = self.visitor("v", "stcp", "nobody")
        _, guest = self.start(visitor)
        guest.wait_for("listens at")
        self.assertFalse(self.echoes(visitor[1]["bindPort"]))
        guest.wait_for("no client of this server has a private proxy [mei.nobody]")
        self.frpc("second", [self.proxy("ssh", "stcp")], "mei", until="start error: ADIT-311: proxy [mei.ssh] already exists")

    def test_the_files_say_what_cannot_be(self):
        path = self.scene.folder / "bad.toml"
        path.write_text('[[visitors]]\nname = "v"\ntype = "stcp"\nserverName = "s"\nbindPort = 1\n')
        self.assertIn("ADIT-901: no empty secret", self.scene.adit("bad", "frpc", "verify", "-c", str(path), status=1))

    def test_a_connection_on_a_direct_path_outlives_the_server(self):
        if not addresses():
            self.skipTest("this computer has no address but loopback")
        visitor = self.visitor("v", "xtcp", "fast")
        _, guest = self.start(visitor)
        guest.wait_for("listens at")
        with socket.create_connection(("127.0.0.1", visitor[1]["bindPort"]), timeout=PATIENCE) as connection:
            connection.sendall(b"before")
            self.assertEqual(connection.recv(100), b"before")
            self.scene.server.stop()
            connection.sendall(b"while")
            self.assertEqual(connection.recv(100), b"while")
            self.scene.start_server()
            connection.sendall(b"after")
            self.assertEqual(connection.recv(100), b"after")

    def test_frps_of_adit_serves_them_without_a_token_too(self):
        (self.port,) = free_ports(1)
        path = self.scene.folder / "frps.toml"
        path.write_text('bindAddr = "127.0.0.1"\nbindPort = %d\n' % self.port)
        server = Program("frps", "-c", str(path), env=self.scene.environment("frps"))
        self.addCleanup(server.stop)
        server.wait_for_port(self.port)
        self.token = ""
        visitor = self.visitor("v", "stcp", "ssh")
        _, guest = self.start(visitor)
        guest.wait_for("listens at")
        self.assertTrue(self.echoes(visitor[1]["bindPort"]))

    def test_a_server_of_frp_alone_is_told_apart(self):
        server = frps.Server(TOKEN.encode())
        self.addCleanup(server.close)
        self.port = server.port
        client = self.frpc("owner", [self.proxy("ssh", "stcp")], "mei", until="[ssh] start error: ADIT-122")
        self.assertEqual(client.process.wait(PATIENCE), 1)
        # Other proxies are served as ever.
        other = ("proxies", {"name": "web", "type": "tcp", "localPort": self.echo.port, "remotePort": 0})
        self.frpc("both", [self.proxy("ssh", "stcp"), other], "mei", until="[web] start proxy success")



if __name__ == "__main__":
    unittest.main()
