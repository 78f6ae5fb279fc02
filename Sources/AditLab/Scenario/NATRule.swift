// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal

/// How a NAT treats one transport: the three choices of RFC 4787 that decide what can be punched.
package struct NATRule: Sendable, Hashable {
    /// How the external endpoint of a flow is chosen.
    package var mapping: MappingBehavior
    /// Who is let in through it.
    package var filtering: FilteringBehavior
    /// Which port a new mapping gets.
    package var allocation: PortAllocation

    /// Makes it from its parts.
    package init(_ mapping: MappingBehavior, _ filtering: FilteringBehavior, _ allocation: PortAllocation) {
        self.mapping = mapping
        self.filtering = filtering
        self.allocation = allocation
    }

    /// The ports of a subscriber where the language of sites says only that there is a block.
    package static let usualBlock: ClosedRange<UInt16> = 20000...22047

    /// The rules that have a name of their own, the name that is written first.
    package static let named: [(name: String, rule: NATRule)] = [
        ("full", NATRule(.endpointIndependent, .endpointIndependent, .preserving)),
        ("addr", NATRule(.endpointIndependent, .addressDependent, .preserving)),
        ("port", NATRule(.endpointIndependent, .addressAndPortDependent, .preserving)),
        ("full-r", NATRule(.endpointIndependent, .endpointIndependent, .random)),
        ("addr-r", NATRule(.endpointIndependent, .addressDependent, .random)),
        ("port-r", NATRule(.endpointIndependent, .addressAndPortDependent, .random)),
        ("sym", NATRule(.addressAndPortDependent, .addressAndPortDependent, .random)),
        ("symblk", NATRule(.addressAndPortDependent, .addressAndPortDependent, .block(usualBlock))),
        ("seq", NATRule(.addressAndPortDependent, .addressAndPortDependent, .sequential(step: 1))),
        ("seq2", NATRule(.addressAndPortDependent, .addressAndPortDependent, .sequential(step: 2))),
        ("adm", NATRule(.addressDependent, .addressDependent, .random)),
    ]

    /// Every mapping with every filtering and four allocations: the 36 kinds of NAT of the grid.
    package static let grid: [NATRule] = MappingBehavior.allCases.flatMap { mapping in
        FilteringBehavior.allCases.flatMap { filtering in
            [PortAllocation.preserving, .random, .sequential(step: 1), .block(usualBlock)].map { allocation in
                NATRule(mapping, filtering, allocation)
            }
        }
    }

    /// Whether the external endpoint of a flow depends on whom it goes to.
    package var isDependent: Bool { mapping != .endpointIndependent }
}

/// How the box at the edge of a site treats one transport.
package enum TransportRule: Sendable, Hashable {
    /// It translates.
    case nat(NATRule)
    /// It neither translates nor filters: the host has a public address.
    case open
    /// It lets nothing in that the inside has not asked for, and does not translate.
    case firewall
    /// It lets nothing through.
    case blocked
    /// It lets TCP to the ports 80 and 443 out, and nothing else.
    case web

    /// The NAT's rule; nil where nothing is translated. The web alone passes a port-restricted cone.
    package var nat: NATRule? {
        switch self {
        case .nat(let rule): rule
        case .web: NATRule(.endpointIndependent, .addressAndPortDependent, .preserving)
        case .open, .firewall, .blocked: nil
        }
    }
}
