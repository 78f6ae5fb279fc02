// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What was found out about the NATs and firewalls between this machine and the internet.
package struct NATReport: Sendable, Hashable {
    /// What can leave this network at all.
    package var access: NATFinding<InternetAccess>
    /// A sign-in page that answers in place of web servers; `.certain(nil)` when there is none.
    package var captivePortal: NATFinding<CaptivePortal?>
    /// What happens to UDP over IPv4.
    package var udp: NATBehaviorReport
    /// What happens to TCP over IPv4.
    package var tcp: NATBehaviorReport
    /// What happens to UDP over IPv6; its `reach` says whether there is IPv6 at all.
    package var udpV6: NATBehaviorReport
    /// The global IPv6 addresses of this machine.
    package var addressesV6: [IPAddress]
    /// The routers on the way to the server, nearest first, until the first public one.
    package var hops: [NATHop]
    /// How many NATs translate IPv4 on the way.
    package var natCount: NATFinding<Int>
    /// Whether one of them is the carrier's, shared with other subscribers (CGN, RFC 6598).
    package var isCarrierGrade: NATFinding<Bool>
    /// What the router answered to requests for a port, as it was handed in; empty when nobody asked.
    package var portMappings: [NATPortMappingAnswer]
    /// The interfaces of this machine, and what each was seen as.
    package var interfaces: [NATInterfaceReport]
    /// The STUN servers, and what each was good for.
    package var servers: [NATServerReport]
    /// Whether the address of this machine or of the NAT changed while measuring.
    package var didChange: Bool
    /// How long it took, without the measurement of lifetimes.
    package var duration: Duration

    /// Makes a report in which nothing is known.
    package init(_ doubt: NATDoubt = .notMeasured) {
        access = .unknown(doubt)
        captivePortal = .unknown(doubt)
        udp = NATBehaviorReport(doubt)
        tcp = NATBehaviorReport(doubt)
        udpV6 = NATBehaviorReport(doubt)
        addressesV6 = []
        hops = []
        natCount = .unknown(doubt)
        isCarrierGrade = .unknown(doubt)
        portMappings = []
        interfaces = []
        servers = []
        didChange = false
        duration = .zero
    }
}

/// What a NAT or firewall does to one protocol.
package struct NATBehaviorReport: Sendable, Hashable {
    /// Whether packets leave and answers come back.
    package var reach: NATFinding<Bool>
    /// Whether addresses or ports are translated on the way; false behind a mere firewall and with a public address.
    package var isTranslated: NATFinding<Bool>
    /// The addresses that servers saw, the most frequent first.
    package var externalAddresses: [IPAddress]
    /// One socket of this machine and what a server saw it as; nil when no server answered.
    package var example: NATExample?
    /// How external endpoints depend on the destination (RFC 4787 section 4.1, RFC 5382 section 4.1).
    package var mapping: NATFinding<MappingBehavior>
    /// Who may answer (RFC 4787 section 5, RFC 5382 section 4.3).
    package var filtering: NATFinding<FilteringBehavior>
    /// Which external ports are given (RFC 4787 section 4.2).
    package var allocation: NATFinding<PortAllocation>
    /// Whether all sockets of this machine get the same external address (RFC 4787 section 4.1, IP address pooling).
    package var pooling: NATFinding<AddressPooling>
    /// Whether two sockets of this machine reach each other by their external endpoints (RFC 4787 section 6).
    package var hairpin: NATFinding<Bool>
    /// How long an idle mapping lives (RFC 4787 section 4.3).
    package var lifetime: NATFinding<MappingLifetime>
    /// The name that most texts use for all of it.
    package var kind: NATFinding<NATKind>

    /// Makes a report in which nothing is known.
    package init(_ doubt: NATDoubt = .notMeasured) {
        reach = .unknown(doubt)
        isTranslated = .unknown(doubt)
        externalAddresses = []
        example = nil
        mapping = .unknown(doubt)
        filtering = .unknown(doubt)
        allocation = .unknown(doubt)
        pooling = .unknown(doubt)
        hairpin = .unknown(doubt)
        lifetime = .unknown(doubt)
        kind = .unknown(doubt)
    }
}

/// An endpoint of this machine and what it looks like from outside.
package struct NATExample: Sendable, Hashable {
    /// The endpoint on this machine.
    package var local: IPEndpoint
    /// What a server saw.
    package var external: IPEndpoint

    /// Makes it from its parts.
    package init(local: IPEndpoint, external: IPEndpoint) {
        self.local = local
        self.external = external
    }
}

/// The name of what stands between a machine and the internet: the four of RFC 3489 section 5 and three without a NAT.
package enum NATKind: String, Sendable, Hashable, CaseIterable {
    /// A public address, and everybody gets in.
    case open
    /// A public address, and a firewall that lets only answers in.
    case firewall
    /// EIM with EIF.
    case fullCone
    /// EIM with ADF.
    case addressRestrictedCone
    /// EIM with APDF.
    case portRestrictedCone
    /// A mapping that depends on the destination.
    case symmetric
    /// Nothing passes.
    case blocked
}

/// Which of several external addresses a socket gets (RFC 4787 section 4.1).
package enum AddressPooling: String, Sendable, Hashable, CaseIterable {
    /// Every socket was seen with one address (a single one, or "paired").
    case paired
    /// Sockets were seen with different addresses.
    case arbitrary
}

