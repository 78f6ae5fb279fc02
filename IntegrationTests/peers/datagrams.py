# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""frp's udp proxies on both sides, written from a description of the protocol: UDPPacket messages on a work connection."""

import base64
import socket
import threading
import time

import messages

BUFFER = 65536


def udp_socket(port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(("127.0.0.1", port))
    return sock


def pack(content, address):
    """The fields of a UDPPacket of one visitor, as frp writes them."""
    return {
        "c": base64.b64encode(content).decode(),
        "r": {"IP": address[0], "Port": address[1], "Zone": ""},
    }


def unpack(fields):
    """(content, visitor) of a UDPPacket."""
    visitor = fields["r"]
    return base64.b64decode(fields.get("c", ""), validate=True), (visitor["IP"], visitor["Port"])


class EchoDatagrams:
    """A service that sends every datagram back to whoever sent it."""

    def __init__(self, port=0):
        self.socket = udp_socket(port)
        self.address = self.socket.getsockname()
        self.senders = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                content, sender = self.socket.recvfrom(BUFFER)
            except OSError:
                return
            self.senders.add(sender)
            self.socket.sendto(content, sender)

    def close(self):
        self.socket.close()


class ClientSide:
    """What frpc does with the work connection of a udp proxy: a socket for each visitor, a ping now and then."""

    def __init__(self, link, wire, local, ping_interval=30):
        self.wire = messages.Messages(link, wire)
        self.local = local
        self.visitors = {}
        self.error = None
        self.done = threading.Event()
        threading.Thread(target=self._ping, args=(ping_interval,), daemon=True).start()

    def run(self):
        try:
            while True:
                name, fields = self.wire.read()
                if name != "UDPPacket":
                    raise messages.WireError("%s on a udp work connection" % name)
                content, visitor = unpack(fields)
                if visitor not in self.visitors:
                    sock = self.visitors[visitor] = udp_socket()
                    sock.connect(self.local)
                    threading.Thread(target=self._answer, args=(sock, visitor), daemon=True).start()
                self.visitors[visitor].send(content)
        finally:
            self.done.set()
            for sock in self.visitors.values():
                sock.close()

    def _answer(self, sock, visitor):
        try:
            while True:
                self.wire.send("UDPPacket", **pack(sock.recv(BUFFER), visitor))
        except (OSError, ConnectionError):
            pass

    def _ping(self, interval):
        while not self.done.wait(interval):
            try:
                self.wire.send("Ping")
            except (OSError, ConnectionError):
                return


class ServerSide:
    """What frps does with a udp proxy: one public socket, one work connection that carries everybody's datagrams."""

    def __init__(self, open_link, wire, port=0):
        self.socket = udp_socket(port)
        self.port = self.socket.getsockname()[1]
        self.open_link = open_link
        self.wire = wire
        self.pings = 0
        self.faults = []
        self.connection = None
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self.socket.close()
        if self.connection:
            self.connection.link.close()

    def _run(self):
        # frps waits for the client to know that its proxy is open.
        time.sleep(0.5)
        try:
            self.connection = messages.Messages(self.open_link(), self.wire)
        except Exception as error:
            self.faults.append(error)
            return
        threading.Thread(target=self._answers, daemon=True).start()
        while True:
            try:
                content, visitor = self.socket.recvfrom(BUFFER)
                self.connection.send("UDPPacket", **pack(content, visitor))
            except (OSError, ConnectionError):
                return

    def _answers(self):
        try:
            while True:
                name, fields = self.connection.read()
                if name == "Ping":
                    self.pings += 1
                elif name == "UDPPacket":
                    content, visitor = unpack(fields)
                    self.socket.sendto(content, visitor)
                else:
                    raise messages.WireError("%s on a udp work connection" % name)
        except (OSError, ConnectionError):
            pass
        except Exception as error:
            self.faults.append(error)


def ask(port, content, tries=20, sock=None):
    """Sends a datagram until it comes back; a lost one is sent again, a changed one is a fault."""
    own = sock or udp_socket()
    try:
        own.settimeout(1)
        for _ in range(tries):
            own.sendto(content, ("127.0.0.1", port))
            try:
                while True:
                    answer, _ = own.recvfrom(BUFFER)
                    if answer == content:
                        return
            except socket.timeout:
                pass
        raise AssertionError("no answer to a datagram of %d bytes" % len(content))
    finally:
        if sock is None:
            own.close()
