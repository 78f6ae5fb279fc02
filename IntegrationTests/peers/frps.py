#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A frp server for tests, written from a description of the protocol and sharing no code with Adit."""

import argparse
import os
import queue
import socket
import threading

import datagrams
import links
import messages
import payload
import yamux


def listen(port=0):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    return sock


def accept_loop(sock, handle):
    """Calls handle(link, address) in a thread for each connection until the socket is closed."""

    def run():
        while True:
            try:
                connection, address = sock.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(links.SocketLink(connection), address), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


class Login:
    """One client that logged in."""

    def __init__(self, server, control, wire, fields, run_id):
        self.server = server
        self.control = control
        self.wire = wire
        self.fields = fields
        self.run_id = run_id
        self.work = queue.Queue()
        self.listeners = {}
        self.datagrams = {}
        self.domains = {}
        self.pings = 0

    def run(self):
        for _ in range(min(self.fields.get("pool_count", 0), 5)):
            self.control.send("ReqWorkConn")
        while True:
            name, fields = self.control.read()
            if name == "NewProxy":
                self._new_proxy(fields)
            elif name == "CloseProxy":
                self._close_proxy(fields["proxy_name"])
            elif name == "Ping":
                self.pings += 1
                self.control.send("Pong")
            else:
                raise messages.WireError("unexpected " + name)

    def end(self):
        for name in list(self.listeners) + list(self.domains):
            self._close_proxy(name)

    def open_work(self, proxy, visitor, local):
        """A work connection for one visitor, with the proxy's transforms applied."""
        self.control.send("ReqWorkConn")
        link, wire = self.work.get(timeout=10)
        wire.send(
            "StartWorkConn",
            proxy_name=proxy["proxy_name"],
            src_addr=visitor[0],
            src_port=visitor[1],
            dst_addr=local[0],
            dst_port=local[1],
        )
        return payload.transformed(
            link, self.server.token, proxy.get("use_encryption", False), proxy.get("use_compression", False)
        )

    def _new_proxy(self, proxy):
        name, kind = proxy["proxy_name"], proxy["proxy_type"]
        if name in self.listeners or name in self.domains:
            self.control.send("NewProxyResp", proxy_name=name, error="proxy name already in use")
        elif kind == "tcp":
            try:
                sock = listen(proxy.get("remote_port", 0))
            except OSError as error:
                self.control.send("NewProxyResp", proxy_name=name, error=str(error))
                return
            port = sock.getsockname()[1]
            self.listeners[name] = sock

            def visit(link, address):
                try:
                    links.join(link, self.open_work(proxy, address, ("127.0.0.1", port)))
                except (queue.Empty, OSError, ConnectionError):
                    link.close()

            accept_loop(sock, visit)
            self.control.send("NewProxyResp", proxy_name=name, remote_addr=":%d" % port)
        elif kind == "udp":
            side = datagrams.ServerSide(
                lambda: self.open_work(proxy, ("", 0), ("", 0)), self.wire, proxy.get("remote_port", 0)
            )
            self.listeners[name] = self.datagrams[name] = side
            self.control.send("NewProxyResp", proxy_name=name, remote_addr=":%d" % side.port)
        elif kind in ("http", "https"):
            domains = proxy.get("custom_domains", [])
            self.domains[name] = domains
            port = self.server.http_port if kind == "http" else self.server.https_port
            for domain in domains:
                self.server.routes[kind, domain.lower()] = (self, proxy)
            self.control.send(
                "NewProxyResp",
                proxy_name=name,
                remote_addr=",".join("%s:%d" % (domain, port) for domain in domains),
            )
        else:
            self.control.send("NewProxyResp", proxy_name=name, error="proxy type not supported here: " + kind)

    def _close_proxy(self, name):
        sock = self.listeners.pop(name, None)
        if sock:
            sock.close()
        for domain in self.domains.pop(name, []):
            for kind in ("http", "https"):
                if self.server.routes.get((kind, domain.lower()), (None, {}))[1].get("proxy_name") == name:
                    self.server.routes.pop((kind, domain.lower()))


