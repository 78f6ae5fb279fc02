// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditQUIC
import DequeModule
import NIOCore

/// What one stream sends: bytes that wait, and those that are on their way until the peer has them.
final class QUICSendQueue {
    /// Whose bytes they are.
    let stream: Int64
    private var buffers = Deque<ByteBuffer>()
    /// How many bytes of the first buffer the peer has.
    private var acknowledgedOfFirst = 0
    /// The first buffer of which something was not sent, and how much of it was.
    private var next = (index: 0, offset: 0)
    /// How many bytes wait to be sent.
    private(set) var unsentBytes = 0
    /// How many bytes are held, those on their way included.
    private(set) var heldBytes = 0
    /// Whether nothing follows what is held.
    private(set) var isEnding = false
    /// Whether the end of the data was sent.
    private(set) var isEndSent = false
    /// Whether the other direction is over, so that nothing more comes.
    var isInputOver = false
    /// Whether it stands in the line of those that may send.
    var isInLine = false
    /// How many bytes went since its turn began.
    var sentInTurn = 0
    /// Whether the peer's window is full.
    var isBlocked = false

    init(_ stream: Int64) {
        self.stream = stream
    }

    /// So many pieces are offered at once.
    static let pieceLimit = Int(ADIT_QUIC_SPANS)

    /// Whether there is something to send, if only the end.
    var hasWork: Bool { unsentBytes > 0 || (isEnding && !isEndSent) }

    func append(_ buffer: ByteBuffer) {
        guard buffer.readableBytes > 0, !isEnding else { return }
        buffers.append(buffer)
        unsentBytes += buffer.readableBytes
        heldBytes += buffer.readableBytes
    }

    func end() { isEnding = true }

    /// Calls `body` with the pieces that come next, and whether they are all.
    ///
    /// The pieces point into buffers that are held until the peer has them. A buffer's bytes stay where they are as long as
    /// somebody holds it: who shares it and writes makes a copy first.
    func withPieces<Result>(_ body: (UnsafeBufferPointer<adit_quic_span>, Bool) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: adit_quic_span.self, capacity: Self.pieceLimit) { pieces in
            var count = 0
            var index = next.index
            var offset = next.offset
            var bytes = 0
            while count < Self.pieceLimit, index < buffers.count {
                buffers[index].withUnsafeReadableBytes { readable in
                    let rest = readable[offset...]
                    let start = UnsafeRawBufferPointer(rebasing: rest).assumingMemoryBound(to: UInt8.self)
                    pieces[count] = adit_quic_span(bytes: start.baseAddress, length: start.count)
                    bytes += start.count
                }
                count += 1
                index += 1
                offset = 0
                // No batch takes more.
                if bytes >= 65_536 { break }
            }
            return body(UnsafeBufferPointer(rebasing: pieces[..<count]), index == buffers.count)
        }
    }

    /// So many bytes went into a packet, and the end when all did.
    func sent(_ count: Int, all: Bool) {
        unsentBytes -= count
        sentInTurn += count
        var left = count
        while left > 0 {
            let rest = buffers[next.index].readableBytes - next.offset
            if left < rest {
                next.offset += left
                left = 0
            } else {
                left -= rest
                next = (next.index + 1, 0)
            }
        }
        if all, isEnding, unsentBytes == 0 { isEndSent = true }
    }

    /// So many further bytes are with the peer.
    func acknowledged(_ count: Int) {
        heldBytes -= count
        acknowledgedOfFirst += count
        while let first = buffers.first, acknowledgedOfFirst >= first.readableBytes {
            acknowledgedOfFirst -= first.readableBytes
            buffers.removeFirst()
            next.index -= 1
        }
    }

    /// Throws away what was not sent; nothing follows.
    func abandon() {
        isEnding = true
        isEndSent = true
        unsentBytes = 0
    }
}
