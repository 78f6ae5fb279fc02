#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A WebRTC data channel between two pages of Chromium that may use relays alone, through the TURN of `adit server`.

The environment variable ADIT names the binary. Nothing leaves loopback and no port is fixed. Without Chromium it is skipped.
"""

import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

import turn_client as turn  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402

SECRET = "a secret for browsers, long enough"
PATIENCE = 90
PAGE = """<!doctype html><meta charset=utf-8><title>%(me)s</title><script>
const me = "%(me)s", other = "%(other)s", count = 200;
const put = (path, value) => fetch(path, {method: "POST", body: JSON.stringify(value)});
const take = async path => { for (;;) { const r = await fetch(path); if (r.status === 200) return r.json(); } };
const whole = pc => new Promise(done => {
  if (pc.iceGatheringState === "complete") return done();
  pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
});
// The pair in use: whether it says "succeeded" changes with each of its checks.
async function types(pc) {
  for (;;) {
    const stats = await pc.getStats(), pairs = [];
    stats.forEach(s => { if (s.type === "transport") pairs.push(stats.get(s.selectedCandidatePairId)); });
    if (pairs[0]) return [pairs[0].localCandidateId, pairs[0].remoteCandidateId].map(id => stats.get(id)).map(c =>
      ({type: c.candidateType, protocol: c.relayProtocol || "", address: c.address, port: c.port}));
    await new Promise(done => setTimeout(done, 50));
  }
}
async function run() {
  const pc = new RTCPeerConnection({iceTransportPolicy: "relay", iceServers: [%(server)s]});
  const errors = [];
  pc.onicecandidateerror = e => errors.push(e.errorCode + " " + e.errorText + " " + e.url);
  pc.oniceconnectionstatechange = () => pc.iceConnectionState === "failed" && put("/result", {me, failed: errors});
  if (me === "a") {
    const channel = pc.createDataChannel("test");
    channel.binaryType = "arraybuffer";
    let good = 0;
    channel.onopen = () => { for (let i = 0; i < count; i++) channel.send(new Uint8Array(1000).fill(i)); };
    channel.onmessage = async e => {
      const bytes = new Uint8Array(e.data);
      if (bytes.length === 1000 && bytes.every(b => b === good %% 256)) good++;
      if (good === count) put("/result", {me, good, pair: await types(pc)});
    };
    await pc.setLocalDescription(await pc.createOffer());
    await whole(pc);
    await put("/sdp/a", pc.localDescription);
    await pc.setRemoteDescription(await take("/sdp/b"));
  } else {
    pc.ondatachannel = e => {
      e.channel.binaryType = "arraybuffer";
      e.channel.onmessage = m => e.channel.send(m.data);
    };
    await pc.setRemoteDescription(await take("/sdp/a"));
    await pc.setLocalDescription(await pc.createAnswer());
    await whole(pc);
    await put("/sdp/b", pc.localDescription);
  }
}
run().catch(e => put("/result", {me, failed: [String(e)]}));
</script>"""


class Board:
    """Pages, and what they tell each other, over HTTP."""

    def __init__(self, server):
        board = self
        self.notes = {}
        self.condition = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self, status, body=b"", kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path in ("/a", "/b"):
                    me = self.path[1:]
                    page = PAGE % {"me": me, "other": "ab"[me == "a"], "server": json.dumps(server)}
                    return self.answer(200, page.encode(), "text/html")
                if not self.path.startswith("/sdp/"):
                    return self.answer(404)
                found = board.wait(self.path, 5)
                self.answer(204 if found is None else 200, b"" if found is None else found)

            def do_POST(self):
                board.put(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(200, b"{}")

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def put(self, path, data):
        with self.condition:
            self.notes.setdefault(path, data)
            self.condition.notify_all()

    def wait(self, path, seconds):
        with self.condition:
            self.condition.wait_for(lambda: path in self.notes, seconds)
            return self.notes.get(path)

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class BrowserTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "server").mkdir(mode=0o700)
        self.environment = dict(os.environ, ADIT_HOME=str(self.folder / "server"), LC_ALL="C.UTF-8")
        config = self.folder / "adit-server.toml"
        config.write_text('turnSecret = "%s"\n' % SECRET)
        session, names = free_ports(2)
        # No peer is allowed that is not so by default: both pages' relays are this server's.
        server = Program(
            "server", "--config", str(config), "--listen", "127.0.0.1", "--port", str(session), "--http-port", str(names),
            "--stun-port", "0", "--stun-tls-port", "0", "--stun-alternate-port", "0", env=self.environment
        )
        self.addCleanup(server.stop)
        server.wait_for("the server runs")

    def figures(self):
        order = [ADIT, "server", "status", "--json"]
        return json.loads(subprocess.run(order, env=self.environment, capture_output=True, check=True, timeout=60).stdout)["turn"]

    def open(self, board, name):
        home = self.folder / ("browser-" + name)
        home.mkdir()
        process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
             "--disable-background-timer-throttling", "--disable-features=Translate,OptimizationHints,MediaRouter",
             "--allow-loopback-in-peer-connection", "--user-data-dir=%s" % home, "http://127.0.0.1:%d/%s" % (board.port, name)],
            env=dict(os.environ, HOME=str(home)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.folder / (name + ".log"), "wb"), start_new_session=True
        )

        def end():
            try:
                os.killpg(process.pid, 15)
                process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()

        self.addCleanup(end)

    def channel(self, transport):
        user, password = turn.credentials(SECRET, "page")
        url = "turn:127.0.0.1:%d?transport=%s" % (self.figures()["port"], transport)
        board = Board({"urls": [url], "username": user, "credential": password})
        self.addCleanup(board.close)
        self.open(board, "a")
        self.open(board, "b")
        result = board.wait("/result", PATIENCE)
        logs = "".join((self.folder / (name + ".log")).read_text(errors="replace")[-1500:] for name in "ab")
        self.assertIsNotNone(result, "no page said anything in %d s; %s; figures %s" % (PATIENCE, logs, self.figures()))
        result = json.loads(result)
        self.assertEqual(result.get("good"), 200, result)
        self.assertEqual([each["type"] for each in result["pair"]], ["relay", "relay"], result)
        self.assertEqual(result["pair"][0]["protocol"], transport, result)
        figures = self.figures()
        self.assertGreater(figures["bytesToClients"], 2 * 200 * 1000)
        self.assertGreaterEqual(figures["allocations"], 2)

    def test_a_data_channel_over_udp(self):
        self.channel("udp")

    def test_a_data_channel_over_tcp(self):
        self.channel("tcp")


if __name__ == "__main__":
    CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if CHROMIUM is None:
        print("skipped: there is no Chromium, and apt could not install it")
        sys.exit(0)
    unittest.main(verbosity=2)
