// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What is known when a reason is to be given; `a` is this device, which controls.
package struct PathFacts: Sendable {
    /// How packets go.
    package var kind: PathKind
    /// The pair they go by; nil without a path.
    package var pair: ICEPair?
    /// How the direct path was found.
    package var tactic: PathTactic?
    /// The NAT in front of this device.
    package var a: PathNAT
    /// The NAT in front of the peer.
    package var b: PathNAT
    /// Which of them were told to use the relay only.
    package var relayOnly: PathSides?
    /// Why there is no relay; nil when there is one.
    package var relayLack: PathRelayLack?
    /// How the search for a port stands; nil when none was made.
    package var search: PathSearchEnd?
    /// How many sockets the search, the window or the birthday had open, or how many ports were guessed.
    package var sockets: Int
    /// How many probes were sent.
    package var probes: Int
    /// How long a direct path has been tried for.
    package var tried: Duration
    /// Whether trying is over for now.
    package var isOver: Bool
    /// Whether whatever is quick had its time, and no search is under way.
    package var isLate: Bool
    /// Whether messages no longer reach the peer.
    package var isSignallingLost: Bool

    /// Facts of a path that is being looked for.
    package init(kind: PathKind, a: PathNAT, b: PathNAT) {
        self.kind = kind
        pair = nil
        tactic = nil
        self.a = a
        self.b = b
        relayOnly = nil
        relayLack = nil
        search = nil
        sockets = 0
        probes = 0
        tried = .zero
        isOver = false
        isLate = false
        isSignallingLost = false
    }

    /// The reason that follows from them.
    package var reason: PathReason {
        if kind.isDirect, let pair { return direct(pair) }
        let why = indirect
        if kind == .none, let relayLack { return .noRelay(relayLack, why) }
        return why
    }

    private func direct(_ pair: ICEPair) -> PathReason {
        let transport = pair.local.transport
        let (own, peer) = (pair.local.endpoint, pair.remote.endpoint)
        // Two devices on one computer.
        if own.address == peer.address { return .sameNetwork(a: own.address, b: peer.address) }
        let isHost = pair.local.type == .host && pair.remote.type == .host
        if isHost, AddressRealm(own.address) != .public || Self.areNeighbours(own.address, peer.address) {
            return .sameNetwork(a: own.address, b: peer.address)
        }
        if case .v6 = peer.address.unmapped { return .ipv6(a: own.address, b: peer.address) }
        if pair.remote.isPortMapped { return .portMapping(.b, peer) }
        if pair.local.isPortMapped { return .portMapping(.a, own) }
        if let found = search(transport, pair) { return found }
        let (natA, natB) = transport == .udp ? (a.udp, b.udp) : (a.tcp, b.tcp)
        if let address = a.address, address == b.address {
            // Whoever has the public address itself needs no NAT to turn packets round.
            let isOwn = pair.local.type == .host && own.address == address
            return isOwn ? .sameNetwork(a: own.address, b: peer.address) : .hairpin(address)
        }
        if transport == .tcp, let sides = PathSides(a: a.udp.isBlocked, b: b.udp.isBlocked) {
            return .tcpForLackOfUDP(sides, a: natA.kind, b: natB.kind)
        }
        if natB.kind == .open { return .publicAddress(.b, peer.address) }
        if natA.kind == .open { return .publicAddress(.a, own.address) }
        if pair.remote.type == .peerReflexive, natB.isSymmetric {
            return .learnt(of: .b, port: peer.port, transport, filter: natA.kind)
        }
        if pair.local.type == .peerReflexive, natA.isSymmetric {
            return .learnt(of: .a, port: own.port, transport, filter: natB.kind)
        }
        return .punched(transport, a: natA.kind, b: natB.kind)
    }

    private func search(_ transport: ICETransport, _ pair: ICEPair) -> PathReason? {
        let (natA, natB) = transport == .udp ? (a.udp, b.udp) : (a.tcp, b.tcp)
        // The side whose port was searched; of two symmetric ones the peer, whom this device looked for.
        let side: PathSide = natB.isSymmetric || !natA.isSymmetric ? .b : .a
        switch tactic {
        case .prediction:
            return .predicted(of: side, transport, step: Self.step(side == .a ? natA : natB), guesses: sockets)
        case .window:
            return .window(transport, stepA: Self.step(natA), stepB: Self.step(natB), sockets: sockets)
        case .birthday: return .birthday(of: side, sockets: sockets, probes: probes)
        case .block:
            let sides = PathSides(a: Self.block(natA) != nil, b: Self.block(natB) != nil) ?? PathSides(side)
            let ports = max(Self.block(natA) ?? 0, Self.block(natB) ?? 0)
            return .block(sides, ports: ports, probes: probes)
        case .plain, .tcp, .sevenSteps, .sevenStepsKept, nil: return nil
        }
    }

    private var indirect: PathReason {
        if let relayOnly { return .relayOnly(relayOnly) }
        if isSignallingLost { return .signallingLost }
        // A search over UDP that came to nothing says nothing of a network that blocks UDP.
        let isBlocked = a.udp.isBlocked || b.udp.isBlocked
        let isSettled = isOver || !isBlocked && search.map { $0 != .running } ?? false
        if isSettled || isLate, let why = unreachable { return why }
        guard isSettled else { return .searching(a: shown(a).kind, b: shown(b).kind) }
        if PathSides(a: a.udp.isBlocked, b: b.udp.isBlocked) != nil {
            return .noAnswer(tried, a: a.tcp.kind, b: b.tcp.kind)
        }
        return otherwise
    }

    /// What no further try will change; nil where it may.
    private var unreachable: PathReason? {
        let isOff = (a: a.udp.isBlocked && a.tcp.isBlocked, b: b.udp.isBlocked && b.tcp.isBlocked)
        if isOff.a, a.hasIPv6 == true, !isOff.b, b.hasIPv6 == false { return .noCommonFamily(v6: .a) }
        if isOff.b, b.hasIPv6 == true, !isOff.a, a.hasIPv6 == false { return .noCommonFamily(v6: .b) }
        if let sides = PathSides(a: isOff.a && a.hasIPv6 != true, b: isOff.b && b.hasIPv6 != true) {
            return .onlyWeb(sides)
        }
        if let address = a.address, address == b.address,
            [a.udp.hairpin, b.udp.hairpin, a.tcp.hairpin, b.tcp.hairpin].allSatisfy({ $0 != true })
        {
            return .noHairpin(address)
        }
        if let blocked = PathSides(a: a.udp.isBlocked, b: b.udp.isBlocked),
            let symmetric = PathSides(a: a.tcp.isSymmetric, b: b.tcp.isSymmetric)
        {
            return .udpBlockedAndTCPSymmetric(blocked: blocked, symmetric: symmetric)
        }
        return nil
    }

    private var otherwise: PathReason {
        switch (a.udp.isSymmetric, b.udp.isSymmetric) {
        case (true, true):
            return .bothSymmetric(a: a.udp.allocation, b: b.udp.allocation, search ?? .hopeless)
        case (true, false) where b.udp.filtersByPort:
            return .symmetricMeetsStrict(of: .a, strict: b.udp.kind, search ?? .foundNothing(probes: probes))
        case (false, true) where a.udp.filtersByPort:
            return .symmetricMeetsStrict(of: .b, strict: a.udp.kind, search ?? .foundNothing(probes: probes))
        default: return .noAnswer(tried, a: a.udp.kind, b: b.udp.kind)
        }
    }

    private func shown(_ nat: PathNAT) -> PathNATBehavior { nat.udp.isBlocked ? nat.tcp : nat.udp }

    private static func step(_ nat: PathNATBehavior) -> Int {
        if case .sequential(let step) = nat.allocation { return step }
        return 1
    }

    private static func block(_ nat: PathNATBehavior) -> Int? {
        guard case .block(let range) = nat.allocation else { return nil }
        return range.count
    }

    /// Whether two public IPv6 addresses are on one link: the first 64 bits are the same (RFC 4291 section 2.5.4).
    private static func areNeighbours(_ one: IPAddress, _ other: IPAddress) -> Bool {
        guard case .v6(let high, _) = one.unmapped, case .v6(let otherHigh, _) = other.unmapped else { return false }
        return high == otherHigh
    }
}
