// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// What passed through the datagrams of a tunnel on this device; one lock for a round of datagrams, not for each.
package final class DatagramTally: Sendable {
    /// The figures at one moment.
    package struct Figures: Sendable, Equatable {
        /// Datagrams from visitors to the target.
        package var datagramsIn: UInt64 = 0
        /// Datagrams from the target to visitors.
        package var datagramsOut: UInt64 = 0
        /// Bytes from visitors to the target.
        package var bytesIn: UInt64 = 0
        /// Bytes from the target to visitors.
        package var bytesOut: UInt64 = 0
        /// Datagrams of both directions that were thrown away because the way on was full.
        package var drops: UInt64 = 0
        /// Visitors who have a session now.
        package var visitorsNow = 0
        /// Visitors who had one since the process began.
        package var visitorsTotal: UInt64 = 0

        /// Makes figures of nothing.
        package init() {}
    }

    private let figures = NIOLockedValueBox(Figures())

    /// Makes a tally of nothing.
    package init() {}

    /// The figures now.
    package var current: Figures { figures.withLockedValue { $0 } }

    func add(_ round: Figures) {
        figures.withLockedValue { figures in
            figures.datagramsIn &+= round.datagramsIn
            figures.datagramsOut &+= round.datagramsOut
            figures.bytesIn &+= round.bytesIn
            figures.bytesOut &+= round.bytesOut
            figures.drops &+= round.drops
            figures.visitorsNow += round.visitorsNow
            figures.visitorsTotal &+= round.visitorsTotal
        }
    }
}
