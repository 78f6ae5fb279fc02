// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal
import NIOCore

/// Gathers the bytes of streams: what one batch of packets brings of a stream becomes one buffer.
struct QUICIntake {
    private var stream: Int64 = -1
    private var buffer = ByteBuffer()
    /// The streams before that one, in the order in which they began.
    private var others: [(stream: Int64, buffer: ByteBuffer)] = []
    private var expectedBytes = 0

    /// A batch of so many bytes is read now.
    mutating func expect(_ count: Int) { expectedBytes = count }

    /// Takes bytes of a stream.
    mutating func add(_ bytes: UnsafeRawBufferPointer, on stream: Int64) {
        if stream != self.stream { turn(to: stream, bytes.count) }
        buffer.writeBytes(bytes)
        expectedBytes -= bytes.count
    }

    /// Goes on with another stream. The first buffer of a batch has room for all that may follow.
    private mutating func turn(to stream: Int64, _ count: Int) {
        let isFirst = self.stream < 0 && others.isEmpty
        if self.stream >= 0 { others.append((self.stream, buffer)) }
        self.stream = stream
        if let index = others.lastIndex(where: { $0.stream == stream }) {
            buffer = others.remove(at: index).buffer
        } else {
            let likely = min(expectedBytes, isFirst ? PacketBatch.byteLimit : QUICConnection.turnBytes)
            buffer = ByteBufferAllocator().buffer(capacity: max(count, likely))
        }
    }

    /// Gives what there is of a stream.
    mutating func take(_ stream: Int64) -> ByteBuffer {
        if stream == self.stream {
            defer { (self.stream, buffer) = (-1, ByteBuffer()) }
            return buffer
        }
        return others.lastIndex { $0.stream == stream }.map { others.remove(at: $0).buffer } ?? ByteBuffer()
    }

    /// Gives what there is of the next stream; nil when there is nothing left.
    mutating func next() -> (stream: Int64, buffer: ByteBuffer)? {
        if !others.isEmpty { return others.removeFirst() }
        guard stream >= 0 else { return nil }
        let last = stream
        return (last, take(last))
    }
}
