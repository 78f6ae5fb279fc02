# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Sockets in the namespaces of a lab, for proofs with packets."""

import contextlib
import errno
import select
import socket
import struct
import time

# What must arrive may take this long on a busy computer; only a failure waits for it.
PATIENCE = 5.0
# How long what must not arrive is waited for after a packet that was sent later on the same way has come.
GRACE = 0.05
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ProofError(Exception):
    """A proof could not be done: what must pass did not."""


class Sockets(contextlib.ExitStack):
    """Makes sockets and closes them all at its end."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab

    def udp(self, place, address, port=0, family=socket.AF_INET):
        with self.lab.inside(place):
            sock = socket.socket(family, socket.SOCK_DGRAM)
        self.enter_context(sock)
        sock.bind((address, port))
        sock.settimeout(PATIENCE)
        return sock

    def tcp(self, place, address, port=0, listen=False, family=socket.AF_INET):
        """A TCP socket whose port others may share; closing it resets, so that nothing stays behind."""
        with self.lab.inside(place):
            sock = socket.socket(family, socket.SOCK_STREAM)
        self.enter_context(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.bind((address, port))
        if listen:
            sock.listen(64)
        sock.settimeout(PATIENCE)
        return sock

    def accept(self, listener):
        sock, peer = listener.accept()
        self.enter_context(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.settimeout(PATIENCE)
        return sock, peer


def is_ready(sock, seconds, write=False):
    ready = select.select([] if write else [sock], [sock] if write else [], [], seconds)
    return bool(ready[0] or ready[1])


def datagram(sock, seconds=PATIENCE):
    """The next datagram and its source; None when none comes in time."""
    deadline = time.monotonic() + seconds
    while is_ready(sock, max(0, deadline - time.monotonic())):
        try:
            return sock.recvfrom(2048)
        except ConnectionError:
            continue
    return None


def begin_connect(sock, target):
    """Starts to connect without waiting."""
    sock.setblocking(False)
    result = sock.connect_ex(target)
    if result not in (0, errno.EINPROGRESS):
        raise OSError(result, "connect")


def outcome(sock, seconds):
    """`connected`, `refused`, the name of another error, or `silence` when nothing is known in time."""
    if not is_ready(sock, seconds, write=True):
        return "silence"
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    names = {0: "connected", errno.ECONNREFUSED: "refused"}
    return names.get(error, errno.errorcode.get(error, str(error)))


def connect(sock, target, seconds=PATIENCE):
    begin_connect(sock, target)
    result = outcome(sock, seconds)
    sock.settimeout(PATIENCE)
    return result
