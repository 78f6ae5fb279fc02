// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// When a device tries again: at once after a loss, then with doubling waits of at most 30 s, for ever.
///
/// Waits are changed at random by a fifth, so that the devices of one server do not come back in one wave. A session
/// that lived for less than 10 s does not count as a success: a server that accepts and drops is not hammered.
package struct ReconnectSchedule: Sendable {
    /// No wait is longer, except one that the server asked for.
    package static let cap = Duration.seconds(30)
    /// The first wait after the immediate try.
    package static let base = Duration.seconds(1)
    /// A session has to live this long to start the schedule anew.
    package static let stable = Duration.seconds(10)
    /// The longest wait that a server may ask for when it drains.
    package static let longestDrain = Duration.seconds(300)

    private var generator: SeededGenerator
    private var failures = 0
    private var connectedAt: Instant?
    private var drainUntil: Instant?

    /// Makes a schedule whose jitter is decided by `seed`.
    package init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// Tells that a login succeeded.
    package mutating func connected(at now: Instant) {
        connectedAt = now
        drainUntil = nil
    }

    /// Tells that the server is about to stop and wants to be tried again after this long.
    package mutating func draining(for wait: Duration, at now: Instant) {
        drainUntil = now + min(max(wait, .zero), Self.longestDrain)
    }

    /// The network changed: the next try is immediate.
    package mutating func reset() {
        failures = 0
        drainUntil = nil
    }

    /// How long to wait before the next try, after a try failed or a session was lost.
    package mutating func nextDelay(at now: Instant) -> Duration {
        if let since = connectedAt, now - since >= Self.stable { failures = 0 }
        connectedAt = nil
        if let until = drainUntil {
            drainUntil = nil
            failures = max(failures, 1)
            return generator.jittered(max(until - now, .zero), by: 0.1)
        }
        defer { failures += 1 }
        guard failures > 0 else { return .zero }
        let doubled = Self.base * Int(1 << min(failures - 1, 5))
        return min(generator.jittered(min(doubled, Self.cap), by: 0.2), Self.cap)
    }
}
