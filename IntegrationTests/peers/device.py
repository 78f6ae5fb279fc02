# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""An Adit device for tests, written from docs/wire.md and sharing no code with Adit.

It is single-threaded and says nothing by itself, so that an attack can send whatever it wants at any moment.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import links
import messages
import payload

DATA, WINDOW, PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
LOGIN, LOGIN_RESPONSE, NEW_PROXY, NEW_PROXY_RESPONSE, CLOSE_PROXY = 1, 2, 3, 4, 5
FEATURES = ["server-streams", "device-key", "resume", "reports", "tls-control"]
HELLO_ANSWER = 0x4008
# The type bytes of wire v1 by the ids of v2.
V1_TYPES = {**dict(zip(range(1, 19), b"o1p2cwrsv3h4uinm56")), **dict(zip(range(0x4001, 0x4009), b"QXDRSUTH"))}


def encoded(data):
    return base64.b64encode(data).decode()


def invite_secret(code):
    """The 8 secret bytes of an invite `host[:port]/XXXX-…`."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for character in code.rsplit("/", 1)[1].replace("-", "").upper():
        number = number << 5 | digits.index(character)
    return (number >> 80).to_bytes(8, "big")


def mux(kind, flags, number, length, body=b""):
    """A yamux frame."""
    return struct.pack(">BBHII", 0, kind, flags, number, length) + body


class Device:
    """One TLS connection with a control stream on it; nothing is sent before `hello`."""

    def __init__(self, server, key=None, source="127.0.0.1", timeout=20, wire="v2"):
        self.key = key or Ed25519PrivateKey.generate()
        self.wire = wire
        sock = socket.create_connection(server, timeout=timeout, source_address=(source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = links.client_context()
        try:
            self.sock = context.wrap_socket(sock)
        except OSError:
            sock.close()
            raise
        certificate = x509.load_der_x509_certificate(self.sock.getpeercert(binary_form=True))
        spki = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.fingerprint = hashlib.sha256(spki).digest()
        self.pending = b""
        self.control = b""
        self.frames = []

    @property
    def public_key(self):
        return self.key.public_key().public_bytes_raw()

    # yamux.

    def send_raw(self, data):
        self.sock.sendall(data)

    def send_control(self, data):
        self.send_raw(mux(DATA, 0, 1, len(data), data))

    def read_frame(self):
        """The next yamux frame as (kind, flags, id, length, body); ConnectionError at the end."""
        header = self._read(12)
        _, kind, flags, number, length = struct.unpack(">BBHII", header)
        body = self._read(length) if kind == DATA else b""
        if kind == PING and flags & SYN:
            self.send_raw(mux(PING, ACK, 0, length))
        return kind, flags, number, length, body

    def _read(self, count):
        while len(self.pending) < count:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("end of the connection")
            self.pending += data
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_control(self, count):
        while len(self.control) < count:
            kind, flags, number, length, body = self.read_frame()
            if number == 1:
                self.control += body
                if flags & (FIN | RST) and not body:
                    raise ConnectionError("end of the control stream")
            else:
                self.frames.append((kind, flags, number, length, body))
        data, self.control = self.control[:count], self.control[count:]
        return data

    # The session.

    def hello(self, payload_bytes=None, features=FEATURES):
        """Opens the control stream and exchanges hellos."""
        self.client_hello = (
            payload_bytes
            or json.dumps(
                {
                    "bootstrap": {"transport": "tcp", "tls": True, "tcpMux": True},
                    "capabilities": {
                        "message": {"codecs": ["json"]},
                        "crypto": {"algorithms": ["aes-256-gcm"], "clientRandom": encoded(os.urandom(32))},
                        "adit": {"version": 1, "features": features, "deviceKey": encoded(self.public_key)},
                    },
                }
            ).encode()
        )
        self.open_control()
        if self.wire == "v1":
            self.send_message(LOGIN, json.dumps({"version": "0.65.0", "adit": {"hello": encoded(self.client_hello)}}).encode())
            self.server_hello = base64.b64decode(self.read_message(HELLO_ANSWER)["hello"])
            return json.loads(self.server_hello)
        self.send_control(messages.MAGIC + struct.pack(">HHI", 1, 0, len(self.client_hello)) + self.client_hello)
        kind, self.server_hello = self._read_message_frame()
        if kind != messages.SERVER_HELLO:
            raise messages.WireError("frame type %d where ServerHello was due" % kind)
        return json.loads(self.server_hello)

    def open_control(self):
        self.send_raw(mux(WINDOW, SYN, 1, 0))

    @property
    def transcript(self):
        return payload.transcript(self.client_hello, self.server_hello)

    def proof(self, label):
        return label + b"\0" + self.transcript + self.fingerprint

    def login_body(self, invite=b"", token=None, name="peer", run_id="", signature=None):
        """The bytes of a Login message."""
        adit = {
            "deviceKey": encoded(self.public_key),
            "deviceName": name,
            "signature": encoded(self.key.sign(self.proof(b"adit device login v1")) if signature is None else signature),
        }
        if invite:
            adit["invite"] = encoded(invite)
        if token is not None:
            proof = hmac.digest(token, self.proof(b"adit token login v1"), "sha256")
            adit["tokenProof"] = encoded(proof)
        login = {"version": "0.65.0", "os": "linux", "arch": "amd64", "hostname": name, "adit": adit}
        if run_id:
            login["run_id"] = run_id
        return json.dumps(login).encode()

    def login(self, body=None, **fields):
        """Logs in and returns LoginResp's fields; what was sent stays in `last_login`."""
        self.last_login = body or self.login_body(**fields)
        self.send_message(LOGIN, self.last_login)
        return self.read_message(LOGIN_RESPONSE)

    def open_proxy(self, proxy, kind="tcp", port=0, **adit):
        fields = {"proxy_name": proxy, "proxy_type": kind, "adit": dict({"target": "localhost:9"}, **adit)}
        if port:
            fields["remote_port"] = port
        self.send_message(NEW_PROXY, json.dumps(fields).encode())
        return self.read_message(NEW_PROXY_RESPONSE)

    def send_message(self, number, body):
        if self.wire == "v1":
            return self.send_control(struct.pack(">Bq", V1_TYPES[number], len(body)) + body)
        self.send_control(struct.pack(">HHIH", messages.MESSAGE, 0, len(body) + 2, number) + body)

    def read_message(self, wanted):
        while self.wire == "v1":
            kind, length = struct.unpack(">Bq", self.read_control(9))
            body = self.read_control(length)
            if kind == V1_TYPES[wanted]:
                return json.loads(body)
        while True:
            kind, body = self._read_message_frame()
            if kind != messages.MESSAGE:
                raise messages.WireError("frame type %d where a message was due" % kind)
            number = struct.unpack(">H", body[:2])[0]
            if number == wanted:
                return json.loads(body[2:])

    def _read_message_frame(self):
        kind, _, length = struct.unpack(">HHI", self.read_control(8))
        return kind, self.read_control(length)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
