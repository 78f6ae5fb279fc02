# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Requests that could be read in two ways, and a service that keeps every byte it gets."""

import concurrent.futures
import os
import re
import selectors
import socket
import threading
import time

PAGE = b"a page behind NAT\n"


class Listening:
    """Accepts connections and serves each in a thread of its own."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._guard, args=(connection,), daemon=True).start()

    def _guard(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass


class EchoService(Listening):
    def serve(self, connection):
        while data := connection.recv(65536):
            connection.sendall(data)


class RecordingService(Listening):
    """A plain HTTP/1.1 service without any leniency: what it gets is kept as (head, body) and as raw bytes."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []
        self.raw = bytearray()
        super().__init__()

    def serve(self, connection):
        held = b""

        def more():
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("end")
            if b"/control" not in data:
                with self.lock:
                    self.raw += data
            return data

        while True:
            while b"\r\n\r\n" not in held:
                held += more()
            head, held = held.split(b"\r\n\r\n", 1)
            body = b""
            length = re.search(rb"(?im)^content-length: (\d+)\r?$", head)
            if re.search(rb"(?im)^transfer-encoding: chunked\r?$", head):
                while True:
                    while b"\r\n" not in held:
                        held += more()
                    size, held = held.split(b"\r\n", 1)
                    count = int(size, 16)
                    if count == 0:
                        break
                    while len(held) < count + 2:
                        held += more()
                    body += held[:count]
                    held = held[count + 2 :]
                while True:
                    while b"\r\n" not in held:
                        held += more()
                    trailer, held = held.split(b"\r\n", 1)
                    if not trailer:
                        break
                    body += b"\r\ntrailer " + trailer
            elif length:
                while len(held) < int(length[1]):
                    held += more()
                body, held = held[: int(length[1])], held[int(length[1]) :]
            if not head.split(b" ")[1].startswith(b"/control"):
                with self.lock:
                    self.requests.append((head, body))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE))

    def find(self, path):
        """The latest (head, body) of a request to the path."""
        with self.lock:
            for head, body in reversed(self.requests):
                if head.split(b" ")[1] == path:
                    return head, body
        return None


class SlowHeads:
    """Many connections from one address that each send a byte of a request every two seconds and never finish."""

    def __init__(self, port, host, count):
        self.selector = selectors.DefaultSelector()
        self.done = threading.Event()
        request = ("POST /slow HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\nX-Padding: " % host).encode() + b"x" * 5000
        self.open = {}
        for index in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.10.1", 0))
            sock.setblocking(False)
            # A third says nothing at all, a third drips its head, a third drips its body.
            if index % 3 == 0:
                rest = b""
            elif index % 3 == 1:
                rest = request
            else:
                rest = request + b"\r\n\r\n" + b"y" * 5000
                end = rest.index(b"\r\n\r\n") + 4
                sock.send(rest[:end])
                rest = rest[end:]
            self.open[sock] = rest
            self.selector.register(sock, selectors.EVENT_READ)
        self.open_count = count
        # A slow body is no fault as long as it goes on; only the heads have to end.
        self.bodies = {sock for index, sock in enumerate(list(self.open)) if index % 3 == 2}
        self.open_count -= len(self.bodies)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        next_byte = time.monotonic()
        while not self.done.is_set():
            if time.monotonic() >= next_byte:
                next_byte += 2
                for sock, rest in list(self.open.items()):
                    if rest:
                        try:
                            sock.send(rest[:1])
                            self.open[sock] = rest[1:]
                        except OSError:
                            self._close(sock)
            for key, _ in self.selector.select(0.1):
                try:
                    data = key.fileobj.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    self._close(key.fileobj)
        for sock in list(self.open):
            self._close(sock)

    def _close(self, sock):
        if sock in self.open:
            del self.open[sock]
            if sock not in self.bodies:
                self.open_count -= 1
            self.selector.unregister(sock)
            sock.close()

    def stop(self):
        self.done.set()


