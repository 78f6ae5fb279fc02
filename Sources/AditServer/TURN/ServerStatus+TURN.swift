// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

extension ServerStatus {
    /// TURN: where it is, and what was relayed since the start.
    package struct TURN: Codable, Sendable, Equatable {
        /// What a device has now.
        package struct Device: Codable, Sendable, Equatable {
            /// Its name.
            package var name: String
            /// How many allocations it has.
            package var allocations: Int
            /// Payload bytes in both directions since its first allocation that is still there.
            package var bytes: UInt64
        }

        /// The port of UDP and TCP.
        package var port: UInt16
        /// The port of TLS; absent when there is none.
        package var tlsPort: UInt16?
        /// Whether TLS connections to the session port are taken that ask for `stun.turn`.
        package var onSessionPort: Bool
        /// The ports of relays.
        package var ports: String
        /// Allocations now.
        package var allocations: Int
        /// Allocations made.
        package var allocationsTotal: UInt64
        /// The devices that have allocations, those with most bytes first; at most 256.
        package var devices: [Device]
        /// Payload bytes to peers.
        package var bytesToPeers: UInt64
        /// Payload bytes to clients.
        package var bytesToClients: UInt64
        /// Datagrams to peers.
        package var datagramsToPeers: UInt64
        /// Datagrams to clients.
        package var datagramsToClients: UInt64
        /// Requests answered with an error, the first ones of clients without a nonce too.
        package var refused: UInt64
        /// Requests with a wrong key, an unknown user or an expired one.
        package var unauthorized: UInt64
        /// Requests for peers that are not allowed.
        package var forbidden: UInt64
        /// Requests over a quota.
        package var overQuota: UInt64
        /// Requests that were not answered because their source sent too many.
        package var limited: UInt64
        /// Datagrams without a permission, or over a device's rate.
        package var dropped: UInt64
        /// Datagrams that the system or a client did not take.
        package var lost: UInt64
    }
}
