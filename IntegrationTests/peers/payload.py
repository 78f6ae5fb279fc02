# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What frp does to the bytes of a tunnel and of the control stream: snappy framing, AES-128-CFB, the v2 AEAD stream."""

import hashlib
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

from links import read_exactly


# AES-128-CFB


def cfb_key(secret):
    """The key that frp derives from a token or a secret key."""
    return hashlib.pbkdf2_hmac("sha1", secret, b"frp", 64, 16)


class CFBLink:
    """AES-128-CFB in each direction, a random IV first."""

    def __init__(self, link, secret):
        self.link = link
        self.key = cfb_key(secret)
        self.encryptor = None
        self.decryptor = None

    def read(self, count):
        if self.decryptor is None:
            try:
                iv = read_exactly(self.link, 16)
            except ConnectionError:
                return b""
            self.decryptor = Cipher(algorithms.AES(self.key), CFB(iv)).decryptor()
        data = self.link.read(count)
        return self.decryptor.update(data) if data else b""

    def write(self, data):
        if self.encryptor is None:
            iv = os.urandom(16)
            self.encryptor = Cipher(algorithms.AES(self.key), CFB(iv)).encryptor()
            self.link.write(iv)
        self.link.write(self.encryptor.update(data))

    def end_write(self):
        self.link.end_write()

    def close(self):
        self.link.close()


# The v2 control stream


def transcript(client_hello, server_hello):
    """The hash over both hello payloads."""
    digest = hashlib.sha256(b"frp wire v2 crypto transcript")
    for label, payload in ((b"client hello", client_hello), (b"server hello", server_hello)):
        digest.update(b"\0" + label + b"\0" + struct.pack(">Q", len(payload)) + payload)
    return digest.digest()


def control_key(secret, salt, algorithm, direction):
    """The AEAD key of one direction."""
    info = b"frp wire v2 control aead " + algorithm.encode() + b" " + direction.encode()
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def _rotate(value, count):
    return ((value << count) | (value >> (32 - count))) & 0xFFFFFFFF


def hchacha20(key, nonce):
    """HChaCha20 (draft-irtf-cfrg-xchacha section 2.2): the subkey for the first 16 bytes of a nonce."""
    words = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def quarter(a, b, c, d):
        for x, y, z, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            words[x] = (words[x] + words[y]) & 0xFFFFFFFF
            words[z] = _rotate(words[z] ^ words[x], count)

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        quarter(0, 5, 10, 15)
        quarter(1, 6, 11, 12)
        quarter(2, 7, 8, 13)
        quarter(3, 4, 9, 14)
    return struct.pack("<8I", *(words[:4] + words[12:]))


class XChaCha20Poly1305:
    """XChaCha20-Poly1305 from the ChaCha20-Poly1305 that the library has."""

    def __init__(self, key):
        self.key = key

    def _inner(self, nonce):
        return ChaCha20Poly1305(hchacha20(self.key, nonce[:16])), b"\0\0\0\0" + nonce[16:]

    def encrypt(self, nonce, data, additional):
        cipher, short = self._inner(nonce)
        return cipher.encrypt(short, data, additional)

    def decrypt(self, nonce, data, additional):
        cipher, short = self._inner(nonce)
        return cipher.decrypt(short, data, additional)


ALGORITHMS = {"aes-256-gcm": (AESGCM, 12), "xchacha20-poly1305": (XChaCha20Poly1305, 24)}


class AEADLink:
    """The encrypted v2 control stream."""

    def __init__(self, link, algorithm, read_key, write_key):
        self.link = link
        make, self.nonce_length = ALGORITHMS[algorithm]
        self.opener = make(read_key)
        self.sealer = make(write_key)
        self.read_start = self.write_start = None
        self.read_count = self.write_count = 0
        self.held = b""

    def _nonce(self, start, count):
        number = (int.from_bytes(start, "big") + count) % (1 << (8 * self.nonce_length))
        return number.to_bytes(self.nonce_length, "big")

    def read(self, count):
        while not self.held:
            try:
                if self.read_start is None:
                    self.read_start = read_exactly(self.link, self.nonce_length)
                prefix = read_exactly(self.link, 4)
            except ConnectionError:
                return b""
            length = struct.unpack(">I", prefix)[0]
            if length < 16 or length > 65536 + 16:
                raise ConnectionError("a record of %d bytes" % length)
            sealed = read_exactly(self.link, length)
            nonce = self._nonce(self.read_start, self.read_count)
            self.read_count += 1
            self.held = self.opener.decrypt(nonce, sealed, self.read_start + prefix)
        data, self.held = self.held[:count], self.held[count:]
        return data

    def write(self, data):
        out = b""
        if self.write_start is None:
            out = self.write_start = os.urandom(self.nonce_length)
        for start in range(0, len(data), 65536):
            part = data[start : start + 65536]
            prefix = struct.pack(">I", len(part) + 16)
            nonce = self._nonce(self.write_start, self.write_count)
            self.write_count += 1
            out += prefix + self.sealer.encrypt(nonce, part, self.write_start + prefix)
        self.link.write(out)

    def end_write(self):
        self.link.end_write()

    def close(self):
        self.link.close()


