// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How much of a tunnel visitors may use; what is nil is not limited.
package struct TunnelLimits: Sendable, Hashable {
    /// The largest number for `maxConnections`.
    package static let maximumConnections = 1_000_000

    /// How many visitors' connections may be open at once.
    package var maxConnections: Int?
    /// How often one source address may open a connection.
    package var connectionRate: Rate?
    /// How often one source address may send a request of HTTP.
    package var requestRate: Rate?
    /// How much may pass in each direction.
    package var bandwidth: Bandwidth?

    /// Makes limits; without arguments there are none.
    package init(
        maxConnections: Int? = nil,
        connectionRate: Rate? = nil,
        requestRate: Rate? = nil,
        bandwidth: Bandwidth? = nil
    ) {
        self.maxConnections = maxConnections
        self.connectionRate = connectionRate
        self.requestRate = requestRate
        self.bandwidth = bandwidth
    }

    /// Whether nothing is limited.
    package var isEmpty: Bool { self == TunnelLimits() }
}
