#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Paths between two devices as their users see them: join, up, ping, status, trust, in both languages and as JSON.

Both devices and the server run on this computer, so that the path is by its own address; without one other than loopback
the parts that need a path say SKIPPED. The environment variable ADIT names the binary.
"""

import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.dont_write_bytecode = True

import device as other  # noqa: E402
import signals  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from scene import Scene  # noqa: E402


def own_address():
    """The address of the default route; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = probe.getsockname()[0]
        return None if found.startswith("127.") or found == "0.0.0.0" else found


class PathsTest(unittest.TestCase):
    def setUp(self):
        stun, alternate = free_ports(2)
        self.scene = Scene(f'domain = "localhost"\nstunPort = {stun}\nstunAlternatePort = {alternate}\n')
        self.addCleanup(self.scene.close)
        for name in ("amy", "ben"):
            self.scene.join(name)

    def run_adit(self, home, *words, status=0, language="C.UTF-8", limit=60):
        environment = dict(self.scene.environment(home), LC_ALL=language, LANG=language)
        done = subprocess.run([ADIT, *words], env=environment, capture_output=True, text=True, timeout=limit)
        self.assertEqual(done.returncode, status, f"adit {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done

    def name(self, home):
        return json.loads(self.run_adit(home, "status", "--json").stdout)["servers"][0]["deviceName"]

    def up(self, home, *words):
        program = Program("up", *words, env=self.scene.environment(home))
        self.addCleanup(program.stop)
        program.wait_for("connected" if "--json" in words else " is up at ")
        return program

    def eventually(self, check, what, seconds=20):
        end = time.monotonic() + seconds
        while not check():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def result(self, home, peer, *words, status=0):
        """The last object of a ping in JSON."""
        done = self.run_adit(home, "ping", peer, "--json", *words, status=status)
        return json.loads(done.stdout.splitlines()[-1])

    @staticmethod
    def plain(reason):
        """A reason without addresses: the end that stays may move on to a better one when the other has left."""
        return re.sub(r" \([0-9a-f.:]+\)", "", reason)

    def seen_alike(self, here, there, path, *words):
        """The result of a ping, once the other end has the same path for the same reason."""
        found = {}

        def look():
            found.update(self.result(here, there, *words))
            self.assertEqual(found["path"], path, found)
            status = json.loads(self.run_adit(there, "status", "--json").stdout)
            theirs = [each for each in status.get("paths") or [] if (each["peer"], each["path"]) == (here, path)]
            return self.plain(found["reason"]) in [self.plain(each["reason"]) for each in theirs]

        self.eventually(look, f"{there} sees something else: {found}", seconds=40)
        return found

    def test_absence_is_said_with_one_fix(self):
        ben = self.name("ben")
        gone = self.run_adit("amy", "ping", ben, status=1)
        self.assertIn("ADIT-221", gone.stderr)
        self.assertIn("adit up", gone.stderr)
        unknown = self.run_adit("amy", "ping", "nobody-here", status=1)
        self.assertIn("ADIT-410", unknown.stderr)
        own = self.run_adit("amy", "ping", self.name("amy"), status=1)
        self.assertIn("ADIT-410", own.stderr)
        # The server knows a device by its name as it was given, capitals and all.
        self.assertIn("ADIT-410", self.run_adit("amy", "ping", ben.upper(), status=1).stderr)
        for name in ("a\x1b[31mred\x07", "a\u202eb", "a\nb"):
            refused = self.run_adit("amy", "ping", name, status=1).stderr
            self.assertIn("ADIT-410", refused)
            self.assertNotRegex(refused.strip(), "[\x00-\x09\x0b-\x1f\x7f\u202e]")
        last = json.loads(self.run_adit("amy", "ping", ben, "--json", status=1).stdout.splitlines()[-1])
        self.assertEqual((last["event"], last["path"], last["error"]["code"]), ("result", "none", "ADIT-221"))
        chinese = self.run_adit("amy", "ping", ben, status=1, language="zh_CN.UTF-8")
        self.assertIn("已离线", chinese.stderr)
        for code in ("410", "411", "412", "413"):
            self.assertIn(f"ADIT-{code}", self.run_adit("amy", "explain", code).stdout)

    def test_wrong_use_is_said(self):
        for words in (["--count", "0"], ["--count", "100000000"], ["--timeout", "soon"], ["--timeout", "0s"]):
            for language, fix in (("C.UTF-8", "fix: adit ping --help"), ("zh_CN.UTF-8", "解决：adit ping --help")):
                refused = self.run_adit("amy", "ping", "ben", *words, status=2, language=language)
                self.assertEqual(refused.stdout, "")
                self.assertIn("ADIT-902", refused.stderr)
                self.assertIn(words[0], refused.stderr)
                self.assertIn(fix, refused.stderr)
        for words in (["--p2p", "sometimes"], ["--tactic", "magic"]):
            self.assertEqual(self.run_adit("amy", "ping", "ben", *words, status=2).stdout, "")
        self.assertIn("ADIT-902", self.run_adit("amy", "ping", "", status=2).stderr)
        self.run_adit("amy", "up", "--no-paths", status=2)
        self.run_adit("amy", "trust", "ben", "SHA256:short", status=2)

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_a_path_is_found_and_shown_on_both_ends(self):
        amy, ben = self.name("amy"), self.name("ben")
        self.up("ben")
        lines = self.run_adit("amy", "ping", ben).stdout.splitlines()
        self.assertRegex(lines[0], rf"^{re.escape(ben)}   .*direct")
        self.assertIn("direct", lines[1])
        self.assertTrue(lines[2].strip().startswith(amy), lines)
        self.assertTrue(lines[3].strip().startswith(ben), lines)
        self.assertNotIn("not known", "".join(lines))
        events = [
            json.loads(line)
            for line in self.run_adit("amy", "ping", ben, "--json", "--count", "2").stdout.splitlines()
        ]
        result = events[-1]
        self.assertEqual((result["event"], result["path"], result["peer"]), ("result", "direct", ben))
        self.assertEqual(sum(event["event"] == "ping" for event in events), 2)
        self.assertGreater(result["roundTripMs"], 0)
        status = json.loads(self.run_adit("ben", "status", "--json").stdout)
        found = [path for path in status["paths"] if path["peer"] == amy]
        self.assertEqual(found[0]["reason"], result["reason"])
        shown = self.run_adit("ben", "status").stdout
        self.assertIn(result["reason"], shown)
        self.assertRegex(shown, rf"(?m)^ +here +\S.*\n +{re.escape(amy)} +\S")
        self.assertNotIn("not known", shown)
        chinese = self.run_adit("amy", "ping", ben, language="zh_CN.UTF-8").stdout
        self.assertIn("直连", chinese)

    def test_a_removed_device_is_unknown(self):
        ben = self.name("ben")
        self.up("ben")
        self.scene.adit("server", "server", "devices", "remove", ben)
        self.assertIn("ADIT-410", self.run_adit("amy", "ping", ben, status=1).stderr)
        self.assertIn("ADIT-114", self.run_adit("ben", "ping", self.name("amy"), status=1).stderr)

    def test_a_server_without_stun_and_relay(self):
        self.scene.close()
        self.scene = Scene('domain = "localhost"\nstun = false\nturn = false\n')
        self.addCleanup(self.scene.close)
        for name in ("amy", "ben"):
            self.scene.join(name)
        ben = self.name("ben")
        self.up("ben")
        # What both have with the server carries packets.
        shown = self.run_adit("amy", "ping", ben, "--p2p", "off").stdout
        self.assertRegex(shown, "relay by session [0-9.]+ ms\n.*relayed: .*--p2p off")
        self.assertRegex(self.run_adit("amy", "ping", ben, "--p2p", "off", language="zh_CN.UTF-8").stdout, "会话中继")
        relayed = self.seen_alike("amy", "ben", "relayed", "--p2p", "off")
        self.assertEqual(relayed["transport"], "session")
        self.assertGreater(relayed["roundTripMs"], 0)
        counted = self.seen_alike("amy", "ben", "relayed", "--p2p", "off", "--count", "3")
        self.assertEqual(counted["transport"], "session")
        if own_address():
            self.assertIn("the server offers no STUN", self.run_adit("amy", "ping", ben).stdout)

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_a_device_is_its_key(self):
        ben = self.name("ben")
        first = self.up("ben")
        self.run_adit("amy", "ping", ben)
        key = json.loads(self.run_adit("ben", "status", "--json").stdout)["deviceKey"]
        self.run_adit("amy", "trust", ben, "SHA256:" + "A" * 43)
        changed = self.run_adit("amy", "ping", ben, status=1)
        self.assertIn("ADIT-412", changed.stderr)
        self.assertIn(key, changed.stderr)
        self.run_adit("amy", "trust", ben, key)
        self.run_adit("amy", "ping", ben)
        self.assertEqual(first.stop(), 0)

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_devices_on_different_wires_meet(self):
        self.scene.join("old", "--wire", "v1")
        old, ben = self.name("old"), self.name("ben")
        servers = json.loads(self.run_adit("old", "status", "--json").stdout)["servers"]
        self.assertEqual(servers[0]["wire"], "v1")
        self.assertNotIn("wire", json.loads(self.run_adit("ben", "status", "--json").stdout)["servers"][0])
        self.up("ben")
        there = self.seen_alike("old", "ben", "direct")
        self.assertEqual((there["event"], there["peer"]), ("result", ben))
        self.up("old")
        back = self.result("amy", old)
        self.assertEqual((back["path"], back["peer"]), ("direct", old))
        # A flag says otherwise than the join did.
        self.assertEqual(self.result("old", ben, "--wire", "v2")["path"], "direct")
        self.assertEqual(self.result("amy", ben, "--wire", "v1")["path"], "direct")
        # What the relay needs is told over v1 as well.
        relayed = self.result("old", ben, "--p2p", "off")
        self.assertEqual((relayed["path"], relayed["transport"]), ("relayed", "udp"))

    def stranger(self, key=None):
        """A device over wire v1 that shares no code with Adit; nothing is sent yet."""
        peer = other.Device(("127.0.0.1", self.scene.session_port), key=key, wire="v1")
        self.addCleanup(peer.close)
        return peer

    def test_a_device_written_from_the_documents_signals_over_wire_v1(self):
        ben = self.name("ben")
        peer = self.stranger()
        chosen = peer.hello(features=other.FEATURES + ["paths"])
        self.assertIn("paths", chosen["selected"]["adit"]["features"])
        answer = peer.login(invite=other.invite_secret(self.scene.invite()), name="python")
        self.assertEqual(answer["adit"]["deviceName"], "python")
        self.assertTrue(answer["adit"]["stun"]["port"] and answer["adit"]["turn"]["password"])
        sender = signals.Sender(peer.key, "python", peer.fingerprint)
        peer.send_message(signals.PEER_SIGNAL, sender.message(ben, b""))
        gone = peer.read_message(signals.PEER_UNAVAILABLE)
        self.assertEqual((gone["peer"], gone["reason"]), (ben, "offline"))
        self.up("ben")
        # Greeted over v1, the device on v2 answers with its own greeting.
        peer.send_message(signals.PEER_SIGNAL, sender.message(ben, b""))
        greeting = peer.read_message(signals.PEER_SIGNAL)
        self.assertEqual(greeting["peer"], ben)
        self.assertEqual(len(base64.b64decode(greeting["key"])), 32)

    def test_a_login_over_wire_v1_is_good_once_and_needs_its_hello(self):
        peer = self.stranger()
        peer.hello()
        self.assertNotIn("error", peer.login(invite=other.invite_secret(self.scene.invite()), name="python"))
        # The same bytes again, with the same hello: the server's is another one.
        thief = self.stranger(key=peer.key)
        thief.hello(payload_bytes=peer.client_hello)
        self.assertIn("error", thief.login(body=peer.last_login))
        # Proven for other hellos than those of this connection, or for none.
        bare = self.stranger(key=peer.key)
        bare.open_control()
        self.assertIn("error", bare.login(body=peer.last_login))
        # A second hello instead of the proof.
        twice = self.stranger(key=peer.key)
        twice.hello()
        again = json.dumps({"adit": {"hello": other.encoded(twice.client_hello)}}).encode()
        self.assertIn("error", twice.login(body=again))
        # Another key than the one of the hello.
        mixed = self.stranger()
        mixed.hello()
        mixed.key = peer.key
        self.assertIn("error", mixed.login(name="python"))

    def search(self, home, peer):
        """A ping whose words pass the server for a while."""
        before = self.scene.status()["signals"]["forwarded"]
        ping = Program("ping", peer, "--json", env=self.scene.environment(home))
        self.addCleanup(ping.stop)
        # What is not answered is said again; a device that was there that long is waited for when it goes.
        self.eventually(lambda: self.scene.status()["signals"]["forwarded"] > before + 3, "the search does not go on")
        return ping

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_a_session_that_breaks_in_the_middle_of_a_search_does_not_end_it(self):
        self.scene.join("old", "--wire", "v1")
        for here, there in (("old", "ben"), ("ben", "old")):
            with self.subTest("the other device begins anew", here=here):
                up = self.up(there)
                # It is there, and does not answer: the search goes on.
                up.process.send_signal(signal.SIGSTOP)
                ping = self.search(here, self.name(there))
                up.process.kill()
                up.process.wait()
                up = self.up(there)
                ping.wait_for('"path":"direct"', timeout=40)
                self.assertEqual(up.stop(), 0)
            with self.subTest("the server begins anew", here=here):
                up = self.up(there)
                up.process.send_signal(signal.SIGSTOP)
                ping = self.search(here, self.name(there))
                self.scene.server.process.kill()
                self.scene.server.process.wait()
                self.scene.start_server()
                up.process.send_signal(signal.SIGCONT)
                ping.wait_for('"path":"direct"', timeout=40)
                self.assertEqual(up.stop(), 0)

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_the_wish_of_either_end_holds(self):
        ben = self.name("ben")
        up = self.up("ben")
        off = self.seen_alike("amy", "ben", "relayed", "--p2p", "off")
        self.assertEqual(off["local"]["candidate"], "relay")
        self.assertNotIn("timeToDirectMs", off)
        self.assertIn("--p2p off", off["reason"])
        only = self.result("amy", ben, "--p2p", "only")
        self.assertEqual(only["path"], "direct")
        self.assertNotEqual(only["local"]["candidate"], "relay")
        self.assertEqual(up.stop(), 0)
        # The other end wants none of its addresses told: relayed, or not at all for one that wants no relay.
        self.up("ben", "--p2p", "off")
        kept = self.result("amy", ben)
        self.assertEqual(kept["path"], "relayed")
        self.assertIn("--p2p off", kept["reason"])
        refused = self.run_adit("amy", "ping", ben, "--p2p", "only", "--timeout", "15s", status=1)
        self.assertIn("ADIT-413", refused.stderr)

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_events_name_both_devices(self):
        amy, ben = self.name("amy"), self.name("ben")
        up = self.up("ben", "--json")
        reason = self.plain(self.seen_alike("amy", "ben", "direct")["reason"])
        self.eventually(lambda: any(reason in self.plain(line) for line in list(up.lines)), f"nobody said: {reason}")
        self.assertIn(amy, reason)
        self.assertIn(ben, reason)
        self.assertEqual(up.count("this device"), 0)

    def test_a_tunnel_without_paths_says_so(self):
        ben = self.name("ben")
        port = free_ports(1)[0]
        tunnel = Program("tcp", str(port), "--no-paths", "--json", env=self.scene.environment("ben"))
        self.addCleanup(tunnel.stop)
        tunnel.wait_for("tunnel")
        self.assertIn("ADIT-411", self.run_adit("amy", "ping", ben, status=1).stderr)


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the binary")
    os.umask(0o077)
    unittest.main(verbosity=2)
