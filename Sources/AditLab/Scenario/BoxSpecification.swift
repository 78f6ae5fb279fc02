// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One box between a site and the internet, as the language of sites describes it: a home router or a carrier's NAT.
package struct BoxSpecification: Sendable, Hashable {
    /// What happens to a packet from outside that nothing inside has asked for.
    package enum Unsolicited: String, Sendable, Hashable, CaseIterable {
        /// Nothing: it disappears.
        case drop
        /// TCP is answered with RST, UDP with an ICMP port unreachable.
        case reset = "rst"
        /// The box takes the packet for itself, answers, and remembers the two endpoints as taken.
        case accept
    }

    /// Its rule for UDP.
    package var udp: TransportRule
    /// Its rule for TCP.
    package var tcp: TransportRule
    /// What it does with what nobody asked for.
    package var unsolicited = Unsolicited.drop
    /// Whether two hosts behind it reach each other through its public address.
    package var hasHairpin = false
    /// How long an idle UDP mapping lives, in seconds.
    package var udpLifetime = 30
    /// How long an idle TCP connection's mapping lives, in seconds (RFC 5382 section 5).
    package var tcpLifetime = 7440
    /// How long the mapping of a TCP connection lives that is not yet there, in seconds.
    package var synLifetime = 30
    /// Whether a mapping ends that long after it was made, used or not.
    package var isLifetimeAbsolute = false
    /// Whether packets from outside keep a mapping alive too.
    package var isRefreshedByInbound = true
    /// How many public addresses it has; flows get any of them (RFC 4787 section 4.1, arbitrary pooling).
    package var poolSize = 1
    /// How many mappings it holds at once; nil for as many as there are ports.
    package var capacity: Int?
    /// The ports among which a sequence goes round; nil for all.
    package var sequenceRange: ClosedRange<UInt16>?
    /// Whether it drops what does not fit the numbers of a TCP connection that it has seen.
    package var tracksWindows = true
    /// Whether it swallows ICMP errors.
    package var dropsICMP = false

    /// Makes a box that treats both transports alike, or each by its own rule.
    package init(udp: TransportRule, tcp: TransportRule) {
        self.udp = udp
        self.tcp = tcp
    }

    /// A NAT with one rule for both transports.
    package init(_ rule: NATRule) {
        self.init(udp: .nat(rule), tcp: .nat(rule))
    }

    /// Whether hosts behind it have addresses of their own that the internet does not know.
    package var translates: Bool { ![udp, tcp].contains { $0 == .open || $0 == .firewall } }
}

/// One place on the simulated internet: two hosts in a home network, its router, and what the carrier puts in front.
package struct SiteSpecification: Sendable, Hashable {
    /// The home router.
    package var router: BoxSpecification
    /// The carrier's NAT in front of it; nil for none.
    package var carrier: BoxSpecification?
    /// The largest packet on the access line, in bytes.
    package var mtu = 1500

    /// Makes a site from its boxes.
    package init(router: BoxSpecification, carrier: BoxSpecification? = nil) {
        self.router = router
        self.carrier = carrier
    }

    /// A site with a home router of one rule for both transports.
    package init(_ rule: NATRule) {
        self.init(router: BoxSpecification(rule))
    }

    /// The boxes from the inside to the outside.
    package var boxes: [BoxSpecification] { [router] + (carrier.map { [$0] } ?? []) }
}
