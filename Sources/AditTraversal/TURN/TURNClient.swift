// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// A TURN client (RFC 8656): one allocation on one server, over one socket or connection that its owner has.
///
/// It refreshes the allocation, its permissions and its channels by itself, answers 401 and 438 with the right key, and
/// hands datagrams of peers on.
package struct TURNClient: Sendable {
    /// What it was made with; credentials as they are now.
    package private(set) var configuration: TURNClientConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [TURNClientOutput] = []

    /// Makes a client; `.start` begins.
    package init(_ configuration: TURNClientConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
    }

    /// The relay's endpoint while there is an allocation.
    package private(set) var relayed: IPEndpoint?

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? { nil }

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> TURNClientOutput? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// Takes what happened.
    package mutating func handle(_ input: TURNClientInput, at now: Instant) {
    }
}
