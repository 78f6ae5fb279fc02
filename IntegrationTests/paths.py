#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Paths between two devices as their users see them: join, up, ping, status, trust, in both languages and as JSON.

Both devices and the server run on this computer, so that the path is by its own address; without one other than loopback
the parts that need a path say SKIPPED. The environment variable ADIT names the binary.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.dont_write_bytecode = True

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

    def test_absence_is_said_with_one_fix(self):
        ben = self.name("ben")
        gone = self.run_adit("amy", "ping", ben, status=1)
        self.assertIn("ADIT-221", gone.stderr)
        self.assertIn("adit up", gone.stderr)
        unknown = self.run_adit("amy", "ping", "nobody-here", status=1)
        self.assertIn("ADIT-410", unknown.stderr)
        own = self.run_adit("amy", "ping", self.name("amy"), status=1)
        self.assertIn("ADIT-410", own.stderr)
        chinese = self.run_adit("amy", "ping", ben, status=1, language="zh_CN.UTF-8")
        self.assertIn("已离线", chinese.stderr)
        for code in ("410", "411", "412", "413"):
            self.assertIn(f"ADIT-{code}", self.run_adit("amy", "explain", code).stdout)

    def test_wrong_use_is_said(self):
        for words in (["--count", "0"], ["--p2p", "sometimes"], ["--tactic", "magic"], ["--timeout", "soon"]):
            self.assertEqual(self.run_adit("amy", "ping", "ben", *words, status=2).stdout, "")
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
        self.assertIn(result["reason"], self.run_adit("ben", "status").stdout)
        chinese = self.run_adit("amy", "ping", ben, language="zh_CN.UTF-8").stdout
        self.assertIn("直连", chinese)

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
