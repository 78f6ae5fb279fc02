// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal

/// What a chain of boxes does to one transport, as far as it decides whether a hole can be punched.
///
/// A chain acts as its worst mapping and its strictest filter. Answers are taken to leave by the mapping through which a
/// packet came in, as every NAT does that keeps track of connections.
package struct SiteTheory: Sendable, Hashable {
    /// Whether anything passes at all.
    package enum Passage: Sendable, Hashable {
        case free
        /// Nothing passes.
        case blocked
        /// Only connections to the ports of the web pass.
        case web
    }

    /// Whether anything passes.
    package var passage = Passage.free
    /// Whether the peer sees another endpoint than the server does.
    package var isDependent = false
    /// Whether the endpoint that the server sees takes in a packet from the peer's address, from a port nobody has sent
    /// to, once the site has sent something to the peer's address.
    package var admitsUnknownPort = true
    /// Whether it takes in packets from addresses to which it has never sent.
    package var admitsAnyAddress = true
    /// Where the port comes from that the peer sees.
    package var allocation = PortAllocation.preserving
    /// How many public addresses a new flow may get.
    package var poolSize = 1
    /// Whether any box refuses unsolicited packets.
    package var refuses = false
    /// Whether a box takes unsolicited packets for itself, and with them the endpoints.
    package var takesForItself = false
    /// Whether a box has so little room or time that a punch may not fit.
    package var isCramped = false

    /// What boxes, from the inside to the outside, do to a transport; the last one's filter is not looked at where it turns
    /// packets around.
    package init(_ boxes: [BoxSpecification], _ transport: PunchTransport, isTurnedAround: Bool = false) {
        for (index, box) in boxes.enumerated() {
            let rule = transport == .udp ? box.udp : box.tcp
            switch rule {
            case .blocked: passage = .blocked
            case .web:
                if passage != .blocked { passage = transport == .udp ? .blocked : .web }
            case .open, .firewall, .nat: break
            }
            switch rule {
            case .nat(let nat):
                if nat.isDependent { isDependent = true }
                if nat.allocation != .preserving { allocation = nat.allocation }
                if !isTurnedAround || index < boxes.count - 1 { filter(nat.filtering) }
                // Which of its addresses a flow gets is drawn for each mapping.
                if isDependent { poolSize *= box.poolSize }
            case .firewall: filter(.addressAndPortDependent)
            case .open, .blocked, .web: break
            }
            if !admitsAnyAddress {
                switch (box.unsolicited, transport) {
                case (.drop, _): break
                case (.reset, _), (.accept, .tcp): refuses = true
                case (.accept, .udp): takesForItself = true
                }
            }
            let lifetime = transport == .udp ? box.udpLifetime : min(box.synLifetime, box.tcpLifetime)
            isCramped = isCramped || lifetime < 5 || (box.capacity ?? .max) < 8
        }
    }

    private mutating func filter(_ filtering: FilteringBehavior) {
        switch filtering {
        case .endpointIndependent: break
        case .addressDependent:
            admitsAnyAddress = false
            // The mapping towards the server has nothing to do with the one towards the peer, here or further in.
            if isDependent { admitsUnknownPort = false }
        case .addressAndPortDependent:
            admitsAnyAddress = false
            admitsUnknownPort = false
        }
    }
}
