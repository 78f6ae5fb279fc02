// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a device tells its peer of the NAT in front of it, so that both choose the same tactic and give the same reason.
///
/// What is not known is nil, and is never guessed.
package struct PathNAT: Sendable, Hashable {
    /// What happens to UDP over IPv4.
    package var udp: PathNATBehavior
    /// What happens to TCP over IPv4.
    package var tcp: PathNATBehavior
    /// Whether IPv6 reaches the internet.
    package var hasIPv6: Bool?
    /// Whether the carrier translates too (CGN, RFC 6598).
    package var isCarrierGrade: Bool?
    /// Whether the router opens ports on request (PCP, NAT-PMP, UPnP).
    package var opensPorts: Bool?
    /// The public IPv4 address that servers see.
    package var address: IPAddress?

    /// A NAT of which nothing is known.
    package static let unknown = PathNAT()

    /// Whether it has a name: that of UDP, and where no UDP passes, that of TCP too.
    package var isNamed: Bool { udp.kind != nil && (!udp.isBlocked || tcp.kind != nil) }

    /// Makes it from its parts.
    package init(
        udp: PathNATBehavior = .unknown,
        tcp: PathNATBehavior = .unknown,
        hasIPv6: Bool? = nil,
        isCarrierGrade: Bool? = nil,
        opensPorts: Bool? = nil,
        address: IPAddress? = nil
    ) {
        self.udp = udp
        self.tcp = tcp
        self.hasIPv6 = hasIPv6
        self.isCarrierGrade = isCarrierGrade
        self.opensPorts = opensPorts
        self.address = address
    }

    /// What of a report a peer has to know.
    package init(_ report: NATReport) {
        let isUDPBlocked = report.access.value.map { $0 != .full } ?? false
        udp = PathNATBehavior(report.udp, isBlocked: isUDPBlocked)
        tcp = PathNATBehavior(report.tcp, isBlocked: false)
        hasIPv6 = report.udpV6.reach.value
        isCarrierGrade = report.isCarrierGrade.value
        opensPorts =
            report.portMappings.isEmpty ? nil : report.portMappings.contains { $0.isAvailable }
        address = report.udp.externalAddresses.first ?? report.tcp.externalAddresses.first
    }
}

/// What a NAT or firewall does to one protocol, as far as a peer has to know it.
package struct PathNATBehavior: Sendable, Hashable {
    /// The name for all of it; `.blocked` when nothing passes.
    package var kind: NATKind?
    /// How external endpoints depend on the destination.
    package var mapping: MappingBehavior?
    /// Who may answer.
    package var filtering: FilteringBehavior?
    /// Which external ports are given: at random, in sequence with a step, from a block.
    package var allocation: PortAllocation?
    /// The lowest and highest external port seen of several fresh sockets.
    package var range: ClosedRange<UInt16>?
    /// Whether two sockets behind it reach each other by their external endpoints.
    package var hairpin: Bool?

    /// A behaviour of which nothing is known.
    package static let unknown = PathNATBehavior()

    /// Makes it from its parts.
    package init(
        kind: NATKind? = nil,
        mapping: MappingBehavior? = nil,
        filtering: FilteringBehavior? = nil,
        allocation: PortAllocation? = nil,
        range: ClosedRange<UInt16>? = nil,
        hairpin: Bool? = nil
    ) {
        self.kind = kind
        self.mapping = mapping
        self.filtering = filtering
        self.allocation = allocation
        self.range = range
        self.hairpin = hairpin
    }

    /// What of a measured behaviour a peer has to know.
    init(_ report: NATBehaviorReport, isBlocked: Bool) {
        kind = isBlocked ? .blocked : report.kind.value
        mapping = report.mapping.value
        filtering = report.filtering.value
        allocation = report.allocation.value
        hairpin = report.hairpin.value
    }

    /// Whether each destination sees another port.
    package var isSymmetric: Bool {
        if let mapping { return mapping != .endpointIndependent }
        return kind == .symmetric
    }

    /// Whether nothing passes.
    package var isBlocked: Bool { kind == .blocked }

    /// Whether only the very endpoint that was sent to can answer.
    package var filtersByPort: Bool {
        if let filtering { return filtering == .addressAndPortDependent }
        return kind == .portRestrictedCone || kind == .firewall || kind == .symmetric
    }

    /// Whether a peer can foresee the next port: they come one after the other, or the socket's own is kept.
    package var isPredictable: Bool {
        switch allocation {
        case .sequential, .preserving: true
        case .random, .block, nil: false
        }
    }
}
