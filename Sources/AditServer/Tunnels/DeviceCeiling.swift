// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOConcurrencyHelpers
import NIOCore

/// What the server's owner lets one device use at most, whatever its tunnels were asked with.
package final class DeviceCeiling: Sendable {
    /// The limits of every device.
    struct Terms: Sendable, Equatable {
        /// How many visitors' connections the device may have open; 0 for no limit.
        var maximumConnections = 0
        /// How much may pass in each direction; nil for no limit.
        var bandwidth: Bandwidth?
    }

    let maximumConnections: Int
    let fromVisitors: BandwidthLimiter?
    let toVisitors: BandwidthLimiter?
    private let open = NIOLockedValueBox(0)

    init(_ terms: Terms, on loop: any EventLoop) {
        maximumConnections = terms.maximumConnections
        fromVisitors = terms.bandwidth.map { BandwidthLimiter($0, on: loop) }
        toVisitors = terms.bandwidth.map { BandwidthLimiter($0, on: loop) }
    }

    /// Counts a connection in; false when there are too many.
    func enter() -> Bool {
        guard maximumConnections > 0 else { return true }
        return open.withLockedValue { open in
            guard open < maximumConnections else { return false }
            open += 1
            return true
        }
    }

    /// Counts a connection out.
    func leave() {
        guard maximumConnections > 0 else { return }
        open.withLockedValue { $0 -= 1 }
    }
}