/// How long a mapping lives.
package struct MappingLifetime: Sendable, Hashable {
    /// The longest silence after which a mapping still worked; zero when none did.
    package var alive: Duration
    /// The shortest silence after which it did not; nil when all waits were survived.
    package var dead: Duration?
    /// The age at which a mapping ended although it was in use; nil when none was seen to.
    package var maximumAge: Duration?

    /// Makes it from its parts.
    package init(alive: Duration, dead: Duration?, maximumAge: Duration? = nil) {
        self.alive = alive
        self.dead = dead
        self.maximumAge = maximumAge
    }

    /// How often to send so that a mapping lives on: a fifth less than the longest silence that was survived.
    package var keepalive: Duration {
        if alive > .zero { return alive * 4 / 5 }
        return min(.seconds(5), (dead ?? .seconds(10)) / 2)
    }
}

/// What can leave a network.
package enum InternetAccess: String, Sendable, Hashable, CaseIterable {
    /// UDP and TCP.
    case full
    /// TCP, but no UDP.
    case udpBlocked
    /// Only TCP to the ports of the web, 80 and 443.
    case webOnly
    /// Nothing before somebody has signed in on a web page.
    case captivePortal
    /// Nothing.
    case none
}

/// A page that answers in place of the web server that was asked.
package struct CaptivePortal: Sendable, Hashable {
    /// The status of the answer.
    package var status: Int
    /// Where the answer sends a browser to, at most 512 characters of printable ASCII; nil when it does not say.
    package var location: String?

    /// Makes it from its parts.
    package init(status: Int, location: String?) {
        self.status = status
        self.location = location
    }
}

/// A router on the way.
package struct NATHop: Sendable, Hashable {
    /// How many routers away, from 1.
    package var distance: Int
    /// Its address as it signs its ICMP errors; nil when it stays silent.
    package var address: IPAddress?

    /// Makes it from its parts.
    package init(distance: Int, address: IPAddress?) {
        self.distance = distance
        self.address = address
    }

    /// What kind of address it has; nil when it stays silent.
    package var kind: AddressRealm? { address.map(AddressRealm.init) }
}

/// What the router said when it was asked for a port.
package struct NATPortMappingAnswer: Sendable, Hashable {
    /// The protocols by which routers open ports.
    package enum Door: String, Sendable, Hashable, CaseIterable {
        /// Port Control Protocol (RFC 6887).
        case pcp
        /// NAT Port Mapping Protocol (RFC 6886).
        case natPMP
        /// UPnP Internet Gateway Device.
        case upnp
    }

    /// By which protocol.
    package var door: Door
    /// Whether it opens ports.
    package var isAvailable: Bool
    /// The address of the router's outer side as the router says it; nil when it does not.
    package var externalAddress: IPAddress?

    /// Makes it from its parts.
    package init(_ door: Door, isAvailable: Bool, externalAddress: IPAddress? = nil) {
        self.door = door
        self.isAvailable = isAvailable
        self.externalAddress = externalAddress
    }
}

/// An interface of this machine, and what it is good for.
package struct NATInterfaceReport: Sendable, Hashable {
    /// What was done with it.
    package enum Standing: String, Sendable, Hashable {
        /// Everything in the report was measured through it.
        case main
        /// A server answered through it too.
        case reachable
        /// It was tried, and no server answered.
        case silent
        /// It belongs to containers, virtual machines or a VPN and was left alone.
        case ignored
        /// It has no address from which the internet could be reached.
        case unused
    }

    /// The system's name.
    package var name: String
    /// Its addresses.
    package var addresses: [IPAddress]
    /// What was done with it.
    package var standing: Standing
    /// The address as which a server saw it; nil when none did.
    package var external: IPAddress?

    /// Makes it from its parts.
    package init(name: String, addresses: [IPAddress], standing: Standing, external: IPAddress? = nil) {
        self.name = name
        self.addresses = addresses
        self.standing = standing
        self.external = external
    }
}

/// A STUN server, and what it was good for.
package struct NATServerReport: Sendable, Hashable {
    /// Why a server's answers were not used.
    package enum Fault: String, Sendable, Hashable, CaseIterable {
        /// Its answers cannot be decoded or answer nothing that was asked.
        case broken
        /// It answers with errors.
        case refuses
        /// It says that this machine has a private, unspecified, loopback or multicast address, or port 0.
        case absurdAddress
        /// It says that this machine has the server's own address.
        case ownAddress
        /// Most other servers saw another address.
        case outvoted
    }

    /// As it was given, by name where it has one.
    package var name: String
    /// The endpoint that was asked.
    package var endpoint: IPEndpoint
    /// Whether it answered over UDP.
    package var answersUDP: Bool
    /// Whether it answered over TCP.
    package var answersTCP: Bool
    /// The quickest answer over UDP; nil when there was none.
    package var roundTrip: Duration?
    /// Its other address and port (OTHER-ADDRESS); nil when it has none.
    package var alternate: IPEndpoint?
    /// The name of its software, at most 64 characters of printable ASCII; nil when it does not say.
    package var software: String?
    /// Why its answers were not used; nil when they were.
    package var fault: Fault?

    /// Makes the report of a server that has not answered.
    package init(name: String, endpoint: IPEndpoint) {
        self.name = name
        self.endpoint = endpoint
        answersUDP = false
        answersTCP = false
        roundTrip = nil
        alternate = nil
        software = nil
        fault = nil
    }
}
