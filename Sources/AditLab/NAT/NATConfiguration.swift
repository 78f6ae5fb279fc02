// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal

/// What a NAT or firewall does with packets of one protocol (RFC 4787 for UDP, RFC 5382 for TCP).
package struct NATBehavior: Sendable, Hashable {
    /// What the box is for this protocol.
    package enum Policy: Sendable, Hashable {
        /// It translates addresses.
        case translate
        /// It only filters: the inside has addresses of its own.
        case firewall
        /// It lets nothing through.
        case blocked
        /// It lets everything through as it is.
        case open
    }

    /// Whether packets from inside to the box's own external address are turned around (RFC 4787 section 6).
    package enum Hairpinning: Sendable, Hashable {
        /// They are dropped.
        case none
        /// The receiver sees the sender's external endpoint.
        case externalSource
        /// The receiver sees the sender's internal endpoint, and answers past the box.
        case internalSource
    }

    /// Which of several external addresses a new mapping gets (RFC 4787 section 4.1).
    package enum Pooling: Sendable, Hashable {
        /// All mappings of an internal address have the same.
        case paired
        /// Any.
        case arbitrary
    }

    /// The answer to packets from outside that no mapping lets in.
    package enum Unsolicited: Sendable, Hashable {
        /// None.
        case drop
        /// RST for a SYN, ICMP port unreachable for a datagram; the packet leaves no trace in the table.
        case reset
        /// The router's own stack gets them. It answers like `reset`, but a datagram has then taken the pair of
        /// external endpoint and sender: what the inside sends to that sender gets another port (Linux with an open
        /// INPUT chain).
        case accept
    }

    /// What the box is.
    package var policy = Policy.translate
    /// How the external endpoint of a flow is chosen.
    package var mapping: MappingBehavior
    /// Who may send in.
    package var filtering: FilteringBehavior
    /// Which port a new mapping gets; where the internal port is to be kept and is taken, a random one.
    package var allocation: PortAllocation
    /// The ports that are given out, except for a block.
    package var portRange: ClosedRange<UInt16> = 1024...65_535
    /// Whether two mappings to different destinations may have the same external port (port overloading).
    ///
    /// With `addressAndPortDependent` mapping and `preserving` allocation it is plain Linux: it looks
    /// endpoint-independent until two inside hosts with the same port meet at one destination.
    package var overloadsPorts = false
    /// Whether packets are turned around.
    package var hairpinning = Hairpinning.none
    /// Whether the filter also holds for packets that are turned around.
    package var filtersHairpin = false
    /// Which external address a mapping gets.
    package var pooling = Pooling.paired
    /// How long mappings live.
    package var timers: NATTimers
    /// The answer to what nobody asked for.
    package var unsolicited = Unsolicited.drop
    /// How many flows (mapping and remote endpoint) there may be; nil for no limit.
    package var capacity: Int?
    /// How many new mappings other users of the box make each second, which moves a sequential allocation on.
    package var foreignFlowsPerSecond = 0.0
    /// The only remote ports that may be reached; nil for all.
    package var allowedPorts: Set<UInt16>?
    /// Whether a SYN-ACK of another socket than the one whose SYN went out is dropped (Linux's window tracking).
    package var tracksWindows = true

    /// Makes a NAT's behaviour.
    package init(
        _ mapping: MappingBehavior,
        _ filtering: FilteringBehavior,
        _ allocation: PortAllocation = .preserving,
        timers: NATTimers = NATTimers()
    ) {
        self.mapping = mapping
        self.filtering = filtering
        self.allocation = allocation
        self.timers = timers
    }

    /// No translation; who may send in is filtered.
    package static func firewall(_ filtering: FilteringBehavior = .addressAndPortDependent) -> NATBehavior {
        var behavior = NATBehavior(.endpointIndependent, filtering)
        behavior.policy = .firewall
        return behavior
    }

    /// Nothing passes.
    package static var blocked: NATBehavior {
        var behavior = NATBehavior(.endpointIndependent, .addressAndPortDependent)
        behavior.policy = .blocked
        return behavior
    }

    /// Everything passes as it is.
    package static var open: NATBehavior {
        var behavior = NATBehavior(.endpointIndependent, .endpointIndependent)
        behavior.policy = .open
        return behavior
    }
}

/// How long a NAT keeps a mapping.
package struct NATTimers: Sendable, Hashable {
    /// The time without a packet that ends a mapping: for UDP, and for TCP once connected (RFC 4787 section 4.3).
    package var idle: Duration = .seconds(120)
    /// The time that ends a TCP mapping before the connection is there, and after it has ended (RFC 5382 section 5).
    package var transitory: Duration = .seconds(120)
    /// Whether `idle` counts from the beginning of a mapping, so that no packet keeps it longer.
    package var isAbsolute = false
    /// Whether packets from outside count too, not only those from inside.
    package var inboundRefreshes = true

    /// Makes Linux's.
    package init() {}

    /// Makes timers that a packet starts anew.
    package init(idle: Duration, transitory: Duration = .seconds(120), inboundRefreshes: Bool = true) {
        self.idle = idle
        self.transitory = transitory
        self.inboundRefreshes = inboundRefreshes
    }

    /// Makes timers that nothing starts anew.
    package static func absolute(_ lifetime: Duration) -> NATTimers {
        var timers = NATTimers(idle: lifetime)
        timers.isAbsolute = true
        return timers
    }
}

/// A NAT box or firewall: what it does with each protocol.
package struct NATConfiguration: Sendable, Hashable {
    /// UDP over IPv4.
    package var udp: NATBehavior
    /// TCP over IPv4.
    package var tcp: NATBehavior
    /// UDP and TCP over IPv6, which is never translated here.
    package var ipv6: NATBehavior = .firewall()
    /// Whether ICMP errors pass, and the box sends its own.
    package var passesICMP = true

    /// Makes a box; `tcp` is like `udp` when it is not given, with the timers of TCP.
    package init(udp: NATBehavior, tcp: NATBehavior? = nil) {
        self.udp = udp
        if let tcp {
            self.tcp = tcp
        } else {
            self.tcp = udp
            if !udp.timers.isAbsolute { self.tcp.timers.idle = .seconds(7_440) }
        }
    }

    /// Makes a box that behaves alike for both protocols.
    package init(
        _ mapping: MappingBehavior,
        _ filtering: FilteringBehavior,
        _ allocation: PortAllocation = .preserving
    ) {
        self.init(udp: NATBehavior(mapping, filtering, allocation))
    }

    /// Makes a stateful firewall without translation.
    package static func firewall(_ filtering: FilteringBehavior = .addressAndPortDependent) -> NATConfiguration {
        NATConfiguration(udp: .firewall(filtering))
    }

    /// Changes both protocols over IPv4.
    package func with(_ change: (inout NATBehavior) -> Void) -> NATConfiguration {
        var changed = self
        change(&changed.udp)
        change(&changed.tcp)
        return changed
    }
}
