# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Local services and visitors that the tests send through a tunnel."""

import hashlib
import http.client
import http.server
import random
import socket
import ssl
import sys
import threading

from frps import accept_loop, listen


class EchoService:
    """Sends back whatever it gets and ends when the other side ends."""

    def __init__(self):
        self.socket = listen()
        self.address = self.socket.getsockname()
        accept_loop(self.socket, self._serve)

    def _serve(self, link, _):
        try:
            while True:
                data = link.read(65536)
                if not data:
                    break
                link.write(data)
        except OSError:
            pass
        link.close()


class PageService:
    """One HTML page on every path; POST answers with the hash of the body. With a context it speaks TLS."""

    def __init__(self, context=None, body=b"<!doctype html><title>peer</title><p>a page behind NAT</p>\n"):
        self.body = body
        self.requests = requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, content):
                requests.append((self.command, self.path, dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self):
                self.answer(body)

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(hashlib.sha256(content).hexdigest().encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                # A visitor may leave before the end.
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)

        server = Server(("127.0.0.1", 0), Handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.address = server.server_address
        threading.Thread(target=server.serve_forever, daemon=True).start()


def mixed_bytes(count, seed=1):
    """Half of it compresses well and half does not."""
    generator = random.Random(seed)
    parts, left = [], count
    while left > 0:
        size = min(left, 20000)
        parts.append(generator.randbytes(size) if generator.random() < 0.5 else (b"tunnel %d " % size * size)[:size])
        left -= size
    return b"".join(parts)


def echo_round_trip(address, count, timeout=60):
    """Sends count bytes through an echo and checks the hash of what comes back."""
    data = mixed_bytes(count)
    with socket.create_connection(address, timeout=timeout) as sock:
        sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
        sender.start()
        digest, received = hashlib.sha256(), 0
        while received < count:
            part = sock.recv(65536)
            if not part:
                raise AssertionError("the tunnel ended after %d of %d bytes" % (received, count))
            digest.update(part)
            received += len(part)
        sender.join()
    if digest.digest() != hashlib.sha256(data).digest():
        raise AssertionError("the bytes that came back are not the bytes that were sent")


def fetch(port, host, path="/", method="GET", body=None, timeout=20):
    """(status, body) of one request to 127.0.0.1:port with a Host header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def fetch_secure(port, host, certificate=None, server_name=None, timeout=20):
    """(status, body, the certificate shown) of one request with TLS to 127.0.0.1:port; checked when one is given."""
    context = ssl.create_default_context(cafile=certificate)
    if certificate is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        with context.wrap_socket(sock, server_hostname=server_name or host) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            return answer.status, answer.read(), secure.getpeercert(binary_form=True)
