# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Signals between devices (docs/wire.md), written without a line of Adit, so that an attacker can say whatever it wants."""

import base64
import dataclasses
import hashlib
import ipaddress
import json
import os
import struct
import time

PEER_SIGNAL, PEER_UNAVAILABLE, SERVICES, PEER_STREAM = 0x4005, 0x4006, 0x4009, 0x400A
DESCRIPTION, ACKNOWLEDGEMENT, END = 0, 1, 2
CREDENTIALS, CANDIDATE, FLAGS, POLICY, NAT, OPENERS, TCP, SEARCH, REASON = range(1, 10)
HOST, SERVER_REFLEXIVE, PEER_REFLEXIVE, RELAYED = range(4)
UDP, TCP_ACTIVE, TCP_PASSIVE, TCP_SIMULTANEOUS = range(4)


def endpoint(address, port):
    packed = ipaddress.ip_address(address).packed
    return bytes([len(packed)]) + packed + struct.pack("!H", port)


def endpoints(places):
    return bytes([len(places)]) + b"".join(endpoint(*each) for each in places)


def short(tag, value):
    return bytes([tag, len(value)]) + value


def long(tag, value):
    return struct.pack("!BH", tag, len(value)) + value


def candidate(address, port, kind=SERVER_REFLEXIVE, transport=UDP, priority=None):
    if priority is None:
        priority = ((126, 100, 110, 0)[kind] << 24) | (0xFFFF << 8) | 0xFF
    return long(CANDIDATE, bytes([kind, transport, 0]) + struct.pack("!I", priority) + endpoint(address, port) + b"f1")


@dataclasses.dataclass
class Sender:
    """Who signs: the key of a device, and the run that its envelopes name."""

    key: object
    name: str
    server: bytes
    epoch: int = dataclasses.field(default_factory=lambda: int.from_bytes(os.urandom(7), "big") + 1)
    number: int = 0
    # The receiver's epoch, once it was heard.
    echo: int = 0

    def envelope(self, payload, receiver_key=b"", number=None, moment=None):
        """The body of a signal."""
        self.number += 1
        digest = hashlib.sha256(receiver_key).digest() if receiver_key else bytes(32)
        head = struct.pack(
            "!BQQQq", 1, self.epoch, self.echo, number or self.number, int(time.time() if moment is None else moment)
        )
        return head + digest + payload

    def signature(self, receiver, body):
        public = self.key.public_key().public_bytes_raw()
        name = receiver.encode()
        return self.key.sign(
            b"adit peer signal v1\0" + public + self.server + struct.pack("!H", len(name)) + name + body
        )

    def message(self, receiver, payload, run="", signature=None, body=None):
        """The JSON of a signal to a device."""
        body = self.envelope(payload) if body is None else body
        signature = self.signature(receiver, body) if signature is None else signature
        fields = {"peer": receiver, "run": run, "body": encoded(body), "signature": encoded(signature)}
        return json.dumps(fields).encode()


def stream(**fields):
    """The first bytes of a stream that is to lead to another device."""
    body = json.dumps(fields).encode()
    return b"FRP\x00\x02\r\n" + struct.pack("!HHIH", 16, 0, len(body) + 2, PEER_STREAM) + body


def packet(data):
    """A packet on such a stream."""
    return struct.pack("!H", len(data)) + data


def encoded(data):
    return base64.b64encode(data).decode()


def description(session, *fields, revision=1, peer_session=0, acknowledged=0, ufrag="evil", password="e" * 24, flags=1):
    """A signal that describes its sender: `fields` are candidates and whatever else."""
    head = struct.pack("!BBQQII", 1, DESCRIPTION, session, peer_session, revision, acknowledged)
    body = long(CREDENTIALS, bytes([len(ufrag)]) + ufrag.encode() + password.encode())
    return head + body + b"".join(fields) + long(FLAGS, bytes([flags]))


def search(stage, places, number=1):
    """An offer to search for ports, with what servers saw of the sender's sockets."""
    return long(SEARCH, bytes([number, stage]) + endpoints(places))


def openers(places, is_opened=True, number=1):
    return long(OPENERS, bytes([number, int(is_opened)]) + endpoints(places))


def tcp(places, number=1, flags=3):
    return long(TCP, bytes([number, flags]) + endpoints(places))


def read(message):
    """Of a signal that came: who sent it, its envelope's epoch, and session and revision of what it holds."""
    body = base64.b64decode(message["body"])
    payload = body[65:]
    found = {"peer": message["peer"], "run": message.get("run", ""), "epoch": struct.unpack("!Q", body[1:9])[0]}
    if len(payload) >= 26:
        found["session"], found["peer_session"], found["revision"], found["acknowledged"] = struct.unpack(
            "!QQII", payload[2:26]
        )
    return found
