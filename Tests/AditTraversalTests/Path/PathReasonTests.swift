// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite("The reason of a path")
struct PathReasonTests {
    private static let home = IPAddress.v4(0xC0A8_0102)
    private static let wide = IPAddress.v6(high: 0x2001_0DB8 << 32, low: 7)
    private static let publicAddress = IPAddress.v4(0xC633_6402)

    /// Every reason, with each of its facts in some form.
    private static let all: [PathReason] = [
        .sameNetwork(a: home, b: .v4(0xC0A8_0103)), .ipv6(a: wide, b: .v6(high: 0x2001_0DB8 << 32 | 1, low: 9)),
        .portMapping(.b, IPEndpoint(publicAddress, 41_641)), .publicAddress(.a, publicAddress),
        .punched(.udp, a: .fullCone, b: .portRestrictedCone), .punched(.tcp, a: nil, b: .firewall),
        .learnt(of: .b, port: 15_268, .udp, filter: .addressRestrictedCone),
        .learnt(of: .a, port: 1, .tcp, filter: nil),
        .tcpForLackOfUDP(.both, a: .blocked, b: .symmetric), .predicted(of: .b, .udp, step: -2, guesses: 20),
        .window(.tcp, stepA: 1, stepB: 2, sockets: 60), .birthday(of: .a, sockets: 256, probes: 393),
        .block(.both, ports: 2048, probes: 900), .block(.a, ports: 512, probes: 1), .hairpin(publicAddress),
        .searching(a: .symmetric, b: nil),
        .symmetricMeetsStrict(of: .a, strict: .portRestrictedCone, .foundNothing(probes: 1024)),
        .symmetricMeetsStrict(of: .b, strict: .firewall, .notAllowed(.a)),
        .bothSymmetric(a: .random, b: .block(20_000...22_047), .hopeless),
        .bothSymmetric(a: .sequential(step: 1), b: nil, .running),
        .udpBlockedAndTCPSymmetric(blocked: .a, symmetric: .both), .onlyWeb(.b), .relayOnly(.both),
        .noCommonFamily(v6: .b),
        .noAnswer(.milliseconds(12_300), a: .portRestrictedCone, b: .portRestrictedCone), .noHairpin(publicAddress),
        .signallingLost, .noRelay(.directOnly(.a), .bothSymmetric(a: .random, b: .random, .hopeless)),
        .noRelay(.notOffered, .signallingLost), .noRelay(.silent, .searching(a: nil, b: nil)), .unnamed,
    ]

    @Test("Each comes over the wire as it was, and reads the same on both ends in both languages")
    func roundTrip() throws {
        for reason in Self.all {
            var bytes: [UInt8] = []
            reason.encode(into: &bytes)
            #expect(bytes.count <= 160)
            let there = try PathReason.decode(bytes.span.bytes)
            #expect(there == reason)
            let own = reason.words(a: "desk", b: "laptop")
            #expect(there.words(a: "desk", b: "laptop") == own)
            for text in [own.english, own.chinese] {
                #expect(!text.isEmpty)
                #expect(!text.contains("you") && !text.contains("they") && !text.contains("nil"))
            }
            #expect(own.english != own.chinese)
        }
    }

    @Test("Devices without a family of addresses in common are told so")
    func families() {
        let blocked = PathNATBehavior(kind: .blocked)
        let wide = PathNAT(udp: blocked, tcp: blocked, hasIPv6: true)
        let narrow = PathNAT(udp: PathNATBehavior(kind: .fullCone), hasIPv6: false)
        for (a, b, expected) in [
            (wide, narrow, PathReason.noCommonFamily(v6: .a)), (narrow, wide, .noCommonFamily(v6: .b)),
            (PathNAT(udp: blocked, tcp: blocked, hasIPv6: false), narrow, .onlyWeb(.a)),
        ] {
            var facts = PathFacts(kind: .relayed(.udp), a: a, b: b)
            facts.isOver = true
            #expect(facts.reason == expected)
        }
    }

