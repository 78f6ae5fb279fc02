#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and gRPC through a server and a device, with peers that are not Adit's: grpcio, curl and h2load.

The environment variable ADIT names the binary. grpcio is taken from a virtual environment that the script makes in a
temporary folder by pip; where that is not possible, the calls are skipped with a message. Nothing else leaves 127.0.0.1.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
if "ADIT_VENV" not in os.environ:
    # Runs itself again with grpcio, or without it where it cannot be had.
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, ADIT_VENV="none")
        python = sys.executable
        try:
            import grpc  # noqa: F401
        except ImportError:
            try:
                subprocess.run(
                    [sys.executable, "-m", "venv", "--system-site-packages", folder], check=True, timeout=120
                )
                subprocess.run(
                    [folder + "/bin/pip", "install", "-q", "--disable-pip-version-check", "grpcio"],
                    check=True,
                    timeout=300,
                )
                python = folder + "/bin/python"
            except (OSError, subprocess.SubprocessError) as error:
                print("calls of gRPC are skipped: grpcio cannot be installed (%s)" % error)
        sys.exit(subprocess.run([python, "-W", "ignore", __file__, *sys.argv[1:]], env=environment).returncode)

try:
    import grpc
except ImportError:
    grpc = None

sys.path.insert(0, str(FOLDER))
from concurrent import futures  # noqa: E402

from program import free_ports  # noqa: E402
from scene import Scene  # noqa: E402

FIVE_MEGABYTES = bytes(range(256)) * (5 * 4096)
SIZES = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


