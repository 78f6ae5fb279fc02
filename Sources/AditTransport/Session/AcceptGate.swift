// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTunnel
import NIOConcurrencyHelpers

/// Bounds what strangers cost: connections that have not logged in, and logins that fail.
///
/// IPv6 addresses count by their /64.
package final class AcceptGate: Sendable {
    private struct State {
        var total = 0
        var bySource: [IPAddress: Int] = [:]
        var limiter: AttemptLimiter
    }

    private let maximumTotal: Int
    private let maximumPerAddress: Int
    private let state: NIOLockedValueBox<State>

    /// Makes a gate for so many connections together and from one address.
    package init(maximumTotal: Int, maximumPerAddress: Int, limiter: AttemptLimiter = AttemptLimiter()) {
        state = NIOLockedValueBox(State(limiter: limiter))
        self.maximumTotal = maximumTotal
        self.maximumPerAddress = maximumPerAddress
    }

    /// How many connections are inside that have not logged in.
    var count: Int { state.withLockedValue { $0.total } }

    /// Counts a new connection in; false when it has to be closed.
    package func enter(_ address: IPAddress?) -> Bool {
        state.withLockedValue { state in
            guard state.total < maximumTotal else { return false }
            if let source = address?.source {
                guard state.bySource[source, default: 0] < maximumPerAddress else { return false }
                state.bySource[source, default: 0] += 1
            }
            state.total += 1
            return true
        }
    }

    /// Counts a connection out, because it logged in or is gone.
    package func leave(_ address: IPAddress?) {
        state.withLockedValue { state in
            state.total -= 1
            guard let source = address?.source, let count = state.bySource[source] else { return }
            state.bySource[source] = count > 1 ? count - 1 : nil
        }
    }

    func isBlocked(_ address: IPAddress?, at now: Instant) -> Bool {
        guard let address else { return false }
        return state.withLockedValue { $0.limiter.isBlocked(address, at: now) }
    }

    func recordFailure(_ address: IPAddress?, at now: Instant) {
        guard let address else { return }
        state.withLockedValue { $0.limiter.recordFailure(address, at: now) }
    }
}