    @Test("Whether a kind is lacking, and whether it is about a direct path")
    func standing() {
        #expect(PathReason.punched(.udp, a: .fullCone, b: nil).lacksKind)
        #expect(!PathReason.punched(.udp, a: .fullCone, b: .fullCone).lacksKind)
        #expect(PathReason.noRelay(.silent, .searching(a: nil, b: nil)).lacksKind)
        #expect(PathReason.hairpin(Self.publicAddress).isDirect)
        #expect(!PathReason.noHairpin(Self.publicAddress).isDirect)
        #expect(!PathReason.noHairpin(Self.publicAddress).lacksKind)
    }

    @Test("Every reason has words of its own")
    func distinct() {
        let words = Self.all.map { $0.words(a: "desk", b: "laptop") }
        #expect(Set(words.map(\.english)).count == words.count)
        #expect(Set(words.map(\.chinese)).count == words.count)
    }

    @Test("Cut at any byte or with any bit flipped it is another reason or none, never a trap")
    func damaged() {
        for reason in Self.all {
            var bytes: [UInt8] = []
            reason.encode(into: &bytes)
            for count in 0..<bytes.count { _ = try? PathReason.decode(Array(bytes[..<count]).span.bytes) }
            for bit in 0..<bytes.count * 8 {
                var flipped = bytes
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                if let other = try? PathReason.decode(flipped.span.bytes) {
                    #expect(!other.words(a: "a", b: "b").english.isEmpty)
                }
            }
        }
    }

    @Test("A reason of a later version is told as one that this version cannot say")
    func later() throws {
        let later: [UInt8] = [200, 1, 1, 0]
        #expect(try PathReason.decode(later.span.bytes) == .unnamed)
        // A field that nobody knows yet is skipped.
        var bytes: [UInt8] = []
        PathReason.relayOnly(.a).encode(into: &bytes)
        #expect(try PathReason.decode((bytes + [99, 2, 0, 0]).span.bytes) == .relayOnly(.a))
    }

    @Test("A reason inside a reason inside a reason is refused")
    func nesting() {
        var inner: [UInt8] = []
        PathReason.noRelay(.silent, .signallingLost).encode(into: &inner)
        let outer: [UInt8] = [41, 18, 1, 2, 19, UInt8(inner.count)] + inner
        #expect(throws: WireError.self) { try PathReason.decode(outer.span.bytes) }
    }

    @Test("The report names the devices by who computed the reason, so both ends tell one sentence")
    func names() {
        var own = PathReport(since: .zero, isSideA: true)
        own.kind = .relayed(.udp)
        own.reason = .symmetricMeetsStrict(of: .b, strict: .portRestrictedCone, .foundNothing(probes: 1024))
        var other = own
        other.isSideA = false
        let text = own.sentence(local: "desk", remote: "laptop")
        #expect(text == other.sentence(local: "laptop", remote: "desk"))
        #expect(
            text.english
                == "relayed: laptop's NAT gives each destination a port of its own, desk (port-restricted cone) lets in only "
                + "the very port it sent to, and a search of 1024 probes found nothing"
        )
        #expect(text.chinese.hasPrefix("经中继：laptop 的 NAT"))
    }
}

@Suite("What a peer is told of a NAT")
struct PathNATTests {
    private static let samples: [PathNAT] = [
        .unknown,
        PathNAT(
            udp: PathNATBehavior(
                kind: .symmetric,
                mapping: .addressAndPortDependent,
                filtering: .addressAndPortDependent,
                allocation: .block(20_000...22_047),
                range: 20_017...21_998,
                hairpin: false
            ),
            tcp: PathNATBehavior(kind: .portRestrictedCone, allocation: .sequential(step: -3)),
            hasIPv6: true,
            isCarrierGrade: true,
            opensPorts: false,
            address: .v4(0xC633_6402)
        ),
        PathNAT(udp: PathNATBehavior(kind: .blocked), address: .v6(high: 0x2001_0DB8 << 32, low: 1)),
    ]

    @Test("It comes over the wire as it was")
    func roundTrip() throws {
        for nat in Self.samples {
            var bytes: [UInt8] = []
            nat.encode(into: &bytes)
            #expect(bytes.count <= 128)
            #expect(try PathNAT.decode(bytes.span.bytes) == nat)
            #expect(try PathNAT.decode((bytes + [77, 1, 5]).span.bytes) == nat)
        }
    }

