// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTraversal

/// How directly this network reaches the computers behind one kind of NAT.
package struct NATDirectPath: Sendable, Hashable {
    /// What stands in front of the other computer; nil for a network that lets no UDP out.
    package var peer: NATPeer?
    /// Over UDP; nil when what was measured does not tell.
    package var udp: NATChance?
    /// Over TCP; nil when what was measured does not tell.
    package var tcp: NATChance?
}

extension NATReport {
    /// Whom this network reaches directly, a line for each kind of peer.
    ///
    /// Where the router opens ports that lead to the internet, this is with such a port.
    package var directPaths: [NATDirectPath] {
        let isOpened = usablePortMapping != nil
        let paths = reach.map { reach in
            NATDirectPath(
                peer: reach.peer,
                udp: Self.chance(reach.udp, udp, reach.peer, isOpened),
                tcp: Self.chance(reach.tcp, tcp, reach.peer, isOpened)
            )
        }
        // Nothing is known of how such a network treats TCP, but most filter it by port.
        let overTCP = paths.first { $0.peer == .portRestrictedCone }?.tcp
        return paths + [NATDirectPath(peer: nil, udp: .relay, tcp: overTCP)]
    }

    private static func chance(
        _ chance: NATChance,
        _ report: NATBehaviorReport,
        _ peer: NATPeer,
        _ isOpened: Bool
    ) -> NATChance? {
        guard let passes = report.reach.value else { return nil }
        guard passes else { return .relay }
        if isOpened || peer == .open { return .direct }
        return report.kind.value == nil ? nil : chance
    }

    /// By which protocol the router opens ports that lead to the internet; nil when there is none.
    ///
    /// Behind another NAT, the carrier's or a second router's, they lead into a network that others do not see.
    package var usablePortMapping: NATPortMappingAnswer.Door? {
        guard isCarrierGrade.value != true, (natCount.value ?? 1) <= 1 else { return nil }
        let outside = udp.externalAddresses + tcp.externalAddresses
        return portMappings.first { answer in
            guard answer.isAvailable else { return false }
            guard let external = answer.externalAddress, !external.isUnspecified else { return true }
            return outside.isEmpty ? AddressRealm(external) == .public : outside.contains(external)
        }?.door
    }

    /// Whether anything answered, so that there is something to say about this network.
    package var isDiagnosis: Bool {
        switch access.value {
        case .full?, .udpBlocked?, .webOnly?, .captivePortal?: true
        case InternetAccess.none?, nil:
            udp.reach.value == true || tcp.reach.value == true || udpV6.reach.value == true
        }
    }

    /// Whether a public address stands behind a firewall, without translation.
    package var isFirewalled: Bool {
        udp.kind.value == .firewall || (udp.reach.value != true && tcp.kind.value == .firewall)
    }
}