# Snappy


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def masked_crc(data):
    """CRC-32C, masked as the framing format says."""
    crc = 0xFFFFFFFF
    table = CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy_compress(data):
    """A snappy block, by greedy search with a table of four-byte words."""
    out = bytearray(_varint(len(data)))

    def literal(part):
        length = len(part) - 1
        if length < 60:
            out.append(length << 2)
        elif length < 256:
            out.extend((60 << 2, length))
        else:
            out.extend((61 << 2, length & 0xFF, length >> 8))
        out.extend(part)

    seen = {}
    position = start = 0
    while position + 4 <= len(data):
        word = data[position : position + 4]
        candidate = seen.get(word)
        seen[word] = position
        if candidate is None or position - candidate > 65535:
            position += 1
            continue
        length = 4
        while length < 64 and position + length < len(data) and data[candidate + length] == data[position + length]:
            length += 1
        if position > start:
            literal(data[start:position])
        offset = position - candidate
        if length <= 11 and offset < 2048:
            out.extend((1 | (length - 4) << 2 | (offset >> 8) << 5, offset & 0xFF))
        else:
            out.extend((2 | (length - 1) << 2, offset & 0xFF, offset >> 8))
        position += length
        start = position
    if start < len(data):
        literal(data[start:])
    return bytes(out)


def snappy_decompress(block):
    """The bytes of a snappy block."""
    total = shift = index = 0
    while True:
        byte = block[index]
        index += 1
        total |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    out = bytearray()
    while index < len(block):
        tag = block[index]
        index += 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(block[index : index + extra], "little")
                index += extra
            length += 1
            out += block[index : index + length]
            index += length
            continue
        if kind == 1:
            length = 4 + (tag >> 2 & 7)
            offset = (tag >> 5) << 8 | block[index]
            index += 1
        else:
            size = 2 if kind == 2 else 4
            length = 1 + (tag >> 2)
            offset = int.from_bytes(block[index : index + size], "little")
            index += size
        if offset == 0 or offset > len(out):
            raise ValueError("a copy from before the beginning")
        if offset >= length:
            out += out[-offset : len(out) - offset + length]
        else:
            for _ in range(length):
                out.append(out[-offset])
    if len(out) != total:
        raise ValueError("%d bytes where %d were announced" % (len(out), total))
    return bytes(out)


class SnappyLink:
    """The snappy framing format; each write is at least one chunk."""

    def __init__(self, link):
        self.link = link
        self.begun = False
        self.identified = False
        self.held = b""

    def read(self, count):
        while not self.held:
            try:
                header = read_exactly(self.link, 4)
            except ConnectionError:
                return b""
            kind, length = header[0], int.from_bytes(header[1:], "little")
            body = read_exactly(self.link, length)
            if kind == 0xFF:
                if body != b"sNaPpY":
                    raise ValueError("not a snappy stream")
                self.identified = True
            elif not self.identified:
                raise ValueError("a chunk before the stream identifier")
            elif kind in (0, 1):
                data = snappy_decompress(body[4:]) if kind == 0 else body[4:]
                if len(data) > 65536:
                    raise ValueError("a chunk of %d bytes" % len(data))
                if struct.unpack("<I", body[:4])[0] != masked_crc(data):
                    raise ValueError("wrong checksum")
                self.held = data
            elif kind < 0x80:
                raise ValueError("chunk type %#x" % kind)
        data, self.held = self.held[:count], self.held[count:]
        return data

    def write(self, data):
        out = b"" if self.begun else b"\xff\x06\x00\x00sNaPpY"
        self.begun = True
        for start in range(0, len(data), 65536):
            part = bytes(data[start : start + 65536])
            body = snappy_compress(part)
            kind = 0
            if len(body) >= len(part) - len(part) // 8:
                kind, body = 1, part
            length = len(body) + 4
            out += bytes((kind,)) + length.to_bytes(3, "little") + struct.pack("<I", masked_crc(part)) + body
        self.link.write(out)

    def end_write(self):
        self.link.end_write()

    def close(self):
        self.link.close()


def transformed(link, token, encryption, compression):
    """From the application outward: compression, then encryption, then the work connection."""
    if encryption:
        link = CFBLink(link, token)
    if compression:
        link = SnappyLink(link)
    return link
