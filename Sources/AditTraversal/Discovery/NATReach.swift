// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What a peer may be behind, as far as it decides whether two machines can reach each other directly.
package enum NATPeer: String, Sendable, Hashable, CaseIterable {
    /// A public address without a filter.
    case open
    /// EIM with EIF or ADF: full cone and address-restricted cone.
    case openCone
    /// EIM with APDF: most home routers.
    case portRestrictedCone
    /// A public address, by IPv4 or IPv6, behind a firewall that lets answers in.
    case firewall
    /// A mapping that depends on the destination, with ports one after the other.
    case sequentialSymmetric
    /// A mapping that depends on the destination, with random ports: many company networks.
    case randomSymmetric
    /// A mapping that depends on the destination, with random ports of a subscriber's block: many mobile carriers.
    case carrierBlock

    fileprivate var isSymmetric: Bool {
        [.sequentialSymmetric, .randomSymmetric, .carrierBlock].contains(self)
    }
}

/// How likely a direct path is.
package enum NATChance: String, Sendable, Hashable, CaseIterable, Comparable {
    /// Practically none: a relay carries it.
    case relay
    /// Sometimes, by a search through a block of ports.
    case poor
    /// Mostly, by predicting or searching a port.
    case good
    /// Nearly always, at once.
    case direct

    package static func < (left: NATChance, right: NATChance) -> Bool {
        guard let one = allCases.firstIndex(of: left), let other = allCases.firstIndex(of: right) else { return false }
        return one < other
    }
}

/// Whether this network and one kind of peer can reach each other directly.
package struct NATReach: Sendable, Hashable {
    /// What the peer is behind.
    package var peer: NATPeer
    /// Over UDP.
    package var udp: NATChance
    /// Over TCP.
    package var tcp: NATChance
    /// Whether it rests on something that is not certain.
    package var isCertain: Bool

    /// The better of the two.
    package var best: NATChance { max(udp, tcp) }
}

extension NATReport {
    /// Whom this network can reach directly, for every kind of peer.
    ///
    /// A symmetric side and one that filters by port take a prediction or a search; two symmetric sides, at least one of them
    /// with ports that nobody can foresee, take a relay. Nothing here ever forbids a try.
    package var reach: [NATReach] {
        NATPeer.allCases.map { peer in
            NATReach(
                peer: peer,
                udp: Self.chance(udp, peer, isUDP: true),
                tcp: Self.chance(tcp, peer, isUDP: false),
                isCertain: udp.kind.isCertain && tcp.kind.isCertain
            )
        }
    }

    private static func chance(_ own: NATBehaviorReport, _ peer: NATPeer, isUDP: Bool) -> NATChance {
        guard own.reach.value == true, let kind = own.kind.value, kind != .blocked else { return .relay }
        if kind == .open || peer == .open { return .direct }
        // Strangers may send in at the endpoint that the server saw, whatever the mapping.
        if own.filtering == .certain(.endpointIndependent) { return .direct }
        guard kind == .symmetric else {
            guard peer.isSymmetric else { return .direct }
            if kind == .fullCone || kind == .addressRestrictedCone { return .direct }
            return strictAgainstSymmetric(peer, isUDP: isUDP)
        }
        switch peer {
        case .open, .openCone: return .direct
        case .portRestrictedCone, .firewall: return symmetricAgainstStrict(own.allocation.value, isUDP: isUDP)
        case .sequentialSymmetric, .randomSymmetric, .carrierBlock:
            return symmetricAgainstSymmetric(own.allocation.value, peer, isUDP: isUDP)
        }
    }

    /// A thousand SYNs look like a scan, so that a search is made over UDP alone.
    private static func strictAgainstSymmetric(_ peer: NATPeer, isUDP: Bool) -> NATChance {
        peer == .sequentialSymmetric || isUDP ? .good : .relay
    }

    private static func symmetricAgainstStrict(_ allocation: PortAllocation?, isUDP: Bool) -> NATChance {
        if case .sequential = allocation { return .good }
        return isUDP ? .good : .relay
    }

    private static func symmetricAgainstSymmetric(
        _ allocation: PortAllocation?,
        _ peer: NATPeer,
        isUDP: Bool
    ) -> NATChance {
        switch (allocation, peer) {
        case (.sequential, .sequentialSymmetric): .good
        case (.sequential, .carrierBlock), (.block, .sequentialSymmetric), (.block, .carrierBlock):
            isUDP ? .poor : .relay
        default: .relay
        }
    }
}
