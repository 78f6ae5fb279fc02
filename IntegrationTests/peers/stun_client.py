# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""STUN messages as RFC 8489, RFC 5780 and RFC 3489 have them, written and read without a line of Adit."""

import ipaddress
import os
import struct
import zlib

COOKIE = 0x2112A442
MAPPED, CHANGE, SOURCE, CHANGED, ERROR, UNKNOWN = 0x0001, 0x0003, 0x0004, 0x0005, 0x0009, 0x000A
XOR_MAPPED, PADDING, RESPONSE_PORT = 0x0020, 0x0026, 0x0027
SOFTWARE, FINGERPRINT, ORIGIN, OTHER, ALTERNATE_PORT = 0x8022, 0x8028, 0x802B, 0x802C, 0xFAD1
CONNECT_BACK = 0xFAD3
CHANGE_ADDRESS, CHANGE_PORT = 4, 2
ADDRESSES = {MAPPED, SOURCE, CHANGED, XOR_MAPPED, ORIGIN, OTHER}


def attribute(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def change(flags):
    return attribute(CHANGE, struct.pack("!I", flags))


def request(*attributes, kind=0x0001, classic=False, fingerprint=False, transaction=None):
    """A request and the 16 bytes that its response has to repeat."""
    head = os.urandom(16) if classic else struct.pack("!I", COOKIE) + os.urandom(12)
    head = transaction or head
    body = b"".join(attributes)
    if fingerprint:
        start = struct.pack("!HH", kind, len(body) + 8) + head + body
        body += attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(start) ^ 0x5354554E))
    return struct.pack("!HH", kind, len(body)) + head + body, head


class Response:
    """A response, every byte of which was checked."""

    def __init__(self, data, transaction):
        assert len(data) >= 20, data
        self.kind, length = struct.unpack("!HH", data[:4])
        assert length == len(data) - 20 and length % 4 == 0, data.hex()
        assert data[4:20] == transaction, data.hex()
        self.size = len(data)
        self.attributes = {}
        offset = 20
        while offset < len(data):
            kind, size = struct.unpack("!HH", data[offset : offset + 4])
            value = data[offset + 4 : offset + 4 + size]
            assert len(value) == size, data.hex()
            assert kind not in self.attributes, data.hex()
            if kind == FINGERPRINT:
                assert offset + 8 == len(data), data.hex()
                assert struct.unpack("!I", value)[0] == zlib.crc32(data[:offset]) ^ 0x5354554E, data.hex()
            padding = -size % 4
            assert data[offset + 4 + size : offset + 4 + size + padding] == bytes(padding) or kind == UNKNOWN, data.hex()
            self.attributes[kind] = self._read(kind, value, transaction)
            offset += 4 + size + padding
        assert offset == len(data), data.hex()

    @staticmethod
    def _read(kind, value, transaction):
        if kind in ADDRESSES:
            family, port = struct.unpack("!xBH", value[:4])
            assert len(value) == {1: 8, 2: 20}[family], value.hex()
            address = value[4:]
            if kind == XOR_MAPPED:
                port ^= COOKIE >> 16
                address = bytes(a ^ b for a, b in zip(address, transaction))
            return str(ipaddress.ip_address(address)), port
        if kind == ERROR:
            return value[2] * 100 + value[3], value[4:].decode()
        if kind == UNKNOWN:
            return list(struct.unpack("!%dH" % (len(value) // 2), value))
        if kind == ALTERNATE_PORT:
            return struct.unpack("!H", value[:2])[0]
        return value

    @property
    def is_success(self):
        return self.kind == 0x0101

    def __getitem__(self, kind):
        return self.attributes[kind]

    def get(self, kind):
        return self.attributes.get(kind)
