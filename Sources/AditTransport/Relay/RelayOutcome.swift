// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The limits of one relay.
package struct RelayConfiguration: Sendable {
    /// How long no byte may pass in either direction before the relay ends; nil waits for ever.
    package var idleTimeout: TimeAmount?
    /// How many bytes may be on their way between two event loops, each way.
    package var maximumBytesInFlight: Int

    /// Makes a configuration; without arguments no idle limit and 512 KiB in flight.
    package init(idleTimeout: TimeAmount? = nil, maximumBytesInFlight: Int = 512 * 1024) {
        self.idleTimeout = idleTimeout
        self.maximumBytesInFlight = maximumBytesInFlight
    }
}

/// How a relay went.
package struct RelayOutcome: Sendable, Equatable {
    /// One of the two channels, by their order in `Relay.join`.
    package enum Side: Sendable, Equatable {
        case first
        case second
    }

    /// Why the relay ended.
    package enum End: Sendable, Equatable {
        /// Both directions were carried to their ends.
        case finished
        /// A side was cut off: a reset, or its channel was closed under the relay.
        case reset
        /// A side failed with this error.
        case failed(String)
        /// Nothing passed for the idle timeout.
        case idle
    }

    /// Bytes received from the first channel.
    package var bytesFromFirst: Int64
    /// Bytes received from the second channel.
    package var bytesFromSecond: Int64
    /// The side that ended its data first, or broke; nil when the relay timed out.
    package var endedBy: Side?
    /// Why the relay ended.
    package var end: End

    /// Makes an outcome from its parts.
    package init(bytesFromFirst: Int64, bytesFromSecond: Int64, endedBy: Side?, end: End) {
        self.bytesFromFirst = bytesFromFirst
        self.bytesFromSecond = bytesFromSecond
        self.endedBy = endedBy
        self.end = end
    }
}
