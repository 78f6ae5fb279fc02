# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""yamux, strict: whatever breaks the protocol is kept in Session.error and ends the session."""

import struct
import threading

from links import read_exactly

DATA, WINDOW, PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
INITIAL_WINDOW = 256 * 1024
MAXIMUM_WINDOW = 6 * 1024 * 1024
CHUNK = 16 * 1024


class ProtocolError(Exception):
    """The other side broke yamux."""


class Stream:
    """One stream of a session."""

    def __init__(self, session, number):
        self.session = session
        self.number = number
        self.changed = threading.Condition()
        self.received = bytearray()
        self.receive_window = INITIAL_WINDOW
        self.consumed = 0
        self.send_window = INITIAL_WINDOW
        self.acknowledged = False
        self.ended_by_peer = False
        self.ended_by_us = False
        self.reset = False

    def announce(self, flag):
        """Opens (SYN) or accepts (ACK) the stream and raises its window to 6 MiB."""
        with self.changed:
            self.receive_window += MAXIMUM_WINDOW - INITIAL_WINDOW
        self.session.send(WINDOW, flag, self.number, MAXIMUM_WINDOW - INITIAL_WINDOW)

    def read(self, count):
        update = 0
        with self.changed:
            while not self.received and not self.ended_by_peer and not self.reset:
                self.changed.wait()
            data = bytes(self.received[:count])
            del self.received[: len(data)]
            self.consumed += len(data)
            if self.consumed >= MAXIMUM_WINDOW // 2 and not self.ended_by_peer:
                update, self.consumed = self.consumed, 0
                self.receive_window += update
        if update:
            try:
                self.session.send(WINDOW, 0, self.number, update)
            except OSError:
                pass
        return data

    def write(self, data):
        view = memoryview(data)
        while view:
            with self.changed:
                while self.send_window == 0 and not self.reset:
                    self.changed.wait()
                if self.reset or self.ended_by_us:
                    raise ConnectionError("stream %d is closed" % self.number)
                count = min(len(view), self.send_window, CHUNK)
                self.send_window -= count
            self.session.send(DATA, 0, self.number, count, bytes(view[:count]))
            view = view[count:]

    def end_write(self):
        with self.changed:
            if self.ended_by_us or self.reset:
                return
            self.ended_by_us = True
            both = self.ended_by_peer
        try:
            self.session.send(WINDOW, FIN, self.number, 0)
        except OSError:
            pass
        if both:
            self.session.forget(self.number)

    def close(self):
        self.end_write()

    def abort(self):
        """Resets the stream."""
        with self.changed:
            self.reset = True
            self.changed.notify_all()
        self.session.send(WINDOW, RST, self.number, 0)
        self.session.forget(self.number)


class Session:
    """A yamux session over a link; on_stream is called in a thread of its own for each accepted stream."""

    def __init__(self, link, client, on_stream=None):
        self.link = link
        self.client = client
        self.on_stream = on_stream
        self.lock = threading.Lock()
        self.streams = {}
        self.next_number = 1 if client else 2
        self.highest_accepted = 0
        self.pings = {}
        self.next_ping = 0
        self.closed = threading.Event()
        self.closing = False
        self.error = None
        self.write_lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, kind, flags, number, length, body=b""):
        with self.write_lock:
            # Two writes, as frp does: the other side must not expect a frame in one TLS record.
            self.link.write(struct.pack(">BBHII", 0, kind, flags, number, length))
            if body:
                self.link.write(body)

    def open(self):
        with self.lock:
            if self.closed.is_set():
                raise ConnectionError("the session is closed")
            stream = Stream(self, self.next_number)
            self.next_number += 2
            self.streams[stream.number] = stream
        stream.announce(SYN)
        return stream

    def ping(self, timeout=5):
        """True when the other side echoes a ping in time."""
        with self.lock:
            value, self.next_ping = self.next_ping, self.next_ping + 1
            done = self.pings[value] = threading.Event()
        self.send(PING, SYN, 0, value)
        return done.wait(timeout)

    def forget(self, number):
        with self.lock:
            self.streams.pop(number, None)

    def close(self):
        self.closing = True
        try:
            self.send(GO_AWAY, 0, 0, 0)
        except OSError:
            pass
        self.link.close()

    def _run(self):
        try:
            while True:
                version, kind, flags, number, length = struct.unpack(">BBHII", read_exactly(self.link, 12))
                if version != 0:
                    raise ProtocolError("version %d" % version)
                if kind == DATA or kind == WINDOW:
                    self._stream_frame(kind, flags, number, length)
                elif kind == PING:
                    self._ping_frame(flags, length)
                elif kind == GO_AWAY:
                    if length != 0:
                        raise ProtocolError("the other side said go away with code %d" % length)
                else:
                    raise ProtocolError("type %d" % kind)
        except ProtocolError as error:
            self.error = error
        except (OSError, ConnectionError):
            pass
        self.closed.set()
        self.link.close()
        with self.lock:
            streams, self.streams = list(self.streams.values()), {}
        for stream in streams:
            with stream.changed:
                stream.reset = True
                stream.changed.notify_all()

    def _ping_frame(self, flags, value):
        if flags & SYN:
            self.send(PING, ACK, 0, value)
        elif flags & ACK:
            with self.lock:
                done = self.pings.pop(value, None)
            if done:
                done.set()

    def _stream_frame(self, kind, flags, number, length):
        if number == 0:
            raise ProtocolError("a stream frame with id 0")
        if flags & ~(SYN | ACK | FIN | RST):
            raise ProtocolError("flags %#x" % flags)
        body = read_exactly(self.link, length) if kind == DATA else b""
        if flags & SYN:
            self._accept(number)
        with self.lock:
            stream = self.streams.get(number)
        if stream is None:
            if kind == DATA and not self._was_known(number):
                raise ProtocolError("data for stream %d, which was never opened" % number)
            return
        with stream.changed:
            if flags & ACK:
                stream.acknowledged = True
            if kind == WINDOW:
                stream.send_window += length
                if stream.send_window > MAXIMUM_WINDOW:
                    raise ProtocolError("stream %d: window of %d bytes" % (number, stream.send_window))
            elif body:
                if stream.ended_by_peer:
                    raise ProtocolError("stream %d: data after FIN" % number)
                if len(body) > stream.receive_window:
                    raise ProtocolError("stream %d: %d bytes into a window of %d" % (number, len(body), stream.receive_window))
                stream.receive_window -= len(body)
                stream.received += body
            if flags & FIN:
                stream.ended_by_peer = True
            if flags & RST:
                stream.reset = True
            gone = stream.reset or (stream.ended_by_peer and stream.ended_by_us)
            stream.changed.notify_all()
        if gone:
            self.forget(number)

    def _was_known(self, number):
        ours = (number % 2 == 1) == self.client
        return number < self.next_number if ours else number <= self.highest_accepted

    def _accept(self, number):
        if (number % 2 == 1) == self.client:
            raise ProtocolError("the other side opened stream %d, whose parity is ours" % number)
        if number <= self.highest_accepted:
            raise ProtocolError("stream %d opened twice or out of order" % number)
        self.highest_accepted = number
        if self.on_stream is None:
            self.send(WINDOW, RST, number, 0)
            return
        stream = Stream(self, number)
        with self.lock:
            self.streams[number] = stream
        stream.announce(ACK)
        threading.Thread(target=self.on_stream, args=(stream,), daemon=True).start()
