# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""How attackers connect, send and listen."""

import select
import socket
import ssl
import time


def connect(port, source, timeout=10):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))


def exchange(sock, data, seconds=10, quiet=0.5):
    """Sends all of it, or as much as the other side takes, and reads what comes back meanwhile, in one thread because a TLS
    socket is not for two. Returns how many bytes came back, and whether the other side ended the connection."""
    sock.setblocking(False)
    view, sent, received = memoryview(data), 0, 0
    deadline = time.monotonic() + seconds
    last = time.monotonic()
    while time.monotonic() < deadline:
        moved = False
        try:
            while sent < len(data):
                count = sock.send(view[sent : sent + 16384])
                sent += count
                moved = True
                if sent % (1 << 20) < 16384:
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            return received, True
        try:
            while part := sock.recv(1 << 16):
                received += len(part)
                moved = True
            return received, True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            return received, True
        if moved:
            last = time.monotonic()
        elif sent == len(data) and time.monotonic() - last > quiet:
            break
        else:
            waiting = select.poll()
            waiting.register(sock, select.POLLIN | (select.POLLOUT if sent < len(data) else 0))
            waiting.poll(50)
    return received, False


def pour(sock, data, seconds=10):
    """Sends without reading; true when all was taken before the other side ended the connection."""
    sock.settimeout(seconds)
    try:
        sock.sendall(data)
        return True
    except OSError:
        return False


def is_closed(sock, seconds=10):
    """Whether the other side ends the connection in time."""
    sock.settimeout(seconds)
    try:
        while sock.recv(1 << 16):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True
