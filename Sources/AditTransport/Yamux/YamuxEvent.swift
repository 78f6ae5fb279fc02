// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTunnel

/// What a `YamuxHandler` tells the rest of the connection's pipeline, as user inbound events.
package enum YamuxEvent: Sendable, Equatable {
    /// A ping was answered after this time.
    case roundTrip(Duration)
    /// The peer takes no new streams; the open ones go on.
    case peerGoingAway
    /// The session ended with an error; the connection is closed next.
    case failed(YamuxFailure)
    /// `shutdown` was asked for and the last stream has ended; the connection is closed next.
    case finished
}

/// Why a stream of a yamux session cannot be opened or has ended early.
package enum YamuxStreamError: Error, Sendable, Equatable {
    /// The peer reset the stream.
    case resetByPeer
    /// This end reset the stream because a limit was reached or nobody answered in time.
    case resetLocally
    /// The connection under the session is gone.
    case connectionLost
    /// The session takes no new streams: it is shutting down, or the peer is.
    case goingAway
    /// The session holds as many streams as it may.
    case tooManyStreams
}

/// A user outbound event that ends a channel of a relay as broken: its peer sees a reset, not an end of data.
package struct ResetConnection: Sendable, Equatable {
    /// Makes the event.
    package init() {}
}
