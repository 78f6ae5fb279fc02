// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Finds out what the NATs and firewalls in front of this machine do (RFC 5780, and what it leaves out).
package struct NATDiscovery: SocketMachine {
    private let configuration: Configuration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [SocketOutput<Event>] = []

    /// Makes a discovery that begins with the first `handle(.timer, at:)`.
    package init(_ configuration: Configuration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
    }

    /// When `.timer` is to be handed in; the origin of time before the beginning.
    package var nextDeadline: Instant? { .zero }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }
}
