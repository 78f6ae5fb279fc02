#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit lab ice` against aioice in both roles, and against itself, on real sockets.

The environment variable ADIT names the binary. aioice comes from PyPI; without it its tests are skipped. Nothing leaves
loopback and no port is fixed.
"""

import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from program import ADIT  # noqa: E402

PACKAGE = "aioice==0.13.0"
HOLDER = tempfile.TemporaryDirectory()
try:
    import aioice
except ImportError:
    try:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action", "ignore",
             "--target", HOLDER.name, PACKAGE],
            check=True,
            timeout=300,
        )
        sys.path.insert(0, HOLDER.name)
        import aioice
    except (OSError, subprocess.SubprocessError, ImportError) as error:
        print("aioice is skipped: it cannot be installed (%s)" % error)
        aioice = None

PATIENCE = 20


class Agent:
    """`adit lab ice`, whose lines are kept by their first member."""

    @classmethod
    async def start(cls, role, *addresses, flags=()):
        agent = cls()
        places = [word for address in addresses for word in ("--address", address)]
        agent.process = await asyncio.create_subprocess_exec(
            ADIT, "lab", "ice", "--role", role, *places, *flags,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        agent.heard = []
        agent.changed = asyncio.Event()
        agent.reader = asyncio.create_task(agent._read())
        await agent.wait("done")
        return agent

    async def _read(self):
        while line := await self.process.stdout.readline():
            self.heard.append(json.loads(line))
            self.changed.set()

    def all(self, name):
        return [line[name] for line in self.heard if name in line]

    async def wait(self, name, count=1, patience=PATIENCE):
        """The member of that name of the line that is the count-th with it."""
        async def enough():
            while len(self.all(name)) < count:
                self.changed.clear()
                await self.changed.wait()

        try:
            await asyncio.wait_for(enough(), patience)
        except asyncio.TimeoutError:
            raise AssertionError("no %s: %s" % (name, self.heard)) from None
        return self.all(name)[count - 1]

    async def say(self, **members):
        self.process.stdin.write(json.dumps(members).encode() + b"\n")
        await self.process.stdin.drain()

    async def stop(self):
        if self.process.returncode is None:
            try:
                await self.say(quit=True)
            except (BrokenPipeError, ConnectionResetError):
                pass
        code = await asyncio.wait_for(self.process.wait(), PATIENCE)
        await self.reader
        return code

    @property
    def credentials(self):
        return {"ufrag": self.all("ufrag")[-1], "password": self.all("password")[-1]}


class Test(unittest.IsolatedAsyncioTestCase):
    async def agent(self, *arguments, **options):
        agent = await Agent.start(*arguments, **options)
        self.addAsyncCleanup(agent.stop)
        return agent


@unittest.skipIf(aioice is None, "aioice is not there")
class AgainstAioice(Test):
    def connection(self, controlling, address="127.0.0.1"):
        # aioice leaves loopback out; here nothing may leave it.
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
        connection = aioice.Connection(ice_controlling=controlling)
        self.addAsyncCleanup(connection.close)
        return connection

    async def introduce(self, agent, connection, later=False):
        """Tells each what the other has; with `later` the agent gets the candidates once the peer is checking."""
        await connection.gather_candidates()
        connection.remote_username = agent.credentials["ufrag"]
        connection.remote_password = agent.credentials["password"]
        for text in agent.all("candidate"):
            await connection.add_remote_candidate(aioice.Candidate.from_sdp(text.removeprefix("candidate:")))
        await connection.add_remote_candidate(None)
        await agent.say(ufrag=connection.local_username, password=connection.local_password)
        connected = asyncio.create_task(connection.connect())
        if later:
            pair = await agent.wait("valid")
            self.assertIn("typ prflx", pair["remote"])
        for candidate in connection.local_candidates:
            await agent.say(candidate="candidate:" + candidate.to_sdp())
        await agent.say(done=True)
        await asyncio.wait_for(connected, PATIENCE)

    async def talk(self, agent, connection):
        pair = await agent.wait("selected")
        self.assertTrue(pair["nominated"], pair)
        await connection.send(b"hello from aioice")
        self.assertEqual(await agent.wait("data"), "hello from aioice")
        await agent.say(send="hello from Adit")
        self.assertEqual(await asyncio.wait_for(connection.recv(), PATIENCE), b"hello from Adit")
        await agent.say(measure=True)
        self.assertGreater(await agent.wait("roundTrip"), 0)
        return pair

    async def meet(self, role, controlling, address="127.0.0.1", **options):
        agent = await self.agent(role, address)
        connection = self.connection(controlling, address)
        await self.introduce(agent, connection, **options)
        pair = await self.talk(agent, connection)
        return agent, connection, pair

    async def test_adit_nominates(self):
        agent, _, pair = await self.meet("controlling", False)
        self.assertIn("typ host", pair["remote"])
        self.assertEqual(agent.all("role"), [])
        self.assertEqual(len(agent.all("selected")), 1)

    async def test_aioice_nominates(self):
        agent, _, pair = await self.meet("controlled", True)
        self.assertIn("typ host", pair["remote"])
        self.assertEqual(agent.all("role"), [])

    async def test_both_want_to_nominate(self):
        agent, connection, _ = await self.meet("controlling", True)
        self.assertEqual(agent.all("role"), ["controlled"] if connection.ice_controlling else [])

    async def test_nobody_wants_to_nominate(self):
        agent, connection, _ = await self.meet("controlled", False)
        self.assertEqual(agent.all("role"), [] if connection.ice_controlling else ["controlling"])

    async def test_candidates_that_come_later_than_checks(self):
        await self.meet("controlling", False, later=True)

    async def test_over_ipv6(self):
        _, _, pair = await self.meet("controlling", False, address="::1")
        self.assertIn(" ::1 ", pair["local"])

    async def test_consent_is_given_until_the_end(self):
        interval, failures = aioice.ice.CONSENT_INTERVAL, aioice.ice.CONSENT_FAILURES
        aioice.ice.CONSENT_INTERVAL, aioice.ice.CONSENT_FAILURES = 0.1, 5
        try:
            agent, connection, _ = await self.meet("controlled", True)
            # As long as it is asked, it answers; then aioice notices by itself.
            await asyncio.sleep(1.5)
            await connection.send(b"still there")
            self.assertEqual(await agent.wait("data", 2), "still there")
            await agent.stop()
            with self.assertRaises(ConnectionError):
                await asyncio.wait_for(connection.recv(), PATIENCE)
        finally:
            aioice.ice.CONSENT_INTERVAL, aioice.ice.CONSENT_FAILURES = interval, failures

    async def test_a_wrong_password_leads_nowhere(self):
        agent = await self.agent("controlled", "127.0.0.1")
        connection = self.connection(True)
        await connection.gather_candidates()
        connection.remote_username = agent.credentials["ufrag"]
        connection.remote_password = "another" * 4
        for text in agent.all("candidate"):
            await connection.add_remote_candidate(aioice.Candidate.from_sdp(text.removeprefix("candidate:")))
        await agent.say(ufrag=connection.local_username, password=connection.local_password)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.connect(), 2)
        self.assertEqual(agent.all("valid"), [])


class AgainstItself(Test):
    async def pair(self, kinds, *addresses, flags=("--adit",)):
        """Two agents that know each other's candidates of those kinds."""
        first = await self.agent("controlling", *addresses, flags=flags)
        second = await self.agent("controlled", *addresses, flags=flags)
        await self.introduce(first, second, kinds)
        return first, second

    async def introduce(self, first, second, kinds):
        for one, other in ((first, second), (second, first)):
            await one.say(**other.credentials)
            for text in other.all("candidate"):
                if text.split()[2] in kinds:
                    await one.say(candidate=text)
            await one.say(done=True)

    async def talk(self, first, second):
        await first.say(send="ping")
        self.assertEqual(await second.wait("data", len(second.all("data")) + 1), "ping")

    async def test_over_udp(self):
        first, second = await self.pair(["udp"], "127.0.0.1", "::1")
        self.assertIn(" udp ", (await first.wait("selected"))["local"])
        await second.wait("selected")
        await self.talk(first, second)
        self.assertEqual(await first.stop(), 0)

    async def test_over_tcp(self):
        first, second = await self.pair(["tcp"], "127.0.0.1", flags=("--adit", "--tcp"))
        for agent in (first, second):
            self.assertIn(" tcp ", (await agent.wait("selected"))["local"])
        await self.talk(first, second)
        await self.talk(second, first)

    async def test_udp_is_preferred_to_tcp(self):
        first, second = await self.pair(["udp", "tcp"], "127.0.0.1", flags=("--adit", "--tcp"))
        await second.wait("selected")
        await self.talk(first, second)
        self.assertIn(" udp ", first.all("selected")[-1]["local"])

    async def test_a_restart_goes_on_without_a_gap(self):
        first, second = await self.pair(["udp"], "127.0.0.1")
        await second.wait("selected")
        await self.talk(first, second)
        for agent in (first, second):
            await agent.say(restart=True)
            await agent.wait("ufrag", 2)
        await self.talk(first, second)
        await self.introduce(first, second, ["udp"])
        await first.wait("valid", 2)
        await self.talk(first, second)
        self.assertEqual(first.all("lost") + second.all("lost"), [])

    async def test_what_is_no_line_is_said(self):
        agent = await self.agent("controlling", "127.0.0.1")
        agent.process.stdin.write(b"{nonsense\n")
        await agent.say(candidate="candidate:nonsense")
        await agent.say(ufrag="a", password="b")
        await agent.wait("error", 3)

    async def test_addresses_of_nobody_are_not_aimed_at(self):
        agent = await self.agent("controlling", "127.0.0.1")
        peer = await self.agent("controlled", "127.0.0.1")
        await agent.say(**peer.credentials)
        for place in ("169.254.169.254 80", "0.0.0.0 4000", "224.0.0.1 4000", "255.255.255.255 4000", "192.168.0.1 4000"):
            await agent.say(candidate="candidate:1 1 udp 2130706431 %s typ host" % place)
        await agent.say(done=True)
        await self.introduce(agent, peer, ["udp"])
        self.assertIn("127.0.0.1", (await agent.wait("selected"))["remote"])


if __name__ == "__main__":
    unittest.main()
