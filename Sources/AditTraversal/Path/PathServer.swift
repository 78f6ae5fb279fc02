// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a server offers to those who look for a path.
package struct PathServer: Sendable, Equatable {
    /// UDP endpoints that answer STUN requests, the primary one first, then its alternates; of both families.
    ///
    /// Four of one family, two addresses with two ports each, are enough to see how a NAT gives ports.
    package var stun: [IPEndpoint]
    /// TCP endpoints that answer STUN requests.
    package var stunTCP: [IPEndpoint]
    /// Relays, the preferred one first: UDP, then TCP, then TLS.
    package var turn: [TURNClientConfiguration]

    /// No more of each are used.
    package static let limit = 8

    /// Makes it from its parts.
    package init(stun: [IPEndpoint] = [], stunTCP: [IPEndpoint] = [], turn: [TURNClientConfiguration] = []) {
        self.stun = Array(stun.prefix(Self.limit))
        self.stunTCP = Array(stunTCP.prefix(Self.limit))
        self.turn = Array(turn.prefix(Self.limit))
    }
}
