#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit lab quic` against aioquic in both roles, and against itself, on real sockets of loopback.

The environment variable ADIT names the binary. aioquic comes from PyPI; without it its tests are skipped. Nothing leaves
loopback and no port is fixed.
"""

import asyncio
import datetime
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from program import ADIT  # noqa: E402

PACKAGE = "aioquic==1.7.2"
HOLDER = tempfile.TemporaryDirectory()
try:
    import aioquic.asyncio
except ImportError:
    try:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action", "ignore",
             "--target", HOLDER.name, PACKAGE],
            check=True,
            timeout=300,
        )
        sys.path.insert(0, HOLDER.name)
        import aioquic.asyncio
    except (OSError, subprocess.SubprocessError, ImportError) as error:
        print("aioquic is skipped: it cannot be installed (%s)" % error)
        aioquic = None

# After aioquic, which may have brought a newer one.
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

if aioquic is not None:
    from aioquic import tls
    from aioquic.buffer import Buffer
    from aioquic.quic import events
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.packet import QuicErrorCode, QuicTransportParameters, push_quic_transport_parameters

PATIENCE = 30
PERIOD = 251


def pattern(count):
    return (bytes(range(PERIOD)) * (count // PERIOD + 1))[:count]


class Identity:
    """An Ed25519 key with a certificate of its own, in the form that aioquic takes."""

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
        now = datetime.datetime(2001, 1, 1)
        # It has expired long ago: nobody looks at its time.
        self.certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
            .serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, None)
        )

    def configuration(self, is_client, **more):
        configuration = QuicConfiguration(
            is_client=is_client, alpn_protocols=["adit/1"], max_datagram_frame_size=65535, verify_mode=ssl.CERT_NONE, **more)
        configuration.certificate = self.certificate
        configuration.private_key = self.key
        return configuration


class Program:
    """`adit lab quic`, whose lines are kept."""

    @classmethod
    async def start(cls, *arguments):
        program = cls()
        program.process = await asyncio.create_subprocess_exec(
            ADIT, "lab", "quic", *arguments, stdout=asyncio.subprocess.PIPE)
        program.lines = []
        first = await program.line("port")
        program.key, program.port = first["key"], first["port"]
        return program

    async def line(self, name):
        """The next line with a member of that name."""
        async with asyncio.timeout(PATIENCE):
            while True:
                text = await self.process.stdout.readline()
                if not text:
                    raise AssertionError("no line with %s; there were %s" % (name, self.lines))
                line = json.loads(text)
                self.lines.append(line)
                if name in line:
                    return line

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.communicate()


class Case(unittest.IsolatedAsyncioTestCase):
    async def start(self, *arguments):
        program = await Program.start(*arguments)
        self.addAsyncCleanup(program.stop)
        return program


class ItselfTests(Case):
    async def pair(self, listening=(), connecting=()):
        seeds = "11" * 32, "22" * 32
        keys = [
            ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
            for seed in seeds
        ]
        server = await self.start("--seed", seeds[0], "--peer", keys[1], *listening)
        client = await self.start(
            "--seed", seeds[1], "--peer", keys[0], "--connect", "127.0.0.1:%d" % server.port, *connecting)
        return server, client

    async def test_streams_and_a_datagram_come_back(self):
        server, client = await self.pair((), ("--send", "3000000", "--streams", "5", "--datagram", "hello"))
        ended = await client.line("ended")
        came = [line for line in client.lines if "came" in line]
        self.assertEqual(came, [{"came": 3000000, "right": True}] * 5)
        self.assertIn({"datagram": "hello"}, client.lines)
        self.assertEqual(ended["ended"], "closedHere")
        self.assertIn("closedByPeer", (await server.line("ended"))["ended"])

    async def test_a_wrong_key_ends_the_handshake(self):
        server = await self.start("--peer", "33" * 32)
        client = await self.start("--peer", server.key, "--connect", "127.0.0.1:%d" % server.port)
        self.assertIn("298", (await client.line("ended"))["ended"])
        self.assertIn("298", (await server.line("ended"))["ended"])
        self.assertNotIn({"established": True}, server.lines)


@unittest.skipIf(aioquic is None, "aioquic is not there")
class AioquicTests(Case):
    async def asyncSetUp(self):
        self.identity = Identity()

    def connect(self, program, **more):
        configuration = self.identity.configuration(True, **more)
        return aioquic.asyncio.connect("127.0.0.1", program.port, configuration=configuration, wait_connected=True)

    async def test_aioquic_connects_and_everything_comes_back(self):
        program = await self.start("--peer", self.identity.public)
        async with self.connect(program) as protocol:
            shown = protocol._quic.tls._peer_certificate.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self.assertEqual(shown.hex(), program.key)
            readers = []
            for number in range(20):
                reader, writer = await protocol.create_stream()
                writer.write(pattern(100_000 + number))
                writer.write_eof()
                readers.append(reader)
            for number, reader in enumerate(readers):
                async with asyncio.timeout(PATIENCE):
                    self.assertEqual(await reader.read(), pattern(100_000 + number))

    async def test_a_datagram_names_its_stream(self):
        program = await self.start("--peer", self.identity.public)
        async with self.connect(program) as protocol:
            came = asyncio.get_running_loop().create_future()
            pass_on = protocol.quic_event_received

            def received(event):
                if isinstance(event, events.DatagramFrameReceived):
                    came.set_result(event.data)
                pass_on(event)

            protocol.quic_event_received = received
            reader, writer = await protocol.create_stream()
            writer.write(b"x")
            self.assertEqual(await reader.readexactly(1), b"x")
            # Stream 0, as a variable-length integer of one byte; then one of a stream that is not there.
            protocol._quic.send_datagram_frame(b"\x3cnobody")
            protocol._quic.send_datagram_frame(b"\x00hello")
            protocol.transmit()
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(await came, b"\x00hello")
            writer.write_eof()

    async def test_keys_change_under_way(self):
        program = await self.start("--peer", self.identity.public)
        async with self.connect(program) as protocol:
            for _ in range(3):
                reader, writer = await protocol.create_stream()
                writer.write(pattern(200_000))
                writer.write_eof()
                async with asyncio.timeout(PATIENCE):
                    self.assertEqual(await reader.read(), pattern(200_000))
                protocol.request_key_update()

    async def test_a_stream_is_broken_off_and_the_others_go_on(self):
        program = await self.start("--peer", self.identity.public)
        async with self.connect(program) as protocol:
            _, broken = await protocol.create_stream()
            broken.write(pattern(1000))
            protocol._quic.reset_stream(broken.get_extra_info("stream_id"), 9)
            protocol.transmit()
            # Its end, once nobody holds it, would be data behind the reset.
            broken.transport.write_eof = lambda: None
            reader, writer = await protocol.create_stream()
            writer.write(pattern(5000))
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(await reader.read(), pattern(5000))

    async def test_nobody_without_the_key_gets_in(self):
        program = await self.start("--peer", Identity().public)
        with self.assertRaises(ConnectionError):
            async with self.connect(program) as protocol:
                # TLS 1.3 tells a client of its refusal only after its own last message.
                await protocol.ping()
                raise AssertionError("it was let in")
        self.assertIn("298", (await program.line("ended"))["ended"])

    async def test_another_protocol_is_refused(self):
        program = await self.start("--peer", self.identity.public)
        configuration = self.identity.configuration(True)
        configuration.alpn_protocols = ["h3"]
        with self.assertRaises(ConnectionError):
            async with aioquic.asyncio.connect("127.0.0.1", program.port, configuration=configuration):
                raise AssertionError("it was let in")
        # no_application_protocol (RFC 9001 section 8.1)
        self.assertIn(str(0x100 + 120), (await program.line("ended"))["ended"])

    async def test_adit_connects_to_aioquic(self):
        heard = []

        class Echo(aioquic.asyncio.QuicConnectionProtocol):
            def connection_made(self, transport):
                super().connection_made(transport)
                initialize = self._quic._initialize

                def and_ask(destination):
                    initialize(destination)
                    self._quic.tls._request_client_certificate = True

                self._quic._initialize = and_ask

            def quic_event_received(self, event):
                if isinstance(event, events.StreamDataReceived):
                    self._quic.send_stream_data(event.stream_id, event.data, event.end_stream)
                if isinstance(event, events.DatagramFrameReceived):
                    self._quic.send_datagram_frame(event.data)
                if isinstance(event, events.HandshakeCompleted):
                    certificate = self._quic.tls._peer_certificate
                    heard.append(certificate.public_key().public_bytes(
                        serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex())

        server = await aioquic.asyncio.serve(
            "127.0.0.1", 0, configuration=self.identity.configuration(False), create_protocol=Echo)
        self.addCleanup(server.close)
        port = server._transport.get_extra_info("sockname")[1]
        program = await self.start(
            "--peer", self.identity.public, "--connect", "127.0.0.1:%d" % port,
            "--send", "500000", "--streams", "8", "--datagram", "hello")
        await program.line("ended")
        came = [line for line in program.lines if "came" in line]
        self.assertEqual(came, [{"came": 500000, "right": True}] * 8)
        self.assertIn({"datagram": "hello"}, program.lines)
        self.assertEqual(heard, [program.key])


@unittest.skipIf(aioquic is None, "aioquic is not there")
class HostileTests(Case):
    """A peer with a valid key that does what it must not."""

    async def asyncSetUp(self):
        self.identity = Identity()
        self.program = await Program.start("--peer", self.identity.public)
        self.addAsyncCleanup(self.program.stop)

    def connect(self):
        configuration = self.identity.configuration(True)
        return aioquic.asyncio.connect("127.0.0.1", self.program.port, configuration=configuration, wait_connected=True)

    async def ended(self):
        return (await self.program.line("ended"))["ended"]

    async def test_more_streams_than_allowed_end_the_connection(self):
        async with self.connect() as protocol:
            quic = protocol._quic
            self.assertEqual(quic._remote_max_streams_bidi, 1024)
            quic._remote_max_streams_bidi = 1 << 40
            quic.send_stream_data(4 * 5000, b"x")
            protocol.transmit()
            self.assertIn("code: %d" % QuicErrorCode.STREAM_LIMIT_ERROR, await self.ended())

    async def test_more_bytes_than_allowed_end_the_connection(self):
        async with self.connect() as protocol:
            quic = protocol._quic
            reader, writer = await protocol.create_stream()
            stream = writer.get_extra_info("stream_id")
            writer.write(b"x")
            self.assertEqual(await reader.readexactly(1), b"x")
            # What is sent beyond the window is a fault, wherever in the stream it stands.
            quic._streams[stream].max_stream_data_remote = 1 << 40
            quic._remote_max_data = 1 << 40
            quic._streams[stream].sender._buffer_start = 1 << 30
            quic._streams[stream].sender._buffer_stop = 1 << 30
            quic._streams[stream].sender.highest_offset = 1 << 30
            quic.send_stream_data(stream, b"y" * 100)
            protocol.transmit()
            self.assertIn("code: %d" % QuicErrorCode.FLOW_CONTROL_ERROR, await self.ended())

    async def test_garbage_behind_the_handshake_ends_the_connection(self):
        async with self.connect() as protocol:
            builder = protocol._quic._write_application

            def write(packets, network_path, now):
                from aioquic.quic.packet import QuicPacketType
                packets.start_packet(QuicPacketType.ONE_RTT, protocol._quic._cryptos[tls.Epoch.ONE_RTT])
                buffer = packets.start_frame(0x3f, capacity=64)
                buffer.push_bytes(bytes(range(40)))
                protocol._quic._write_application = builder

            protocol._quic._write_application = write
            protocol.transmit()
            self.assertIn("failed(code: ", await self.ended())

    async def test_early_data_is_not_taken_nor_what_is_sent_again(self):
        # A ticket that the peer made up, as if it had been here before, with what it may send at once.
        parameters = Buffer(capacity=256)
        push_quic_transport_parameters(parameters, QuicTransportParameters(
            initial_max_data=1 << 20, initial_max_stream_data_bidi_local=1 << 18, initial_max_stream_data_bidi_remote=1 << 18,
            initial_max_streams_bidi=16))
        now = datetime.datetime.now(datetime.timezone.utc)
        tickets = []
        configuration = self.identity.configuration(True, session_ticket=tls.SessionTicket(
            age_add=7, cipher_suite=tls.CipherSuite.AES_128_GCM_SHA256, not_valid_after=now + datetime.timedelta(days=1),
            not_valid_before=now - datetime.timedelta(days=1), resumption_secret=bytes(32), server_name="127.0.0.1",
            ticket=bytes(64), max_early_data_size=0xFFFFFFFF,
            other_extensions=[(tls.ExtensionType.QUIC_TRANSPORT_PARAMETERS, parameters.data)]))
        async with aioquic.asyncio.connect(
                "127.0.0.1", self.program.port, configuration=configuration, wait_connected=False,
                session_ticket_handler=tickets.append) as protocol:
            sent = []
            send = protocol._transport.sendto

            def keep(data, address):
                sent.append((data, address))
                send(data, address)

            protocol._transport.sendto = keep
            reader, writer = await protocol.create_stream()
            writer.write(pattern(900))
            protocol.transmit()
            # Long headers of type 0-RTT (RFC 9000 section 17.2.3) went out, in the same datagrams as the first word.
            self.assertTrue(protocol._quic._cryptos[tls.Epoch.ZERO_RTT].send.is_valid())
            await protocol.wait_connected()
            self.assertFalse(protocol._quic.tls.early_data_accepted)
            self.assertFalse(protocol._quic.tls.session_resumed)
            # What was sent too early was lost, and comes when the keys are proved.
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(await reader.readexactly(900), pattern(900))
            for data, address in sent:
                send(data, address)
            again, back = await protocol.create_stream()
            back.write(b"x")
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(await again.readexactly(1), b"x")
            # An echo of what was sent again would have come before.
            self.assertEqual(bytes(reader._buffer), b"")
        self.assertEqual(tickets, [])
        await self.ended()
        self.assertEqual(self.program.lines.count({"established": True}), 1)


if __name__ == "__main__":
    unittest.main()
