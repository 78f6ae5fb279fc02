# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A TURN client as RFC 8656 and RFC 8489 section 9.2 have it, written without a line of Adit."""

import base64
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time

COOKIE = 0x2112A442
ALLOCATE, REFRESH, SEND, DATA, PERMIT, BIND = 3, 4, 6, 7, 8, 9
USERNAME, INTEGRITY, ERROR, CHANNEL, LIFETIME, PEER = 0x0006, 0x0008, 0x0009, 0x000C, 0x000D, 0x0012
PAYLOAD, REALM, NONCE, RELAYED, FAMILY, EVEN_PORT, TRANSPORT = 0x0013, 0x0014, 0x0015, 0x0016, 0x0017, 0x0018, 0x0019
XOR_MAPPED = 0x0020
UDP = struct.pack("!Bxxx", 17)


def credentials(secret, name="guest", lifetime=3600):
    """The user and password that whoever knows the secret can make (coturn's use-auth-secret)."""
    user = "%d:%s" % (time.time() + lifetime, name)
    return user, base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


def attribute(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def endpoint(peer, transaction):
    address = ipaddress.ip_address(peer[0]).packed
    mask = struct.pack("!I", COOKIE) + transaction
    family = 1 if len(address) == 4 else 2
    return struct.pack("!xBH", family, peer[1] ^ COOKIE >> 16) + bytes(a ^ b for a, b in zip(address, mask))


def read_endpoint(value, transaction):
    mask = struct.pack("!I", COOKIE) + transaction
    port = struct.unpack("!H", value[2:4])[0] ^ COOKIE >> 16
    return str(ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask)))), port


class Refused(Exception):
    """An error response."""

    def __init__(self, code, attributes):
        super().__init__(code)
        self.code, self.attributes = code, attributes


def parse(data):
    """Method and class bits, transaction and attributes of a message."""
    kind, length, cookie = struct.unpack("!HHI", data[:8])
    assert cookie == COOKIE and length == len(data) - 20, data.hex()
    attributes, offset = {}, 20
    while offset < len(data):
        number, size = struct.unpack("!HH", data[offset : offset + 4])
        attributes.setdefault(number, data[offset + 4 : offset + 4 + size])
        offset += 4 + size + -size % 4
    return kind, data[8:20], attributes


