#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A frp client for tests, written from a description of the protocol and sharing no code with Adit."""

import argparse
import queue
import socket
import threading
import time

import datagrams
import links
import messages
import payload
import yamux

GCM_FIRST = ["aes-256-gcm", "xchacha20-poly1305"]


class Refused(Exception):
    """The server refused the login."""


class Client:
    """One login; proxies are added with add_proxy and served by threads."""

    def __init__(
        self, server, token=b"", wire="v1", tls=True, first_byte=False, mux=True, user="", pool=1, algorithms=None, run_id=""
    ):
        self.server = server
        self.token = token
        self.wire = wire
        self.tls = tls
        self.first_byte = first_byte
        self.user = user
        self.context = links.client_context() if tls else None
        self.proxies = {}
        self.answers = {}
        self.pongs = queue.Queue()
        self.closed = threading.Event()
        self.error = None
        self.work_connections = 0
        self.session = yamux.Session(self._dial(), client=True) if mux else None
        fields = {
            "version": "0.65.0",
            "hostname": "peer",
            "os": "linux",
            "arch": "amd64",
            "user": user,
            "run_id": run_id,
            "pool_count": pool,
        }
        control = self._connection()
        self.control, answer = messages.login_as_client(
            control, wire, token, fields, tls, mux, algorithms or GCM_FIRST
        )
        if answer.get("error"):
            control.close()
            raise Refused(answer["error"])
        self.run_id = answer["run_id"]
        threading.Thread(target=self._run, daemon=True).start()

    def _dial(self):
        link = links.SocketLink(socket.create_connection(self.server, timeout=10))
        link.sock.settimeout(None)
        if self.tls:
            if self.first_byte:
                link.write(b"\x17")
            link = links.TLSLink(link, self.context, server=False, name=self.server[0])
        return link

    def _connection(self):
        return self.session.open() if self.session else self._dial()

    def add_proxy(self, name, kind, local, encryption=False, compression=False, timeout=10, **fields):
        """Registers a proxy; returns its remote_addr or raises Refused."""
        full = self.user + "." + name if self.user else name
        answer = self.answers[full] = queue.Queue()
        self.proxies[full] = (kind, local, encryption, compression)
        self.control.send(
            "NewProxy", proxy_name=full, proxy_type=kind, use_encryption=encryption, use_compression=compression, **fields
        )
        result = answer.get(timeout=timeout)
        if result.get("error"):
            raise Refused(result["error"])
        return result.get("remote_addr", "")

    def close_proxy(self, name):
        full = self.user + "." + name if self.user else name
        self.proxies.pop(full, None)
        self.control.send("CloseProxy", proxy_name=full)

    def ping(self, timeout=5):
        """True when the server answers Ping without an error."""
        timestamp = int(time.time())
        self.control.send("Ping", privilege_key=messages.privilege_key(self.token, timestamp), timestamp=timestamp)
        return not self.pongs.get(timeout=timeout).get("error")

    def close(self):
        self.control.link.close()
        if self.session:
            self.session.close()

    def _run(self):
        try:
            while True:
                name, fields = self.control.read()
                if name == "ReqWorkConn":
                    threading.Thread(target=self._work, daemon=True).start()
                elif name == "NewProxyResp":
                    self.answers[fields["proxy_name"]].put(fields)
                elif name == "Pong":
                    self.pongs.put(fields)
                else:
                    raise messages.WireError("unexpected " + name)
        except ConnectionError:
            pass
        except Exception as error:
            self.error = error
        self.closed.set()

    def _work(self):
        link = None
        try:
            link = self._connection()
            if self.wire == "v2":
                link.write(messages.MAGIC)
            wire = messages.Messages(link, self.wire)
            wire.send("NewWorkConn", run_id=self.run_id)
            start = wire.expect("StartWorkConn")
            proxy = self.proxies.get(start.get("proxy_name"))
            if start.get("error") or proxy is None:
                link.close()
                return
            self.work_connections += 1
            kind, local, encryption, compression = proxy
            if kind == "udp":
                side = datagrams.ClientSide(
                    payload.transformed(link, self.token, encryption, compression), self.wire, local
                )
                side.run()
                return
            service = links.SocketLink(socket.create_connection(local, timeout=10))
            service.sock.settimeout(None)
            links.join(service, payload.transformed(link, self.token, encryption, compression))
        except (OSError, ConnectionError):
            if link:
                link.close()
        except Exception as error:
            self.error = error


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="HOST:PORT")
    parser.add_argument("--token", default="")
    parser.add_argument("--wire", choices=["v1", "v2"], default="v1")
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--first-byte", action="store_true", help="send 0x17 before TLS")
    parser.add_argument("--no-mux", action="store_true")
    parser.add_argument("--user", default="")
    parser.add_argument("--tcp", action="append", default=[], metavar="NAME=LOCAL_PORT:REMOTE_PORT")
    parser.add_argument("--http", action="append", default=[], metavar="NAME=LOCAL_PORT:DOMAIN")
    parser.add_argument("--encryption", action="store_true")
    parser.add_argument("--compression", action="store_true")
    options = parser.parse_args()
    host, port = options.server.rsplit(":", 1)
    client = Client(
        (host, int(port)),
        options.token.encode(),
        options.wire,
        not options.no_tls,
        options.first_byte,
        not options.no_mux,
        options.user,
    )
    print("login to server success, run id " + client.run_id, flush=True)
    for kind, entries in (("tcp", options.tcp), ("http", options.http)):
        for entry in entries:
            name, rest = entry.split("=", 1)
            local, remote = rest.split(":", 1)
            fields = {"remote_port": int(remote)} if kind == "tcp" else {"custom_domains": [remote]}
            address = client.add_proxy(
                name, kind, ("127.0.0.1", int(local)), options.encryption, options.compression, **fields
            )
            print("[%s] start proxy success, %s" % (name, address), flush=True)
    try:
        client.closed.wait()
    except KeyboardInterrupt:
        client.close()


if __name__ == "__main__":
    main()