    @Test("Cut at any byte or with any bit flipped it is refused or another, never a trap")
    func damaged() {
        for nat in Self.samples {
            var bytes: [UInt8] = []
            nat.encode(into: &bytes)
            for count in 0..<bytes.count { _ = try? PathNAT.decode(Array(bytes[..<count]).span.bytes) }
            for bit in 0..<bytes.count * 8 {
                var flipped = bytes
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                _ = try? PathNAT.decode(flipped.span.bytes)
            }
        }
    }

    @Test("A range whose end is before its beginning is refused")
    func backwards() {
        let bytes: [UInt8] = [1, 6, 5, 4, 0, 9, 0, 8]
        #expect(throws: WireError.invalidField(offset: 2, found: 8)) { try PathNAT.decode(bytes.span.bytes) }
    }

    @Test("What is not known of a report stays unknown, and a blocked UDP is told as such")
    func report() {
        var report = NATReport()
        #expect(PathNAT(report) == .unknown)
        report.access = .certain(.udpBlocked)
        report.tcp.kind = .certain(.symmetric)
        report.tcp.mapping = .certain(.addressAndPortDependent)
        let nat = PathNAT(report)
        #expect(nat.udp.isBlocked && !nat.tcp.isBlocked && nat.tcp.isSymmetric)
    }
}

@Suite("How a reason follows from facts")
struct PathFactsTests {
    private static func nat(_ kind: NATKind, _ allocation: PortAllocation = .preserving) -> PathNAT {
        let behavior = PathNATBehavior(kind: kind, allocation: allocation)
        return PathNAT(udp: behavior, tcp: behavior)
    }