class Server:
    """Listens for clients and for http visitors; keeps what the tests ask about."""

    def __init__(self, token=b"", mux=True, algorithms=("aes-256-gcm", "xchacha20-poly1305"), port=0, http_port=0):
        self.token = token
        self.mux = mux
        self.algorithms = algorithms
        self.context = links.server_context()
        self.routes = {}
        self.logins = {}
        self.last_login = None
        self.logged_in = threading.Event()
        self.sessions = []
        self.errors = []
        self.socket = listen(port)
        self.port = self.socket.getsockname()[1]
        self.http_socket = listen(http_port)
        self.http_port = self.http_socket.getsockname()[1]
        self.https_socket = listen()
        self.https_port = self.https_socket.getsockname()[1]
        self.saw_tls = self.saw_first_byte = False
        accept_loop(self.socket, self._accepted)
        accept_loop(self.http_socket, self._http)
        accept_loop(self.https_socket, self._https)

    def close(self):
        for sock in (self.socket, self.http_socket, self.https_socket):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for session in self.sessions:
            session.close()
        for login in list(self.logins.values()):
            login.control.link.close()

    def faults(self):
        """Everything in which a client broke the protocol."""
        return self.errors + [session.error for session in self.sessions if session.error]

    def _accepted(self, link, address):
        try:
            link = links.PeekLink(link)
            first = link.peek(1)
            if first == b"\x17":
                link.read(1)
                self.saw_first_byte = True
            if first in (b"\x16", b"\x17"):
                link = links.PeekLink(links.TLSLink(link, self.context, server=True))
                self.saw_tls = True
        except (OSError, ConnectionError) as error:
            self.errors.append(error)
            link.close()
            return
        if self.mux:
            self.sessions.append(yamux.Session(link, client=False, on_stream=self._stream))
        else:
            self._stream(link)

    def _stream(self, stream):
        link = links.PeekLink(stream)
        try:
            wire, clear, name, fields, seal = messages.greet_as_server(link, self.algorithms)
            if name == "Login":
                self._login(wire, clear, fields, seal)
            elif name == "NewWorkConn":
                login = self.logins.get(fields["run_id"])
                if login is None or login.wire != wire:
                    raise messages.WireError("a work connection for no session of this wire")
                login.work.put((link, clear))
                return
            else:
                raise messages.WireError("%s first" % name)
        except ConnectionError:
            pass
        except Exception as error:
            self.errors.append(error)
        link.close()

    def _login(self, wire, clear, fields, seal):
        if fields.get("privilege_key") != messages.privilege_key(self.token, fields.get("timestamp", 0)):
            clear.send("LoginResp", version="0.65.0", error="token in login doesn't match token from configuration")
            return
        run_id = fields.get("run_id") or os.urandom(8).hex()
        clear.send("LoginResp", version="0.65.0", run_id=run_id)
        login = Login(self, seal(self.token), wire, fields, run_id)
        self.logins[run_id] = self.last_login = login
        self.logged_in.set()
        try:
            login.run()
        finally:
            login.end()
            if self.logins.get(run_id) is login:
                del self.logins[run_id]

    def _http(self, link, address):
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65536:
            data = link.read(4096)
            if not data:
                link.close()
                return
            head += data
        host = ""
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"host:"):
                host = line[5:].strip().decode("latin-1").lower().rsplit(":", 1)[0]
        route = self.routes.get(("http", host))
        if route is None:
            link.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            link.close()
            return
        login, proxy = route
        try:
            work = login.open_work(proxy, address, ("127.0.0.1", self.http_port))
            work.write(head)
            links.join(link, work)
        except (queue.Empty, OSError, ConnectionError):
            link.close()

    def _https(self, link, address):
        """Leads a TLS connection by its server name, byte for byte."""
        link = links.PeekLink(link)
        try:
            size = int.from_bytes(link.peek(5)[3:5], "big")
            login, proxy = self.routes["https", server_name(link.peek(5 + size)[5:])]
            links.join(link, login.open_work(proxy, address, ("127.0.0.1", self.https_port)))
        except (KeyError, IndexError, queue.Empty, OSError, ConnectionError):
            link.close()


def server_name(hello):
    """The name in a ClientHello of one record (RFC 8446 section 4.1.2, RFC 6066 section 3)."""
    at = 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    at += 2
    while at < len(hello):
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == 0:
            return hello[at + 9 : at + 4 + size].decode("ascii").lower()
        at += 4 + size
    raise KeyError("no server name")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--token", default="")
    parser.add_argument("--no-mux", action="store_true")
    options = parser.parse_args()
    server = Server(options.token.encode(), not options.no_mux, port=options.port, http_port=options.http_port)
    print("listening on 127.0.0.1:%d, http on 127.0.0.1:%d" % (server.port, server.http_port), flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.close()


if __name__ == "__main__":
    main()
