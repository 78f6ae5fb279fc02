// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Why a packet ended on its way.
package enum LabDropReason: String, Sendable, Hashable, CaseIterable {
    /// A NAT or firewall has no mapping for the port that it came to.
    case noMapping = "no mapping"
    /// A mapping is there, and does not let this sender in.
    case filtered
    /// It came to the router's own address from inside, and the router does not turn such packets around.
    case hairpin = "no hairpinning"
    /// A rule forbids the protocol or port.
    case blocked
    /// The NAT has no room for another flow.
    case tableFull = "table full"
    /// The NAT has no port left.
    case noPort = "no port left"
    /// The segment does not fit into the connection that the NAT knows.
    case invalid = "invalid for the tracked connection"
    /// The link lost it.
    case lost
    /// The link's queue is full.
    case queueFull = "queue full"
    /// The link is down.
    case linkDown = "link down"
    /// The time to live ended.
    case timeToLive = "TTL"
    /// It is larger than the link takes.
    case tooBig = "too big"
    /// A router knows no way to the destination.
    case noRoute = "no route"
    /// Nobody on the last network has the address.
    case noHost = "nobody has the address"
    /// It came to a host with another address.
    case notForThisHost = "not for this host"
    /// Nobody listens on the port.
    case portClosed = "port closed"
    /// ICMP is not let through.
    case icmp = "ICMP dropped"
}

/// A packet that ended on its way.
package struct LabDrop: Sendable, Equatable {
    /// When.
    package var at: Instant
    /// At which node; for what a link lost, the node that had sent it.
    package var node: Int
    /// Why.
    package var reason: LabDropReason
    /// The packet as it was there.
    package var packet: LabPacket
}
