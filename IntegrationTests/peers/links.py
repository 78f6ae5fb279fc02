# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Byte links that the peers stack on each other: a socket, TLS over it, and a link that can be peeked at.

Each has read(n) -> bytes (empty at the end), write(bytes), end_write() and close().
"""

import datetime
import os
import socket
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


class SocketLink:
    """A connected TCP socket."""

    def __init__(self, sock):
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, count):
        try:
            return self.sock.recv(count)
        except OSError:
            return b""

    def write(self, data):
        self.sock.sendall(data)

    def end_write(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class PeekLink:
    """A link whose first bytes can be looked at before they are read."""

    def __init__(self, link):
        self.link = link
        self.held = b""

    def peek(self, count):
        while len(self.held) < count:
            data = self.link.read(count - len(self.held))
            if not data:
                break
            self.held += data
        return self.held[:count]

    def read(self, count):
        if self.held:
            data, self.held = self.held[:count], self.held[count:]
            return data
        return self.link.read(count)

    def write(self, data):
        self.link.write(data)

    def end_write(self):
        self.link.end_write()

    def close(self):
        self.link.close()


class TLSLink:
    """TLS over another link, safe for one reading and several writing threads.

    ssl.SSLSocket is not safe for that before Python 3.13, so the record layer runs over memory buffers.
    """

    def __init__(self, link, context, server, name=None):
        self.link = link
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server, server_hostname=name)
        self.state = threading.Lock()
        self.order = threading.Lock()
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                break
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    raise ConnectionError("end of the connection inside the TLS handshake")

    def _flush(self):
        data = self.outgoing.read()
        if data:
            self.link.write(data)

    def _fill(self):
        data = self.link.read(65536)
        if not data:
            return False
        with self.state:
            self.incoming.write(data)
        return True

    def read(self, count):
        while True:
            try:
                with self.state:
                    return self.tls.read(count)
            except ssl.SSLWantReadError:
                if not self._fill():
                    return b""
            except ssl.SSLError:
                return b""

    def write(self, data):
        with self.order:
            with self.state:
                self.tls.write(data)
                sealed = self.outgoing.read()
            self.link.write(sealed)

    def end_write(self):
        with self.order:
            with self.state:
                try:
                    self.tls.unwrap()
                except ssl.SSLError:
                    pass
                sealed = self.outgoing.read()
            if sealed:
                try:
                    self.link.write(sealed)
                except OSError:
                    pass

    def close(self):
        self.end_write()
        self.link.close()


def client_context():
    """A client that does not verify the server, which is frp's default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_context():
    """A server with a fresh self-signed RSA-2048 certificate without names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "server.pem")
        with open(path, "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.TraditionalOpenSSL,
                    serialization.NoEncryption(),
                )
            )
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context


def read_exactly(link, count):
    """Reads count bytes or raises ConnectionError."""
    parts = []
    while count:
        data = link.read(count)
        if not data:
            raise ConnectionError("end of the stream, %d bytes short" % count)
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def join(left, right):
    """Copies both ways until both directions have ended, then closes both; blocks."""

    def copy(source, sink):
        try:
            while True:
                data = source.read(16384)
                if not data:
                    break
                sink.write(data)
        except (OSError, ConnectionError, ValueError):
            left.close()
            right.close()
            return
        sink.end_write()

    other = threading.Thread(target=copy, args=(right, left), daemon=True)
    other.start()
    copy(left, right)
    other.join()
    left.close()
    right.close()
