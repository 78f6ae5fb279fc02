// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import CAditQUIC

/// How much one QUIC connection takes of a peer.
package struct QUICLimits: Sendable, Equatable {
    /// How many streams the peer may have open at once.
    package var streams: UInt64 = 1024
    /// How many bytes of one stream may come unread, at first and, on a fast and long path, at most.
    package var streamWindow: (first: UInt64, most: UInt64) = (256 << 10, 6 << 20)
    /// The same for all streams together: the most that a peer can make this end hold.
    package var window: (first: UInt64, most: UInt64) = (1 << 20, 12 << 20)
    /// How long both ends may take to prove their keys.
    package var handshakeTimeout = Duration.seconds(30)
    /// The size of packets in bytes, at first and at most. Every path carries 1200 (RFC 9000 section 14), a relay's header
    /// beside it; a stream carries any. What a congestion window is never below grows with the most.
    package var packetSize = (first: 1200, most: 4096)

    /// Makes the usual limits.
    package init() {}

    var raw: adit_quic_limits {
        adit_quic_limits(
            streams: streams,
            first_stream_window: streamWindow.first,
            stream_window: streamWindow.most,
            first_window: window.first,
            window: window.most,
            handshake_timeout: handshakeTimeout.quic,
            packet_size: packetSize.first,
            most_packet_size: packetSize.most
        )
    }

    package static func == (left: QUICLimits, right: QUICLimits) -> Bool {
        left.streams == right.streams && left.streamWindow == right.streamWindow && left.window == right.window
            && left.handshakeTimeout == right.handshakeTimeout && left.packetSize == right.packetSize
    }
}
