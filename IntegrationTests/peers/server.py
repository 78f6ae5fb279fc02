# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""An Adit server for tests, written from docs/wire.md and sharing no code with Adit.

It lets in every device and opens every tunnel without a port behind it; what is said to a device then is up to the test.
"""

import base64
import json
import os
import socket
import ssl
import struct
import threading

import frps
import links
import messages
import yamux

FEATURES = ["server-streams", "device-key", "resume", "reports", "tls-control", "datagrams"]
EXTENSIONS = {"RequestReport": 0x4001, "TunnelClosed": 0x4002, "Draining": 0x4003}


def message_frame(number, body):
    return struct.pack(">HHIH", messages.MESSAGE, 0, len(body) + 2, number) + body


def datagram(content, address=("127.0.0.9", 9), family=4, length=None):
    """A datagram frame of a visitor."""
    size = len(content) if length is None else length
    return struct.pack(">HB4sH", size, family, socket.inet_aton(address[0]), address[1]) + content


class Peer:
    """One device that logged in and asked for its tunnels."""

    def __init__(self, session, control):
        self.session = session
        self.control = control
        self.names = []

    def send(self, name, **fields):
        """A message from 0x4000."""
        self.send_raw(message_frame(EXTENSIONS[name], json.dumps(fields).encode()))

    def send_raw(self, data):
        self.control.link.write(data)

    def open_work(self, proxy, visitor=("127.0.0.9", 9)):
        """A stream that leads to a tunnel's target; without a visitor it is the one for datagrams."""
        stream = self.session.open()
        start = {"proxy_name": proxy}
        if visitor:
            start.update(src_addr=visitor[0], src_port=visitor[1], dst_addr="127.0.0.1", dst_port=1)
        stream.write(message_frame(8, json.dumps(start).encode()))
        return stream


class Server:
    """Listens with a key that devices trust and calls serve(peer) in a thread once a device has asked for `count` tunnels."""

    def __init__(self, port, certificate, key, count, serve):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.count = count
        self.serve = serve
        self.sessions = []
        self.errors = []
        self.socket = frps.listen(port)
        frps.accept_loop(self.socket, self._accepted)

    def close(self):
        self.socket.close()
        for session in self.sessions:
            session.close()

    def _accepted(self, link, address):
        try:
            tls = links.TLSLink(link, self.context, server=True)
            self.sessions.append(yamux.Session(tls, client=False, on_stream=self._control))
        except (OSError, ConnectionError):
            link.close()

    def _control(self, stream):
        try:
            self._greet(stream)
        except (OSError, ConnectionError):
            pass
        except Exception as error:
            self.errors.append(error)

    def _greet(self, stream):
        if links.read_exactly(stream, 7) != messages.MAGIC:
            raise messages.WireError("no magic")
        kind, body = messages.read_frame(stream)
        crypto = json.loads(body)["capabilities"]["crypto"]
        random = base64.b64encode(os.urandom(32)).decode()
        selected = {
            "message": {"codec": "json"},
            "crypto": {"algorithm": crypto["algorithms"][0], "serverRandom": random},
            "adit": {"version": 1, "features": FEATURES},
        }
        messages.send_frame(stream, messages.SERVER_HELLO, json.dumps({"selected": selected}).encode())
        control = messages.Messages(stream, "v2")
        control.expect("Login")
        adit = {"deviceName": "laptop", "serverName": "taken over", "domain": "localhost"}
        control.send("LoginResp", version="0.65.0", run_id=os.urandom(8).hex(), adit=adit)
        peer = Peer(stream.session, control)
        while True:
            name, fields = control.read()
            if name == "Ping":
                control.send("Pong")
            elif name == "NewProxy":
                name = fields["proxy_name"]
                opened = {"addresses": ["127.0.0.1:1"], "port": 1}
                control.send("NewProxyResp", proxy_name=name, remote_addr=":1", adit=opened)
                if name not in peer.names:
                    peer.names.append(name)
                    if len(peer.names) == self.count:
                        threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.serve(peer)
        except (OSError, ConnectionError):
            pass
        except Exception as error:
            self.errors.append(error)
