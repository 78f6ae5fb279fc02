// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Joins two channels that carry raw bytes, so that what one receives the other sends.
package enum Relay {
    /// Joins `first` and `second` until both directions have ended; both channels are closed then.
    ///
    /// The channels may live on different event loops. Each may hold an `EarlyDataHandler`, which is asked to hand over.
    /// The future never fails: a broken relay is an outcome.
    package static func join(
        _ first: any Channel,
        _ second: any Channel,
        configuration: RelayConfiguration = RelayConfiguration()
    ) -> EventLoopFuture<RelayOutcome> {
        first.eventLoop.makeSucceededFuture(
            RelayOutcome(bytesFromFirst: 0, bytesFromSecond: 0, endedBy: nil, end: .reset)
        )
    }
}
