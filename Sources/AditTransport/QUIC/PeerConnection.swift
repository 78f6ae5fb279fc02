// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A connection to another device, end to end encrypted, on which either end opens streams; everything happens on its event
/// loop.
package protocol PeerConnection: AnyObject {
    /// Where it lives.
    var eventLoop: any EventLoop { get }

    /// Opens a stream of both directions as a channel that carries `ByteBuffer`s.
    ///
    /// The peer's end of data arrives as `ChannelEvent.inputClosed`; `close(mode: .output)` sends this end's after all writes;
    /// `ResetConnection` before `close` breaks the stream off. The future fails with `QUICStreamError` when the connection is
    /// over, or when the peer allows no more streams now.
    func openStream(_ initialize: @escaping (any Channel) throws -> Void) -> EventLoopFuture<any Channel>

    /// Sends a datagram (RFC 9221) that belongs to a stream of this connection, whose id goes before it as a variable-length
    /// integer, much as in HTTP (RFC 9297 section 2.1). It may be lost on the way, and waits in a short queue before.
    ///
    /// False when it is larger than a packet takes now, or the stream is over.
    func sendDatagram(_ payload: ByteBuffer, of stream: any Channel) -> Bool

    /// 32 bytes that only the two ends of this connection know (RFC 8446 section 7.5), for proofs that hold on it alone; nil
    /// before both ends have proved their keys.
    func exportKeyingMaterial(label: String) -> [UInt8]?
}

/// A datagram of a stream, as it arrives in the stream's channel: a user inbound event.
package struct QUICDatagram: Sendable {
    /// What the peer sent.
    package var payload: ByteBuffer

    /// Makes one from what the peer sent.
    package init(payload: ByteBuffer) {
        self.payload = payload
    }
}

/// Why a stream to another device cannot be opened, or ended early.
package enum QUICStreamError: Error, Sendable, Hashable {
    /// The connection is over, or broke off.
    case connectionLost
    /// The peer allows no more streams now.
    case tooManyStreams
    /// The peer broke the stream off, with its application's code.
    case resetByPeer(UInt64)
}