    private static func candidate(
        _ type: ICECandidateType,
        _ address: String,
        _ port: UInt16,
        _ transport: ICETransport = .udp,
        mapped: Bool = false
    ) throws -> ICECandidate {
        ICECandidate(
            foundation: "1",
            transport: transport,
            priority: 1,
            endpoint: IPEndpoint(try #require(IPAddress(address)), port),
            type: type,
            isPortMapped: mapped
        )
    }

    private static func direct(
        _ local: ICECandidate,
        _ remote: ICECandidate,
        _ a: PathNAT,
        _ b: PathNAT
    ) -> PathFacts {
        var facts = PathFacts(kind: .direct(local.transport), a: a, b: b)
        facts.pair = ICEPair(local: local, remote: remote, base: ICEBaseID(1))
        return facts
    }

    @Test("Direct paths: network, IPv6, mapping, public address, punch, learnt port, TCP, hairpin")
    func direct() throws {
        let (cone, strict, random) = (Self.nat(.fullCone), Self.nat(.portRestrictedCone), Self.nat(.symmetric, .random))
        let own = try Self.candidate(.serverReflexive, "198.51.100.2", 5000)
        let peer = try Self.candidate(.serverReflexive, "192.0.2.2", 6000)
        let learnt = try Self.candidate(.peerReflexive, "192.0.2.2", 6001)
        let home = try Self.candidate(.host, "192.168.1.2", 5000)
        let neighbour = try Self.candidate(.host, "192.168.1.3", 6000)
        #expect(
            Self.direct(home, neighbour, strict, strict).reason
                == .sameNetwork(a: home.endpoint.address, b: neighbour.endpoint.address)
        )
        let wide = (try Self.candidate(.host, "2001:db8:1::2", 1), try Self.candidate(.host, "2001:db8:2::2", 2))
        #expect(
            Self.direct(wide.0, wide.1, strict, strict).reason
                == .ipv6(a: wide.0.endpoint.address, b: wide.1.endpoint.address)
        )
        let mapped = try Self.candidate(.serverReflexive, "192.0.2.2", 41_641, mapped: true)
        #expect(Self.direct(own, mapped, random, random).reason == .portMapping(.b, mapped.endpoint))
        #expect(Self.direct(own, peer, strict, Self.nat(.open)).reason == .publicAddress(.b, peer.endpoint.address))
        #expect(
            Self.direct(own, peer, strict, strict).reason
                == .punched(.udp, a: .portRestrictedCone, b: .portRestrictedCone)
        )
        #expect(
            Self.direct(own, learnt, cone, random).reason == .learnt(of: .b, port: 6001, .udp, filter: .fullCone)
        )
        let tcp = try Self.candidate(.serverReflexive, "192.0.2.2", 6000, .tcp)
        var blocked = strict
        blocked.udp = PathNATBehavior(kind: .blocked)
        let ownTCP = try Self.candidate(.host, "192.168.1.2", 5000, .tcp)
        #expect(
            Self.direct(ownTCP, tcp, blocked, strict).reason
                == .tcpForLackOfUDP(.a, a: .portRestrictedCone, b: .portRestrictedCone)
        )
        var (one, other) = (strict, strict)
        one.address = own.endpoint.address
        other.address = own.endpoint.address
        #expect(Self.direct(own, peer, one, other).reason == .hairpin(own.endpoint.address))
        // Two devices on one computer that has the public address itself: there is no NAT between them.
        let bare = try Self.candidate(.host, "198.51.100.2", 5000)
        let beside = try Self.candidate(.peerReflexive, "198.51.100.2", 6000)
        #expect(
            Self.direct(bare, beside, one, other).reason
                == .sameNetwork(a: own.endpoint.address, b: own.endpoint.address)
        )
    }

    @Test("Searches name the side whose port was found, with what it took")
    func searches() throws {
        let own = try Self.candidate(.serverReflexive, "198.51.100.2", 5000)
        let learnt = try Self.candidate(.peerReflexive, "192.0.2.2", 6001)
        var facts = Self.direct(own, learnt, Self.nat(.portRestrictedCone), Self.nat(.symmetric, .random))
        facts.tactic = .birthday
        facts.sockets = 256
        facts.probes = 393
        #expect(facts.reason == .birthday(of: .b, sockets: 256, probes: 393))
        facts.b = Self.nat(.symmetric, .sequential(step: 2))
        facts.tactic = .prediction
        facts.sockets = 20
        #expect(facts.reason == .predicted(of: .b, .udp, step: 2, guesses: 20))
        facts.a = Self.nat(.symmetric, .sequential(step: 1))
        facts.tactic = .window
        #expect(facts.reason == .window(.udp, stepA: 1, stepB: 2, sockets: 20))
    }

    @Test("Relayed paths: search, both symmetric, blocked UDP, policy, time, hairpin, signalling, no relay")
    func relayed() {
        let (strict, random) = (Self.nat(.portRestrictedCone), Self.nat(.symmetric, .random))
        var facts = PathFacts(kind: .relayed(.udp), a: strict, b: random)
        #expect(facts.reason == .searching(a: .portRestrictedCone, b: .symmetric))
        facts.isOver = true
        facts.tried = .seconds(12)
        facts.search = .foundNothing(probes: 1024)
        #expect(
            facts.reason
                == .symmetricMeetsStrict(of: .b, strict: .portRestrictedCone, .foundNothing(probes: 1024))
        )
        facts.a = random
        facts.search = nil
        #expect(facts.reason == .bothSymmetric(a: .random, b: .random, .hopeless))
        facts.a = strict
        facts.b = strict
        #expect(facts.reason == .noAnswer(.seconds(12), a: .portRestrictedCone, b: .portRestrictedCone))
        facts.a.address = .v4(0xC633_6402)
        facts.b.address = .v4(0xC633_6402)
        #expect(facts.reason == .noHairpin(.v4(0xC633_6402)))
        facts.b.address = nil
        facts.a.udp = PathNATBehavior(kind: .blocked)
        facts.b.tcp = PathNATBehavior(kind: .symmetric)
        #expect(facts.reason == .udpBlockedAndTCPSymmetric(blocked: .a, symmetric: .b))
        facts.isSignallingLost = true
        #expect(facts.reason == .signallingLost)
        facts.relayOnly = .b
        #expect(facts.reason == .relayOnly(.b))
        facts.kind = .none
        facts.relayLack = .notOffered
        #expect(facts.reason == .noRelay(.notOffered, .relayOnly(.b)))
    }
}
