// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One side of ICE towards one peer (RFC 8445), without sockets: candidates, pairs, checks, nomination, consent.
package struct ICEAgent: Sendable {
    /// The role, which a conflict may change.
    package private(set) var role: ICERole

    private var outputs: [ICEOutput] = []

    /// Makes an agent that waits for candidates.
    ///
    /// - Parameter random: for transaction ids and jitter; has to be one that others cannot predict, except in a simulation.
    package init(_ configuration: ICEConfiguration, random: any RandomNumberGenerator & Sendable) {
        role = configuration.role
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? { nil }

    /// Takes what happened, and the instant at which it did.
    package mutating func handle(_ input: ICEInput, at now: Instant) {}

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> ICEOutput? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }
}