class EchoService:
    """Methods that echo bytes in each of the four shapes of a call; messages need no schema."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(16), options=SIZES)
        shapes = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            "Silent": grpc.unary_stream_rpc_method_handler(self.silent),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("adit.Echo", shapes),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def unary(self, request, context):
        seen = dict(context.invocation_metadata())
        context.set_trailing_metadata((("x-seen", seen.get("x-mark", "-")), ("x-from", seen.get("x-forwarded-for", "-"))))
        return request

    def fail(self, request, context):
        context.set_trailing_metadata((("x-detail-bin", b"\x00\x01\xff"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100% ü")

    def down(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def up(self, requests, context):
        return b"%d" % sum(len(each) for each in requests)

    def both(self, requests, context):
        for each in requests:
            yield each

    def endless(self, request, context):
        context.add_callback(self.cancelled.set)
        number = 0
        while context.is_active():
            yield b"%d" % number
            number += 1
            time.sleep(0.01)

    def silent(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            time.sleep(0.01)
        yield b""


class Calls:
    """The four shapes on one channel to a name."""

    def __init__(self, port, host):
        self.channel = grpc.insecure_channel(
            "127.0.0.1:%d" % port, options=[("grpc.default_authority", host), *SIZES]
        )

    def __getattr__(self, name):
        shape = {"Down": "unary_stream", "Endless": "unary_stream", "Silent": "unary_stream"}.get(name, None)
        shape = shape or {"Up": "stream_unary", "Both": "stream_stream"}.get(name, "unary_unary")
        return getattr(self.channel, shape)("/adit.Echo/" + name)


class HTTP2Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scene = Scene('domain = "localhost"\n')
        cls.addClassCleanup(cls.scene.close)
        cls.web_port = free_ports(1)[0]
        cls.web = subprocess.Popen(
            [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(FOLDER), str(cls.web_port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.addClassCleanup(cls.web.wait)
        cls.addClassCleanup(cls.web.kill)
        tunnels = [
            {"kind": "http", "name": "web", "target": "127.0.0.1:%d" % cls.web_port},
            {"kind": "http", "name": "away", "target": "127.0.0.1:%d" % free_ports(1)[0]},
        ]
        if grpc:
            cls.service = EchoService()
            cls.addClassCleanup(lambda: cls.service.server.stop(None))
            tunnels += [
                {"kind": "http", "name": "calls", "target": "127.0.0.1:%d" % cls.service.port},
                {"kind": "http", "name": "only", "target": "h2c://127.0.0.1:%d" % cls.service.port},
                {"kind": "http", "name": "wrong", "target": "127.0.0.1:%d" % cls.web_port, "auth": ["me:secret"]},
            ]
        cls.device = cls.scene.client("device", tunnels)
        cls.device.wait_open()

    def address(self, name):
        return "%s.localhost:%d" % (name, self.scene.http_port)

    def calls(self, name="calls"):
        calls = Calls(self.scene.http_port, self.address(name))
        self.addCleanup(calls.channel.close)
        return calls

    def curl(self, *arguments):
        return subprocess.run(
            ["curl", "-s", "--max-time", "20", "--http2-prior-knowledge", *arguments], capture_output=True, timeout=30
        )

    # MARK: curl and h2load

    def test_curl_with_prior_knowledge(self):
        address = self.address("web")
        done = self.curl(
            "--resolve", address + ":127.0.0.1", "-w", "%{http_version} %{http_code}", "-o", "/dev/null",
            "http://%s/scene.py" % address,
        )
        self.assertEqual(done.stdout.decode(), "2 200", done.stderr)

    def test_curl_gets_pages(self):
        for name, status in [("nobody", "404"), ("away", "502")]:
            address = self.address(name)
            done = self.curl(
                "--resolve", address + ":127.0.0.1", "-w", "%{http_version} %{http_code}", "-o", "/dev/null",
                "http://%s/" % address,
            )
            self.assertEqual(done.stdout.decode(), "2 " + status)

    @unittest.skipUnless(shutil.which("h2load"), "h2load is not installed (apt-get install nghttp2-client)")
    def test_many_requests_of_h2load(self):
        done = subprocess.run(
            ["h2load", "-n", "2000", "-c", "4", "-m", "20", "--header", "host: " + self.address("web"),
             "http://127.0.0.1:%d/scene.py" % self.scene.http_port],
            capture_output=True, text=True, timeout=60,
        )
        # h2load keeps :authority, so that Host contradicts it and each request is refused by itself.
        self.assertIn("2000 done", done.stdout)
        self.assertIn("2000 4xx", done.stdout)
        self.assertIn("0 errored, 0 timeout", done.stdout)

    # MARK: gRPC

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_unary(self):
        for name in ["calls", "only"]:
            response, call = self.calls(name).Unary.with_call(b"hello", metadata=(("x-mark", "7"),), timeout=10)
            self.assertEqual(response, b"hello")
            trailers = dict(call.trailing_metadata())
            self.assertEqual((trailers["x-seen"], trailers["x-from"]), ("7", "127.0.0.1"))

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_streams_of_either_side(self):
        calls = self.calls()
        self.assertEqual(list(calls.Down(b"500", timeout=10)), [b"%d" % n for n in range(500)])
        self.assertEqual(calls.Up((b"x" * 1000 for _ in range(500)), timeout=10), b"500000")

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_both_sides_in_turn(self):
        """Each message waits for the echo of the one before, so that nothing may be held back."""
        echoed = threading.Semaphore(1)

        def messages():
            for number in range(200):
                self.assertTrue(echoed.acquire(timeout=10))
                yield b"%d" % number

        got = []
        for each in self.calls().Both(messages(), timeout=30):
            got.append(each)
            echoed.release()
        self.assertEqual(got, [b"%d" % n for n in range(200)])

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_errors(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.calls().Fail(b"", timeout=10)
        error = caught.exception
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.NOT_FOUND, "no such thing: 100% ü"))
        self.assertEqual(dict(error.trailing_metadata())["x-detail-bin"], b"\x00\x01\xff")
        with self.assertRaises(grpc.RpcError) as caught:
            self.calls().Nothing(b"", timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_what_adit_says_is_a_status(self):
        for name, code in [
            ("nobody", grpc.StatusCode.UNIMPLEMENTED), ("away", grpc.StatusCode.UNAVAILABLE),
            ("web", grpc.StatusCode.UNAVAILABLE), ("wrong", grpc.StatusCode.UNAUTHENTICATED),
        ]:
            with self.assertRaises(grpc.RpcError) as caught:
                self.calls(name).Unary(b"", timeout=20)
            self.assertEqual(caught.exception.code(), code, (name, caught.exception))
            self.assertRegex(caught.exception.details(), r"^[A-Z]*-?\d+  ")

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_cancellation_reaches_the_service(self):
        calls = self.calls()
        for method, has_answer in [(calls.Endless, True), (calls.Silent, False)]:
            self.service.cancelled.clear()
            call = method(b"")
            if has_answer:
                self.assertEqual(next(call), b"0")
            else:
                time.sleep(0.2)
            call.cancel()
            self.assertTrue(self.service.cancelled.wait(10))

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_deadline(self):
        self.service.cancelled.clear()
        with self.assertRaises(grpc.RpcError) as caught:
            list(self.calls().Silent(b"", timeout=0.3))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(self.service.cancelled.wait(10))

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_large_messages(self):
        calls = self.calls()
        self.assertEqual(calls.Unary(FIVE_MEGABYTES, timeout=60), FIVE_MEGABYTES)
        got = list(calls.Both(iter([FIVE_MEGABYTES] * 4), timeout=60))
        self.assertEqual(got, [FIVE_MEGABYTES] * 4)

    @unittest.skipUnless(grpc, "grpcio is not installed")
    def test_many_calls_at_once(self):
        calls = self.calls()
        pending = [calls.Unary.future(b"%d" % number, timeout=30) for number in range(500)]
        self.assertEqual([each.result() for each in pending], [b"%d" % number for number in range(500)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