class Turn:
    """One allocation at most, over UDP, or over a connection that is there."""

    def __init__(self, server, user=None, password=None, source="127.0.0.1", stream=None, timeout=5):
        self.server, self.user, self.password = server, user, password
        self.stream = stream
        self.socket = stream
        if stream is None:
            self.socket = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((source, 0))
            self.socket.connect(server)
        self.socket.settimeout(timeout)
        self.realm = self.nonce = None
        self.unread = b""
        self.waiting = []

    def close(self):
        self.socket.close()

    def message(self, method, *attributes, kind=0, transaction=None, signed=True):
        transaction = transaction or os.urandom(12)
        body = b"".join(attributes)
        if signed and self.nonce is not None:
            body += attribute(USERNAME, self.user.encode()) + attribute(REALM, self.realm) + attribute(NONCE, self.nonce)
        head = struct.pack("!HH", method | kind, len(body) + (24 if signed and self.nonce is not None else 0))
        data = head + struct.pack("!I", COOKIE) + transaction + body
        if signed and self.nonce is not None:
            key = hashlib.md5(("%s:%s:%s" % (self.user, self.realm.decode(), self.password)).encode()).digest()
            data += attribute(INTEGRITY, hmac.new(key, data, hashlib.sha1).digest())
        return data, transaction

    def write(self, data):
        if self.stream is None:
            self.socket.send(data)
        else:
            self.socket.sendall(data)

    def read(self):
        """The next message of the server."""
        if self.stream is None:
            return self.socket.recv(65536)
        while True:
            if len(self.unread) >= 4:
                first, length = struct.unpack("!HH", self.unread[:4])
                size = 4 + length + -length % 4 if first >= 0x4000 else 20 + length
                if len(self.unread) >= size:
                    data, self.unread = self.unread[:size], self.unread[size:]
                    return data[: 4 + length] if first >= 0x4000 else data
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.unread += more

    def ask(self, method, *attributes):
        """The attributes of the response, and the transaction; again with a nonce that the server wants."""
        for _ in range(3):
            data, transaction = self.message(method, *attributes)
            self.write(data)
            while True:
                answer = self.read()
                if answer[0] >> 6 == 0:
                    kind, answered, found = parse(answer)
                    if answered == transaction:
                        break
                self.waiting.append(answer)
            if kind & 0x0110 == 0x0100:
                return found, transaction
            code = found[ERROR][2] * 100 + found[ERROR][3]
            if code not in (401, 438) or NONCE not in found or found[NONCE] == self.nonce or self.user is None:
                raise Refused(code, found)
            if code == 401 and self.nonce is not None:
                raise Refused(code, found)
            self.realm, self.nonce = found[REALM], found[NONCE]
        raise Refused(code, found)

    def allocate(self, *attributes):
        """The relayed endpoint."""
        found, transaction = self.ask(ALLOCATE, attribute(TRANSPORT, UDP), *attributes)
        self.relayed = read_endpoint(found[RELAYED], transaction)
        self.mapped = read_endpoint(found[XOR_MAPPED], transaction)
        self.lifetime = struct.unpack("!I", found[LIFETIME])[0]
        return self.relayed

    def refresh(self, lifetime):
        return self.ask(REFRESH, attribute(LIFETIME, struct.pack("!I", lifetime)))

    def permit(self, *addresses):
        transaction = os.urandom(12)
        # XOR of an IPv6 address takes the transaction in, so that the request is made by hand.
        for _ in range(3):
            peers = b"".join(attribute(PEER, endpoint((each, 0), transaction)) for each in addresses)
            try:
                return self.ask_with(PERMIT, transaction, peers)
            except Refused as refused:
                if refused.code not in (401, 438) or NONCE not in refused.attributes:
                    raise
                self.realm, self.nonce = refused.attributes[REALM], refused.attributes[NONCE]
                transaction = os.urandom(12)
        raise AssertionError("no nonce is good")

    def bind(self, number, peer):
        transaction = os.urandom(12)
        value = attribute(CHANNEL, struct.pack("!Hxx", number)) + attribute(PEER, endpoint(peer, transaction))
        return self.ask_with(BIND, transaction, value)

    def ask_with(self, method, transaction, body):
        data, _ = self.message(method, body, transaction=transaction)
        self.write(data)
        while True:
            answer = self.read()
            if answer[0] >> 6 == 0 and answer[8:20] == transaction:
                break
            self.waiting.append(answer)
        kind, _, found = parse(answer)
        if kind & 0x0110 != 0x0100:
            raise Refused(found[ERROR][2] * 100 + found[ERROR][3], found)
        return found

    def send(self, payload, peer):
        transaction = os.urandom(12)
        body = attribute(PEER, endpoint(peer, transaction)) + attribute(PAYLOAD, payload)
        data, _ = self.message(SEND, body, kind=0x0010, transaction=transaction, signed=False)
        self.write(data)

    def send_channel(self, number, payload):
        data = struct.pack("!HH", number, len(payload)) + payload
        self.write(data + (bytes(-len(payload) % 4) if self.stream is not None else b""))

    def receive(self):
        """The next payload: with its peer, or with its channel's number."""
        data = self.waiting.pop(0) if self.waiting else self.read()
        first, length = struct.unpack("!HH", data[:4])
        if first >= 0x4000:
            assert len(data) >= 4 + length, data.hex()
            return data[4 : 4 + length], first
        kind, transaction, found = parse(data)
        assert kind == DATA | 0x0010, data.hex()
        return found.get(PAYLOAD), read_endpoint(found[PEER], transaction)
