# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A TURN client that says what it is told to (RFC 8656), written without a line of Adit; one UDP socket, one allocation."""

import hashlib
import hmac
import os
import socket
import struct

import stun_client as stun

ALLOCATE, REFRESH, SEND, CREATE_PERMISSION, CHANNEL_BIND = 0x003, 0x004, 0x006, 0x008, 0x009
CHANNEL_NUMBER, LIFETIME, XOR_PEER, DATA, REALM, NONCE, XOR_RELAYED, TRANSPORT = (
    0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0019,
)  # fmt: skip
USERNAME, INTEGRITY, FAMILY = 0x0006, 0x0008, 0x0017


def kind_of(method, is_indication=False):
    """The type of a message: the bits of the method with those of the class between them (RFC 8489 section 5)."""
    bits = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2
    return bits | (0x0010 if is_indication else 0)


def peer(address, port, transaction=b""):
    """XOR-PEER-ADDRESS."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    mask = struct.pack("!I", stun.COOKIE) + transaction
    value = struct.pack("!xBH", 2 if ":" in address else 1, port ^ stun.COOKIE >> 16)
    return stun.attribute(XOR_PEER, value + bytes(a ^ b for a, b in zip(packed, mask)))


def clear(value):
    """An XOR'ed IPv4 address and port in the clear."""
    port, address = struct.unpack("!2xHI", value[:8])
    return socket.inet_ntoa(struct.pack("!I", address ^ stun.COOKIE)), port ^ stun.COOKIE >> 16


class Client:
    """One socket that speaks to a server."""

    def __init__(self, sock, server, offer, seconds=3):
        self.sock, self.server, self.offer = sock, server, dict(offer)
        self.sock.settimeout(seconds)
        self.relayed = None

    def request(self, method, *attributes, credentials=True, peers=()):
        """Sends a request and returns the response; None when none comes."""
        head = struct.pack("!I", stun.COOKIE) + os.urandom(12)
        body = b"".join(attributes) + b"".join(peer(*each, head[4:]) for each in peers)
        if credentials:
            offer = self.offer
            for kind, name in ((USERNAME, "username"), (REALM, "realm"), (NONCE, "nonce")):
                body += stun.attribute(kind, offer[name].encode())
            key = hashlib.md5(f"{offer['username']}:{offer['realm']}:{offer['password']}".encode()).digest()
            start = struct.pack("!HH", kind_of(method), len(body) + 24) + head + body
            body += stun.attribute(INTEGRITY, hmac.digest(key, start, "sha1"))
        self.sock.sendto(struct.pack("!HH", kind_of(method), len(body)) + head + body, self.server)
        while True:
            try:
                data, source = self.sock.recvfrom(4096)
            except TimeoutError:
                return None
            if source[:2] == self.server and data[4:20] == head:
                return stun.Response(data, head)

    def answer(self, method, *attributes, **options):
        """The error code of the response, 0 for success; a stale nonce is replaced once (438), a first one taken (401)."""
        response = None
        for _ in range(3):
            response = self.request(method, *attributes, **options)
            if response is None:
                return None
            error = response.get(stun.ERROR)
            if error and error[0] in (401, 438) and response.get(NONCE) and options.get("credentials", True):
                nonce = response[NONCE].decode()
                if nonce != self.offer["nonce"]:
                    self.offer["nonce"] = nonce
                    continue
            break
        self.response = response
        error = response.get(stun.ERROR)
        return error[0] if error else 0

    def allocate(self, **options):
        code = self.answer(ALLOCATE, stun.attribute(TRANSPORT, bytes([17, 0, 0, 0])), **options)
        if code == 0:
            self.relayed = clear(self.response[XOR_RELAYED])
        return code

    def permit(self, *peers):
        return self.answer(CREATE_PERMISSION, peers=peers)

    def bind(self, number, place):
        return self.answer(CHANNEL_BIND, stun.attribute(CHANNEL_NUMBER, struct.pack("!HH", number, 0)), peers=[place])

    def send(self, place, payload):
        """A Send indication, which nobody answers."""
        head = struct.pack("!I", stun.COOKIE) + os.urandom(12)
        body = peer(*place, head[4:]) + stun.attribute(DATA, payload)
        self.sock.sendto(struct.pack("!HH", kind_of(SEND, True), len(body)) + head + body, self.server)

    def channel_data(self, number, payload):
        self.sock.sendto(struct.pack("!HH", number, len(payload)) + payload, self.server)