def read_reply(sock, timeout=5):
    """One response with its body, or what came until the end."""
    sock.settimeout(timeout)
    data = b""
    try:
        while True:
            if b"\r\n\r\n" in data:
                head, body = data.split(b"\r\n\r\n", 1)
                length = re.search(rb"(?im)^content-length: *(\d+)", head)
                if length and len(body) >= int(length[1]):
                    return data
            part = sock.recv(65536)
            if not part:
                return data
            data += part
    except (TimeoutError, ConnectionError):
        return data


def read_rest(sock, timeout):
    sock.settimeout(timeout)
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except OSError:
        pass
    return data


REFUSED = (400, 408, 411, 413, 414, 417, 431, 501, 505, 405, None)


def cases(host):
    """(name, bytes, statuses, requests) where `requests` is how many the service gets.

    {F} stands for the path of the request itself and {S} for that of a request inside it, which never may arrive as one.
    """
    inner = "GET {S} HTTP/1.1\r\nHost: %s\r\n\r\n" % host
    top = "POST {F} HTTP/1.1\r\nHost: %s\r\n" % host
    get = "GET {F} HTTP/1.1\r\nHost: %s\r\n" % host
    chunked = "Transfer-Encoding: chunked\r\n"
    zero = "0\r\n\r\n"
    table = []

    def bad(name, text, *statuses):
        table.append((name, text, statuses or (400, None), 0))

    def good(name, text, requests=1, *statuses):
        table.append((name, text, statuses or (200,), requests))

    # Length and coding at once, and lengths that can be read in two ways.
    bad("CL.TE", top + "Content-Length: 6\r\n" + chunked + "\r\n" + zero + "G" + inner)
    bad("TE.CL", top + chunked + "Content-Length: 4\r\n\r\n5c\r\n" + inner + zero)
    bad("CL twice, equal", top + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + inner)
    bad("CL twice, different", top + "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello" + inner)
    for value in (
        "5, 5",
        "5, 6",
        "5,",
        ",5",
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5a",
        "5.0",
        "",
        "1e1",
        "５",
        "99999999999999999999",
        "18446744073709551621",
        "9223372036854775808",
        "4294967296000000000000",
        "5;x",
        "\x0b5",
        "5\x0c",
        "'5'",
        "\u00a05",
    ):
        bad("CL %r" % value, top + "Content-Length: %s\r\n\r\nhello" % value + inner)
    bad(
        "CL in HTTP/1.0 with TE",
        ("POST {F} HTTP/1.0\r\nHost: %s\r\n" % host) + chunked + "Content-Length: 3\r\n\r\n" + zero + inner,
    )
    bad(
        "TE in HTTP/1.0",
        ("POST {F} HTTP/1.0\r\nHost: %s\r\nConnection: keep-alive\r\n" % host) + chunked + "\r\n" + zero + inner,
    )
    good("CL with zeros in front", top + "Content-Length: 0005\r\n\r\nhello", 1, 200, 400)
    good("CL with space around", top + "Content-Length:  5 \t\r\n\r\nhello", 1, 200, 400)
    # Codings that one side might take for chunked and the other not.
    for value in (
        "chunked, identity",
        "identity, chunked",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "chunked,",
        ",chunked",
        "chunked chunked",
        "chunked, chunked",
        "gzip, chunked",
        "gzip",
        '"chunked"',
        "'chunked'",
        "chun\tked",
        "\x0bchunked",
        "chunked\x0c",
        "chunKed\x00",
        "\u212ahunked",
        "",
        "x\r\n chunked",
        "\r\n chunked",
        "cow",
        "c\u0068unked\u200b",
    ):
        bad("TE %r" % value, top + "Transfer-Encoding: %s\r\n\r\n" % value + zero + inner, *REFUSED)
        bad(
            "TE %r with CL" % value,
            top + "Content-Length: 3\r\nTransfer-Encoding: %s\r\n\r\n" % value + zero + inner,
            *REFUSED,
        )
    bad("TE twice", top + chunked + chunked + "\r\n" + zero + inner, 400, 501, None)
    bad("TE twice, second cow", top + chunked + "Transfer-Encoding: cow\r\n\r\n" + zero + inner, 400, 501, None)
    bad("TE with space before colon", top + "Transfer-Encoding : chunked\r\n\r\n" + zero + inner)
    bad("CL with space before colon", top + "Content-Length : 5\r\n\r\nhello" + inner)
    bad("TE behind a space", top + " Transfer-Encoding: chunked\r\n\r\n" + zero + inner)
    bad("TE behind a tab in the first field", "POST {F} HTTP/1.1\r\n\tHost: %s\r\n" % host + chunked + "\r\n" + zero + inner)
    bad("TE with NUL in its name", top + "Transfer-Encoding\0: chunked\r\n\r\n" + zero + inner)
    bad("TE behind bare CR", top + "X: y\rTransfer-Encoding: chunked\r\n\r\n" + zero + inner)
    bad("TE behind bare LF", top + "X: y\nTransfer-Encoding: chunked\r\n\r\n" + zero + inner)
    good("chunked as others write it", top + "Transfer-Encoding: \tChunKed \r\n\r\n5\r\nhello\r\n" + zero)
    good("a field that only looks like TE", top + "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\nhello")
    # Chunks.
    for size in (
        "FFFFFFFFFFFFFFFFF",
        "10000000000000005",
        "-5",
        "+5",
        "0x5",
        " 5",
        "5 x",
        "",
        "g",
        "5\x00",
        "5\u0661",
        "80000000000000000000000",
    ):
        bad("chunk size %r" % size, top + chunked + "\r\n%s\r\nhello\r\n" % size + zero + inner)
    bad("chunk longer than its size", top + chunked + "\r\n3\r\nhello\r\n" + zero + inner)
    bad("chunk without its end", top + chunked + "\r\n5\r\nhelloXX" + zero + inner)
    bad("chunk ended by LF", top + chunked + "\r\n5\nhello\r\n" + zero + inner)
    bad("chunk data ended by LF", top + chunked + "\r\n5\r\nhello\n" + zero + inner)
    bad("chunk size ended by CR", top + chunked + "\r\n5\rhello\r\n" + zero + inner)
    bad("chunk extension with LF", top + chunked + "\r\n5;a\nb\r\nhello\r\n" + zero + inner)
    good("chunk extension", top + chunked + "\r\n5;name=value\r\nhello\r\n0;x\r\n\r\n", 1, 200, 400)
    good(
        "chunk extensions of 200 KB",
        top + chunked + "\r\n5;" + "x" * 200000 + "\r\nhello\r\n" + zero,
        1,
        200,
        400,
        413,
        431,
        None,
    )
    good(
        "trailers that frame",
        top + chunked + "\r\n5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n",
        1,
        200,
        400,
    )
    bad("trailer with obs-fold", top + chunked + "\r\n0\r\nX: y\r\n z\r\n\r\n" + inner, 200, 400, None)
    # Lines.
    bad("bare LF everywhere", (get + "\r\n" + inner).replace("\r\n", "\n"), 400, 505, None)
    bad("bare LF after the request line", "GET {F} HTTP/1.1\nHost: %s\r\n\r\n" % host + inner, 400, 505, None)
    bad("bare LF ends the head", get + "X: y\n\n" + inner)
    bad("CR CR LF", get + "X: y\r\r\n\r\n" + inner)
    bad("bare CR everywhere", (get + "\r\n").replace("\r\n", "\r") + inner)
    bad("obs-fold", get + "X: y\r\n folded\r\n\r\n" + inner)
    bad("obs-fold of Host", "GET {F} HTTP/1.1\r\nHost:\r\n %s\r\n\r\n" % host + inner)
    bad("obs-fold of the request line", "GET {F}\r\n HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("NUL in a value", get + "X: a\0b\r\n\r\n" + inner)
    bad("NUL in the target", get.replace("{F}", "{F}\0") + "\r\n" + inner)
    bad("control in a value", get + "X: a\x01b\r\n\r\n" + inner)
    bad("no colon", get + "Nonsense\r\n\r\n" + inner)
    bad("no name", get + ": value\r\n\r\n" + inner)
    bad("name with space", get + "X Y: value\r\n\r\n" + inner)
    bad("name with bytes above 127", get + "X\u00e9: value\r\n\r\n" + inner)
    bad("space before the first field", "GET {F} HTTP/1.1\r\n Host: %s\r\n\r\n" % host + inner)
    good("empty lines in front", "\r\n\r\n" + get + "\r\n", 1, 200, 400)
    # Request lines.
    bad("HTTP/0.9", "GET {F}\r\n" + inner, *REFUSED)
    bad("HTTP/0.9 without CR", "GET {F}\n" + inner, *REFUSED)
    for version in (
        "HTTP/1.2",
        "HTTP/1.10",
        "HTTP/3.0",
        "HTTP/11",
        "http/1.1",
        "HTTP/1",
        "HTTP/1.1x",
        "HTTP/ 1.1",
        "ICY/1.1",
        "HTTP/-1.1",
    ):
        bad("version " + version, "GET {F} %s\r\nHost: %s\r\n\r\n" % (version, host) + inner, *REFUSED)
    good("two spaces", "GET  {F} HTTP/1.1\r\nHost: %s\r\n\r\n" % host, 1, 200, 400, None)
    bad("tabs", "GET\t{F}\tHTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("a space in the target", "GET {F} x HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("CONNECT", "CONNECT %s:80 HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host) + inner, 400, 405, 501, None)
    bad(
        "CONNECT elsewhere",
        "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n" + inner,
        400,
        405,
        501,
        None,
    )
    bad("method with bad bytes", "GE\u00d6T {F} HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("no method", " {F} HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("target without slash", "GET x{F} HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("star for GET", "GET * HTTP/1.1\r\nHost: %s\r\n\r\n" % host + inner)
    bad("fragment", get.replace("{F}", "{F}#x") + "\r\n" + inner)
    # Where it goes: one value decides, and nothing outside tunnels is reached.
    bad("no Host", "GET {F} HTTP/1.1\r\n\r\n" + inner)
    bad("Host twice", get + "Host: %s\r\n\r\n" % host + inner)
    bad("Host twice, other second", get + "Host: evil.example\r\n\r\n" + inner)
    name, port = host.rsplit(":", 1)
    for value, statuses in (
        ("me@" + host, (400,)),
        ("%s/x" % host, (400,)),
        ("%s, evil" % host, (400,)),
        ("%s evil" % host, (400,)),
        (host + ":80", (400,)),
        (name + ":99999", (400,)),
        (name + ":-1", (400,)),
        (name + ":x", (400,)),
        ("[::1]:80", (400, 404)),
        ("[::1", (400,)),
        ("[::ffff:127.0.0.1]", (400, 404)),
        ("127.0.0.1:%s" % port, (400, 404)),
        ("169.254.169.254", (400, 404)),
        ("localhost:22", (400, 404)),
        ("wеb.localhost", (400, 404)),
        ("xn--a.localhost", (400, 404)),
        ("*.localhost", (400, 404)),
        ("", (400, 404)),
        ("." * 40, (400, 404)),
        ("a" * 300, (400, 404)),
        ("web%2elocalhost", (400, 404)),
        ("web\\.localhost", (400, 404)),
        ("xweb.localhost", (404,)),
        ("web.localhost.evil.example", (404,)),
        ("web.evil.localhost", (404,)),
    ):
        bad("Host %r" % value[:40], "GET {F} HTTP/1.1\r\nHost: %s\r\n\r\n" % value, *statuses, None)
    for value in (name.upper(), name + ".", name + ".:" + port, name + ":1", "  " + host + " "):
        good("Host %r" % value, "GET {F} HTTP/1.1\r\nHost: %s\r\n\r\n" % value, 1, 200)
    bad("absolute-form elsewhere", "GET http://169.254.169.254{F} HTTP/1.1\r\nHost: %s\r\n\r\n" % host, 400, 404, None)
    bad("absolute-form with userinfo", "GET http://me@%s{F} HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host))
    bad("absolute-form, other scheme", "GET ftp://%s{F} HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host))
    bad("absolute-form, broken Host", "GET http://%s{F} HTTP/1.1\r\nHost: a b\r\n\r\n" % host)
    bad("authority-form", "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host))
    good("absolute-form", "GET http://%s{F} HTTP/1.1\r\nHost: evil.example\r\n\r\n" % host, 1, 200)
    # Fields for one hop.
    for option in ("Content-Length", "Transfer-Encoding", "Host", "X-Forwarded-For, Authorization", "Connection"):
        good("Connection: " + option, top + "Connection: %s\r\nContent-Length: 5\r\n\r\nhello" % option, 1, 200, 400)
    good(
        "h2c",
        get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        1,
        200,
        400,
        426,
    )
    good("h2c and then a request", get + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + inner, 1, 200, 400)
    good(
        "WebSocket with a body",
        top
        + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 40\r\n\r\n"
        + ("GET {S} HTTP/1.1\r\nX: " + "y" * 40)[:40],
        1,
        200,
        400,
    )
    good("WebSocket that the service refuses", get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + inner, 1, 200, 400)
    bad("unknown expectation", top + "Expect: 200-maybe\r\nContent-Length: 5\r\n\r\nhello", 417, 400, None)
    # Sizes.
    bad("200 fields", get + "".join("X-%d: y\r\n" % index for index in range(200)) + "\r\n", 431, 400, None)
    bad("a field of 200 KB", get + "X: " + "y" * 200000 + "\r\n\r\n", 431, 400, None)
    bad("a target of 100 KB", get.replace("{F}", "{F}" + "a" * 100000) + "\r\n", 414, 400, None)
    bad("a field name of 70 KB", get + "X" * 70000 + ": y\r\n\r\n", 431, 400, None)
    # Bodies that look like requests are bodies.
    poison = inner.replace("{S}", "{S}" + "p" * 20)
    good("poison in a body", top + "Content-Length: {L}\r\n\r\n" + poison)
    good("poison in chunks", top + chunked + "\r\n{X}\r\n" + poison + "\r\n" + zero)
    good("GET with a body", get + "Content-Length: {L}\r\n\r\n" + poison)
    good("pipelined, both welcome", get + "\r\n" + get + "\r\n", 2)
    return table, poison


def check(port, host, service):
    """Tries every case and returns what went wrong, a line each."""
    table, poison = cases(host)

    def one(index):
        name, text, statuses, requests = table[index]
        mark = "%s%d" % (os.urandom(3).hex(), index)
        first, second = "/first-" + mark, "/inside-" + mark
        body = poison.replace("{S}", second)
        data = (
            text.replace("{S}", second)
            .replace("{F}", first)
            .replace("{L}", str(len(body)))
            .replace("{X}", "%x" % len(body))
            .encode()
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.6.9", 0)) as sock:
            try:
                sock.sendall(data)
            except OSError:
                pass
            reply = read_reply(sock, 10)
            rest = read_rest(sock, 0.2)
        status = int(reply[9:12]) if reply.startswith(b"HTTP/1.") and reply[9:12].isdigit() else None
        faults = []
        if status not in statuses:
            faults.append("%s: answered %s, not %s: %r" % (name, status, "/".join(map(str, statuses)), reply[:60]))
        with service.lock:
            heads = [head.split(b"\r\n", 1)[0] for head, _ in service.requests]
            raw = bytes(service.raw)
        got = sum(first.encode() in line for line in heads)
        if requests and status == 200 and got != requests:
            faults.append("%s: the service got %d requests, not %d" % (name, got, requests))
        if (
            not requests
            and status != 200
            and first.encode() in raw
            and 200 not in statuses
            and "\r\n\r\n" not in text.split("{F}")[0]
        ):
            # Chunks are found broken only after the head has gone on; then the request must not be complete.
            if got:
                faults.append("%s: a refused request reached the service" % name)
        if any(second.encode() in line for line in heads):
            faults.append("%s: the request inside arrived as a request" % name)
        if requests == 0 and status != 200 and second.encode() in raw:
            faults.append("%s: bytes of the request inside arrived" % name)
        if b" 200 " in rest.split(b"\r\n", 1)[0] and requests < 2:
            faults.append("%s: a second answer came" % name)
        return faults

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = [fault for faults in pool.map(one, range(len(table))) for fault in faults]
    print("    %d requests" % len(table))
    return found
