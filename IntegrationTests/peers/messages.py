# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""frp's messages in both wires, and the control connection's start."""

import base64
import hashlib
import json
import os
import struct
import threading
import time

import payload
from links import read_exactly

MAGIC = b"FRP\x00\x02\r\n"
V1_LIMIT = 10240
V2_LIMIT = 65536
CLIENT_HELLO, SERVER_HELLO, MESSAGE = 1, 2, 16

# name: (byte on v1, id on v2)
KINDS = {
    "Login": ("o", 1),
    "LoginResp": ("1", 2),
    "NewProxy": ("p", 3),
    "NewProxyResp": ("2", 4),
    "CloseProxy": ("c", 5),
    "NewWorkConn": ("w", 6),
    "ReqWorkConn": ("r", 7),
    "StartWorkConn": ("s", 8),
    "Ping": ("h", 11),
    "Pong": ("4", 12),
    "UDPPacket": ("u", 13),
}
BY_BYTE = {ord(byte): name for name, (byte, _) in KINDS.items()}
BY_ID = {number: name for name, (_, number) in KINDS.items()}


class WireError(Exception):
    """The other side broke frp's protocol."""


def send_frame(link, kind, body):
    link.write(struct.pack(">HHI", kind, 0, len(body)) + body)


def read_frame(link):
    kind, flags, length = struct.unpack(">HHI", read_exactly(link, 8))
    if flags != 0:
        raise WireError("flags %#x" % flags)
    if length > V2_LIMIT:
        raise WireError("a frame of %d bytes" % length)
    return kind, read_exactly(link, length)


class Messages:
    """Sends and reads messages on one connection."""

    def __init__(self, link, wire):
        self.link = link
        self.wire = wire
        self.lock = threading.Lock()

    def send(self, name, **fields):
        body = json.dumps({key: value for key, value in fields.items() if value not in ("", 0, False, None, [], {})}).encode()
        byte, number = KINDS[name]
        with self.lock:
            if self.wire == "v1":
                self.link.write(byte.encode() + struct.pack(">q", len(body)) + body)
            else:
                send_frame(self.link, MESSAGE, struct.pack(">H", number) + body)

    def read(self):
        """(name, fields) of the next message; ConnectionError at the end."""
        if self.wire == "v1":
            byte, length = struct.unpack(">Bq", read_exactly(self.link, 9))
            if byte not in BY_BYTE:
                raise WireError("message type %#x" % byte)
            if length < 0 or length > V1_LIMIT:
                raise WireError("a message of %d bytes" % length)
            name, body = BY_BYTE[byte], read_exactly(self.link, length)
        else:
            kind, body = read_frame(self.link)
            if kind != MESSAGE or len(body) < 2:
                raise WireError("frame type %d where a message was due" % kind)
            number = struct.unpack(">H", body[:2])[0]
            if number not in BY_ID:
                raise WireError("message id %d" % number)
            name, body = BY_ID[number], body[2:]
        return name, json.loads(body)

    def expect(self, wanted):
        name, fields = self.read()
        if name != wanted:
            raise WireError("%s where %s was due" % (name, wanted))
        return fields


def privilege_key(token, timestamp):
    """The login proof: MD5 over the token and the decimal timestamp."""
    return hashlib.md5(token + str(timestamp).encode()).hexdigest()


def login_as_client(link, wire, token, fields, tls, mux, algorithms):
    """Logs in over a fresh connection; returns (encrypted Messages, LoginResp fields)."""
    timestamp = int(time.time())
    login = dict(fields, privilege_key=privilege_key(token, timestamp), timestamp=timestamp)
    if wire == "v1":
        clear = Messages(link, wire)
        clear.send("Login", **login)
        answer = clear.expect("LoginResp")
        return Messages(payload.CFBLink(link, token), wire), answer
    hello = json.dumps(
        {
            "bootstrap": {"transport": "tcp", "tls": tls, "tcpMux": mux},
            "capabilities": {
                "message": {"codecs": ["json"]},
                "crypto": {"algorithms": algorithms, "clientRandom": base64.b64encode(os.urandom(32)).decode()},
            },
        }
    ).encode()
    link.write(MAGIC)
    send_frame(link, CLIENT_HELLO, hello)
    clear = Messages(link, wire)
    clear.send("Login", **login)
    kind, answer_hello = read_frame(link)
    if kind != SERVER_HELLO:
        raise WireError("frame type %d where ServerHello was due" % kind)
    selected = json.loads(answer_hello)
    if selected.get("error"):
        raise WireError("ServerHello: " + selected["error"])
    if "adit" in selected.get("selected", {}):
        raise WireError("ServerHello offers Adit's extension to a client that did not ask for it")
    algorithm = selected["selected"]["crypto"]["algorithm"]
    if algorithm not in algorithms:
        raise WireError("the server picked %s, which was not offered" % algorithm)
    if len(base64.b64decode(selected["selected"]["crypto"]["serverRandom"])) != 32:
        raise WireError("serverRandom is not 32 bytes")
    answer = clear.expect("LoginResp")
    salt = payload.transcript(hello, answer_hello)
    sealed = payload.AEADLink(
        link,
        algorithm,
        payload.control_key(token, salt, algorithm, "server-to-client"),
        payload.control_key(token, salt, algorithm, "client-to-server"),
    )
    return Messages(sealed, wire), answer


def greet_as_server(link, algorithms):
    """Reads magic, hello and the first message of a connection.

    Returns (wire, clear Messages, name, fields, seal), where seal(token) gives the encrypted Messages.
    """
    if link.peek(7) != MAGIC:
        clear = Messages(link, "v1")
        name, fields = clear.read()
        return "v1", clear, name, fields, lambda token: Messages(payload.CFBLink(link, token), "v1")
    read_exactly(link, 7)
    clear = Messages(link, "v2")
    kind, body = read_frame(link)
    if kind == MESSAGE:
        number = struct.unpack(">H", body[:2])[0]
        return "v2", clear, BY_ID.get(number, "?"), json.loads(body[2:]), None
    if kind != CLIENT_HELLO:
        raise WireError("frame type %d first" % kind)
    crypto = json.loads(body)["capabilities"]["crypto"]
    if len(base64.b64decode(crypto["clientRandom"])) != 32:
        raise WireError("clientRandom is not 32 bytes")
    algorithm = next(name for name in crypto["algorithms"] if name in algorithms)
    answer = json.dumps(
        {
            "selected": {
                "message": {"codec": "json"},
                "crypto": {"algorithm": algorithm, "serverRandom": base64.b64encode(os.urandom(32)).decode()},
            }
        }
    ).encode()
    send_frame(link, SERVER_HELLO, answer)
    name, fields = clear.read()
    salt = payload.transcript(body, answer)

    def seal(token):
        sealed = payload.AEADLink(
            link,
            algorithm,
            payload.control_key(token, salt, algorithm, "client-to-server"),
            payload.control_key(token, salt, algorithm, "server-to-client"),
        )
        return Messages(sealed, "v2")

    return "v2", clear, name, fields, seal
