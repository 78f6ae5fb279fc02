// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import CAditQUIC

/// Whom the C side calls: it leads to the connection, which is made after it and has it, so that it is there whenever the C side is.
final class QUICOwner {
    unowned(unsafe) var connection: QUICConnection?

    static let events = adit_quic_events(
        handshake_completed: { QUICOwner.connection($0)?.established() },
        stream_opened: { QUICOwner.connection($0)?.opened($1) },
        stream_data: { owner, stream, bytes, length, isEnd in
            let bytes = UnsafeRawBufferPointer(start: bytes, count: length)
            QUICOwner.connection(owner)?.came(bytes, on: stream, isEnd: isEnd != 0)
        },
        stream_acknowledged: { QUICOwner.connection($0)?.acknowledged(Int(clamping: $2), of: $1) },
        stream_reset: { QUICOwner.connection($0)?.wasReset($1, code: $2) },
        stream_closed: { QUICOwner.connection($0)?.wasClosed($1) },
        streams_allowed: { QUICOwner.connection($0)?.mayOpen() },
        datagram: { QUICOwner.connection($0)?.cameDatagram(UnsafeRawBufferPointer(start: $1, count: $2)) }
    )

    private static func connection(_ pointer: UnsafeMutableRawPointer?) -> QUICConnection? {
        pointer.flatMap { Unmanaged<QUICOwner>.fromOpaque($0).takeUnretainedValue().connection }
    }
}

extension Instant {
    /// As QUIC counts time.
    var quic: UInt64 { UInt64(clamping: nanoseconds) }
}

extension Duration {
    /// As QUIC counts time, in nanoseconds.
    var quic: UInt64 { (Instant.zero + self).quic }
}
