// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Which end of a yamux session this is; it decides the parity of the stream ids that this end gives out.
package enum YamuxRole: Sendable, Equatable {
    /// The end that opened the connection: odd ids, from 1.
    case client
    /// The end that accepted the connection: even ids, from 2.
    case server
}

/// The limits and timers of one yamux session.
package struct YamuxConfiguration: Sendable, Equatable {
    /// The credit in bytes that every stream has in each direction before any window update (yamux specification).
    package static let initialWindow: UInt32 = 256 * 1024

    /// The receive window in bytes below which that of a stream that is kept short does not fall.
    package static let shortestWindow: UInt32 = 128 * 1024

    /// The receive window in bytes with which a stream begins: `initialWindow` to `maximumStreamWindow`.
    ///
    /// frp begins with the maximum. A smaller start grows towards the maximum while the stream is read as fast as
    /// it arrives, so that a reader that stalls holds little memory.
    package var startingWindow: UInt32
    /// The largest receive window in bytes of one stream, at least `initialWindow`.
    package var maximumStreamWindow: UInt32
    /// How many bytes of receive window, beyond `initialWindow` for each stream, all streams may hold together.
    package var maximumGrownWindow: Int
    /// How many received and not yet consumed bytes the session may hold; a stream that adds more is reset.
    package var maximumBufferedBytes: Int
    /// How many streams of the peer may wait to be accepted, and how many own ones to be acknowledged.
    package var acceptBacklog: Int
    /// How many streams may be open at the same time, of both ends together.
    package var maximumStreams: Int
    /// The time between two pings; nil sends none.
    package var pingInterval: Duration?
    /// How long the peer may stay silent after a ping before it counts as dead.
    package var pingTimeout: Duration
    /// How long the acknowledgement of a stream may wait for a frame that it can travel on; zero sends it at once.
    ///
    /// A peer that lets only `acceptBacklog` streams be unacknowledged opens the next one that much later.
    package var acknowledgementDelay: Duration
    /// How long an opened stream may stay without acknowledgement before it is reset.
    package var openTimeout: Duration
    /// How long a stream that this end has closed fully waits for the peer's end before it is reset.
    package var lingerTimeout: Duration
    /// How long a stream may stay half-closed by this end before it is reset; nil lets it live.
    package var halfClosedTimeout: Duration?
    /// How many answers (pongs, acknowledgements, resets) may be owed while the connection takes no bytes.
    package var maximumOwedReplies: Int

    /// Makes a configuration with Adit's defaults, which a caller then changes.
    package init() {
        startingWindow = Self.initialWindow
        maximumStreamWindow = 6 * 1024 * 1024
        maximumGrownWindow = 64 * 1024 * 1024
        maximumBufferedBytes = 256 * 1024 * 1024
        acceptBacklog = 256
        maximumStreams = 8192
        pingInterval = .seconds(10)
        pingTimeout = .seconds(5)
        acknowledgementDelay = .zero
        openTimeout = .seconds(75)
        lingerTimeout = .seconds(60)
        halfClosedTimeout = nil
        maximumOwedReplies = 4096
    }

    /// What frp does: every stream begins with the whole window of 6 MiB.
    package static var frp: YamuxConfiguration {
        var configuration = YamuxConfiguration()
        configuration.startingWindow = configuration.maximumStreamWindow
        return configuration
    }
}
