// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire
import Testing

@Suite struct TURNRelayTests {
    private static let peer = IPEndpoint(.v4(0xC000_0263), 5000)
    private static let peerV6 = IPEndpoint(.v6(high: 0x2400_0000 << 32, low: 9), 5000)

    private func world(_ change: (inout TURNRelayConfiguration) -> Void = { _ in }) -> TURNWorld {
        TURNWorld(change)
    }

    @Test func anUnknownAskerIsTold401ThenAllocates() throws {
        var world = world()
        var asker = TURNAsker()
        let challenge = try #require(asker.ask(&world, .allocate, [.requestedTransport(17)], isProtected: false))
        #expect(challenge.errorNumber == 401)
        #expect(challenge.attributes.contains(.realm("adit")))
        #expect(challenge.attributes.contains(.passwordAlgorithms([.sha256, .md5])))
        #expect(asker.nonce.hasPrefix("obMatJos2gAAA"))
        let success = try #require(asker.ask(&world, .allocate, [.requestedTransport(17)]))
        #expect(success.kind == .success)
        #expect(success.relayedEndpoints == [IPEndpoint(TURNWorld.server.address, 50_001)])
        #expect(success.lifetime == 600)
        #expect(success.mappedEndpoint == asker.tuple.client)
        #expect(success.attributes.contains { if case .messageIntegrity = $0 { true } else { false } })
        // The same request again is answered alike, another one finds the 5-tuple taken.
        let id = success.transactionID
        #expect(
            asker.ask(&world, .allocate, [.requestedTransport(17)], id: id)?.attributes.dropLast()
                == success.attributes.dropLast()
        )
        #expect(asker.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 437)
        #expect(world.open.count == 1)
    }

    @Test func authenticationIsThatOfRFC8489() throws {
        var world = world()
        var asker = TURNAsker()
        _ = asker.ask(&world, .allocate, [], isProtected: false)
        let nonce = asker.nonce
        // A wrong password, a wrong realm, an unknown and an expired user, another's nonce, a nonce that was changed.
        var wrong = asker
        wrong.password = "wrong"
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 401)
        wrong = asker
        wrong.realm = "other"
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 401)
        wrong = TURNAsker(asker.tuple, TURNCredentials(username: "nobody", password: "x"))
        wrong.nonce = nonce
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 401)
        wrong = TURNAsker(asker.tuple, TURNWorld.credentials("desk", lasting: -1))
        wrong.nonce = nonce
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 401)
        wrong = asker
        wrong.tuple = TURNWorld.tuple(201)
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 438)
        wrong = asker
        wrong.nonce = String(nonce.dropLast()) + (nonce.hasSuffix("0") ? "1" : "0")
        #expect(wrong.ask(&world, .allocate, [.requestedTransport(17)])?.errorNumber == 438)
        #expect(wrong.nonce.utf8.count == nonce.utf8.count)
        // Without one of the attributes, or with half of the choice of an algorithm: 400.
        let key = STUNIntegrityKey(username: asker.username, realm: "adit", password: asker.password)
        for missing in 0..<4 {
            var attributes: [STUNAttribute] = [
                .requestedTransport(17), .username(asker.username), .realm("adit"), .nonce(nonce),
            ]
            if missing < 3 { attributes.remove(at: missing + 1) } else { attributes.append(.passwordAlgorithm(.md5)) }
            var bytes: [UInt8] = []
            STUNMessage(.request, .allocate, transactionID: STUNTransactionID(high: 1, low: 1), attributes: attributes)
                .encode(into: &bytes, integrity: .sha1) { key.sha1Code(of: $0) }
            var copy = asker
            #expect(copy.send(&world, bytes)?.errorNumber == 400)
        }
        // SHA-256 for key and message.
        let strong = STUNIntegrityKey(
            username: asker.username,
            realm: "adit",
            password: asker.password,
            algorithm: .sha256
        )
        var bytes: [UInt8] = []
        STUNMessage(
            .request,
            .allocate,
            transactionID: STUNTransactionID(high: 1, low: 2),
            attributes: [
                .requestedTransport(17), .username(asker.username), .realm("adit"), .nonce(nonce),
                .passwordAlgorithms([.sha256, .md5]), .passwordAlgorithm(.sha256),
            ]
        ).encode(into: &bytes, integrity: .sha256) { strong.sha256Code(of: $0) }
        #expect(asker.send(&world, bytes)?.kind == .success)
        #expect(world.relay.allocationCount == 1)
        #expect(world.relay.counters.unauthorized == 4)
    }

    @Test func nonceIsGoodForAnHour() {
        var world = world()
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        world.run(for: .seconds(590))
        for _ in 0..<5 {
            #expect(asker.ask(&world, .refresh, [])?.kind == .success)
            world.run(for: .seconds(595))
        }
        #expect(asker.ask(&world, .refresh, [])?.kind == .success)
        world.run(for: .seconds(595))
        #expect(asker.ask(&world, .refresh, [])?.errorNumber == 438)
        #expect(asker.ask(&world, .refresh, [])?.kind == .success)
    }

    @Test func allocateRefusesWhatSection7Names() {
        let cases: [([STUNAttribute], Int)] = [
            ([], 400),
            ([.requestedTransport(6)], 442),
            ([.requestedTransport(17), .requestedAddressFamily(.v6)], 440),
            ([.requestedTransport(17), .requestedAddressFamily(STUNAddressFamily(rawValue: 9))], 440),
            ([.requestedTransport(17), .requestedAddressFamily(.v4), .additionalAddressFamily(.v6)], 400),
            ([.requestedTransport(17), .additionalAddressFamily(.v4)], 400),
            ([.requestedTransport(17), .additionalAddressFamily(.v6), .evenPort(reservesNext: true)], 400),
            ([.requestedTransport(17), .reservationToken(1), .evenPort(reservesNext: false)], 400),
            ([.requestedTransport(17), .reservationToken(1), .requestedAddressFamily(.v4)], 400),
            ([.requestedTransport(17), .reservationToken(1), .additionalAddressFamily(.v6)], 400),
            ([.requestedTransport(17), .reservationToken(1)], 508),
            ([.requestedTransport(17), .dontFragment], 420),
            ([.requestedTransport(17), .other(type: 0x1234, [])], 420),
        ]
        for (attributes, number) in cases {
            var world = world()
            var asker = TURNAsker()
            _ = asker.ask(&world, .allocate, [], isProtected: false)
            let answer = asker.ask(&world, .allocate, attributes)
            #expect(answer?.errorNumber == number, "\(attributes)")
            if number == 420 {
                let unknown = answer?.attributes.contains { if case .unknownAttributes = $0 { true } else { false } }
                #expect(unknown == true)
            }
            #expect(world.open.isEmpty)
            #expect(world.relay.allocationCount == 0)
            #expect(world.relay.devices.isEmpty)
        }
        var world = world { $0.admits = { _ in false } }
        var asker = TURNAsker()
        #expect(asker.allocate(&world)?.errorNumber == 403)
    }

    @Test func lifetimesAreBounded() {
        for (wish, given) in [(1, 600), (599, 600), (700, 700), (3600, 3600), (100_000, 3600)] as [(UInt32, UInt32)] {
            var world = world()
            var asker = TURNAsker()
            #expect(asker.allocate(&world, [.lifetime(wish)])?.lifetime == given)
            world.run(for: .seconds(Int64(given) - 2))
            #expect(world.relay.allocationCount == 1)
            #expect(asker.ask(&world, .refresh, [.lifetime(wish)])?.lifetime == given)
            world.run(for: .seconds(Int64(given) + 1))
            #expect(world.relay.allocationCount == 0)
            #expect(world.open.isEmpty)
            #expect(world.relay.nextDeadline == nil)
            // The nonce may have become stale.
            _ = asker.ask(&world, .refresh, [])
            #expect(asker.ask(&world, .refresh, [])?.errorNumber == 437)
        }
        var world = world()
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        #expect(asker.ask(&world, .refresh, [.lifetime(0)])?.lifetime == 0)
        #expect(world.relay.allocationCount == 0)
        #expect(asker.ask(&world, .refresh, [.lifetime(0)])?.errorNumber == 437)
        #expect(asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])?.errorNumber == 437)
        #expect(
            asker.ask(&world, .channelBind, [.channelNumber(0x4000), .xorPeerAddress(Self.peer)])?.errorNumber == 437
        )
    }

    @Test func anEvenPortAndItsNeighbourAreKept() throws {
        var world = world()
        var first = TURNAsker()
        let answer = try #require(first.allocate(&world, [.evenPort(reservesNext: true)]))
        let port = try #require(answer.relayedEndpoints.first?.port)
        #expect(port & 1 == 0)
        let token = try #require(answer.reservationToken)
        // Another device does not get it, the same one does, once.
        var other = TURNAsker(TURNWorld.tuple(201), TURNWorld.credentials("other"))
        #expect(other.allocate(&world, [.reservationToken(token)])?.errorNumber == 508)
        var second = TURNAsker(TURNWorld.tuple(202), TURNWorld.credentials("desk"))
        let adopted = try #require(second.allocate(&world, [.reservationToken(token)]))
        #expect(adopted.relayedEndpoints.first?.port == port + 1)
        var third = TURNAsker(TURNWorld.tuple(203), TURNWorld.credentials("desk"))
        #expect(third.allocate(&world, [.reservationToken(token)])?.errorNumber == 508)
        #expect(world.relay.devices.first?.allocations == 2)

        // What nobody comes for is given back after 30 seconds.
        let late = try #require(third.allocate(&world, [.evenPort(reservesNext: true)]))
        let lateToken = try #require(late.reservationToken)
        #expect(world.open.count == 4)
        world.run(for: .seconds(32))
        #expect(world.open.count == 3)
        var fourth = TURNAsker(TURNWorld.tuple(204), TURNWorld.credentials("desk"))
        #expect(fourth.allocate(&world, [.reservationToken(lateToken)])?.errorNumber == 508)
        let even = try #require(fourth.allocate(&world, [.evenPort(reservesNext: false)]))
        #expect(even.reservationToken == nil)
        #expect(even.relayedEndpoints.first.map { $0.port & 1 } == 0)
    }

    @Test func bothFamiliesInOneAllocation() throws {
        var world = world { $0.families = [.v4, .v6] }
        var asker = TURNAsker()
        let answer = try #require(asker.allocate(&world, [.additionalAddressFamily(.v6)]))
        #expect(answer.relayedEndpoints.map { STUNAddressFamily(of: $0.address) } == [.v4, .v6])
        #expect(
            asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer), .xorPeerAddress(Self.peerV6)])?.kind
                == .success
        )
        for peer in [Self.peer, Self.peerV6] {
            world.ask(Self.send([7], to: peer), from: asker.tuple)
            #expect(world.sent.last?.to == peer)
        }
        // One family is given back, the other remains (section 8.2).
        #expect(asker.ask(&world, .refresh, [.lifetime(0), .requestedAddressFamily(.v4)])?.kind == .success)
        #expect(world.open.count == 1)
        #expect(world.relay.allocationCount == 1)
        #expect(asker.ask(&world, .refresh, [.requestedAddressFamily(.v4)])?.errorNumber == 443)
        #expect(asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])?.errorNumber == 443)
        #expect(asker.ask(&world, .refresh, [.requestedAddressFamily(.v6)])?.kind == .success)
        let count = world.sent.count
        world.ask(Self.send([7], to: Self.peer), from: asker.tuple)
        #expect(world.sent.count == count)

        // A server with one family gives that one, and says why not the other.
        var single = self.world()
        var other = TURNAsker()
        let half = try #require(other.allocate(&single, [.additionalAddressFamily(.v6)]))
        #expect(half.relayedEndpoints.count == 1)
        #expect(half.attributes.contains(.addressErrorCode(.v6, 440, reason: "Address Family not Supported")))
        #expect(other.ask(&single, .createPermission, [.xorPeerAddress(Self.peerV6)])?.errorNumber == 443)
        #expect(other.ask(&single, .refresh, [.requestedAddressFamily(.v6)])?.errorNumber == 440)
    }

    @Test func channelsAreThoseOfSection12() {
        var world = world()
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        let bind = { (number: UInt16, peer: IPEndpoint) -> [STUNAttribute] in
            [.channelNumber(number), .xorPeerAddress(peer)]
        }
        let other = IPEndpoint(Self.peer.address, 5001)
        for number: UInt16 in [0, 0x3FFF, 0x8000, 0xFFFF] {
            #expect(asker.ask(&world, .channelBind, bind(number, Self.peer))?.errorNumber == 400)
        }
        #expect(asker.ask(&world, .channelBind, [.channelNumber(0x4000)])?.errorNumber == 400)
        #expect(asker.ask(&world, .channelBind, [.xorPeerAddress(Self.peer)])?.errorNumber == 400)
        #expect(asker.ask(&world, .channelBind, bind(0x4000, IPEndpoint(Self.peer.address, 0)))?.errorNumber == 400)
        #expect(asker.ask(&world, .channelBind, bind(0x4000, Self.peerV6))?.errorNumber == 443)
        #expect(asker.ask(&world, .channelBind, bind(0x4000, Self.peer))?.kind == .success)
        #expect(asker.ask(&world, .channelBind, bind(0x4000, Self.peer))?.kind == .success)
        #expect(asker.ask(&world, .channelBind, bind(0x4000, other))?.errorNumber == 400)
        #expect(asker.ask(&world, .channelBind, bind(0x4001, Self.peer))?.errorNumber == 400)
        #expect(asker.ask(&world, .channelBind, bind(0x4FFF, other))?.kind == .success)
        world.ask([0x4F, 0xFF, 0, 2, 8, 9], from: asker.tuple)
        #expect(world.sent.last?.bytes == [8, 9])
        #expect(world.sent.last?.to == other)
        // A channel ends after ten minutes, its permission after five.
        let relay = world.open.keys.first
        for seconds in [299, 2] {
            world.run(for: .seconds(seconds))
            world.answers = []
            if let relay {
                world.relay.received(([1] as [UInt8]).span.bytes, from: Self.peer, on: relay, at: world.now)
            }
            world.drainRelay()
            #expect(world.answers.count == (seconds == 299 ? 1 : 0))
            if seconds == 299 { #expect(asker.ask(&world, .refresh, [.lifetime(3600)])?.kind == .success) }
        }
        let count = world.sent.count
        world.ask([0x40, 0x00, 0, 1, 8], from: asker.tuple)
        #expect(world.sent.count == count + 1)
        world.run(for: .seconds(300))
        world.ask([0x40, 0x00, 0, 1, 8], from: asker.tuple)
        #expect(world.sent.count == count + 1)
        // The number is free again.
        #expect(asker.ask(&world, .channelBind, bind(0x4000, other))?.kind == .success)
    }

    @Test func theRelayIsNotOpen() {
        var world = world { $0.peers.own = [.v4(0xCB00_7102)] }
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        let refused = [
            "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
            "100.64.0.1", "192.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "203.0.113.2",
        ]
        for text in refused {
            let peer = IPEndpoint(IPAddress(text) ?? .v4(0), 80)
            #expect(asker.ask(&world, .createPermission, [.xorPeerAddress(peer)])?.errorNumber == 403, "\(text)")
            let bind: [STUNAttribute] = [.channelNumber(0x4001), .xorPeerAddress(peer)]
            #expect(asker.ask(&world, .channelBind, bind)?.errorNumber == 403, "\(text)")
            world.ask(Self.send([1], to: peer), from: asker.tuple)
            world.ask([0x40, 1, 0, 1, 1], from: asker.tuple)
        }
        // One forbidden address among several refuses them all.
        let both: [STUNAttribute] = [.xorPeerAddress(Self.peer), .xorPeerAddress(IPEndpoint(.v4(0x7F00_0001), 80))]
        #expect(asker.ask(&world, .createPermission, both)?.errorNumber == 403)
        world.ask(Self.send([1], to: Self.peer), from: asker.tuple)
        // Without an allocation, or without a permission, nothing is sent either.
        world.ask(Self.send([1], to: Self.peer), from: TURNWorld.tuple(250))
        #expect(world.sent.isEmpty)
        #expect(world.relay.counters.forbidden == UInt64(2 * refused.count + 1))
        let policy = TURNPeerPolicy(allowsPrivate: true, allowed: [CIDR("127.0.0.1")].compactMap { $0 })
        for (text, isAllowed) in [
            ("10.0.0.1", true), ("192.168.0.1", true), ("100.64.0.1", true), ("fd00::1", true), ("127.0.0.1", true),
            ("127.0.0.2", false), ("169.254.1.1", false), ("224.0.0.1", false), ("fe80::1", false), ("::1", false),
            ("ff02::1", false), ("::", false), ("::ffff:127.0.0.2", false), ("64:ff9b::7f00:2", false),
            ("100.100.100.200", false), ("168.63.129.16", false), ("fd00:ec2::254", false), ("192.0.0.192", false),
            ("64:ff9b:1::808:808", false), ("fec0::1", false), ("2001:0:cb00:7101::80ff:fffd", false),
            ("2001:0:cb00:7101::3fff:fd9c", true), ("2400::5efe:7f00:2", false), ("2400::200:5efe:7f00:2", false),
            ("2400::5efe:c000:263", true), ("2002:7f00:2::", false), ("::7f00:2", false), ("64:ff9b::c000:263", true),
            ("2400::9", true),
        ] {
            #expect(IPAddress(text).map { policy.permits($0) } == isAllowed, "\(text)")
        }
    }

    @Test func loopbackIsNoPeerOfRelaysElsewhere() {
        let loopback = IPAddress.v4(0x7F00_0001)
        var world = world { $0.relayAddresses.append(loopback) }
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        let peer = IPEndpoint(loopback, 8080)
        #expect(asker.ask(&world, .createPermission, [.xorPeerAddress(peer)])?.errorNumber == 403)
        #expect(asker.ask(&world, .channelBind, [.channelNumber(0x4001), .xorPeerAddress(peer)])?.errorNumber == 403)
        world.ask(Self.send([1], to: peer), from: asker.tuple)
        #expect(world.sent.isEmpty)
    }

    @Test func relaysOnLoopbackReachEachOtherAndNoService() throws {
        let loopback = IPAddress.v4(0x7F00_0001)
        var world = world {
            $0.relayAddresses = [loopback]
            $0.peers.own = [loopback]
        }
        world.relayAddress = loopback
        let (one, other) = (world.allocated("desk"), world.allocated("phone"))
        let first = try #require(world.clients[one].machine.relayed)
        let second = try #require(world.clients[other].machine.relayed)
        #expect(first.address == loopback)
        world.tell(one, .permit(loopback))
        world.tell(other, .permit(loopback))
        world.run(for: .seconds(1))
        _ = world.takeEvents(other)
        world.tell(one, .send([1, 2], to: second))
        world.tell(one, .send([3], to: IPEndpoint(loopback, 8080)))
        world.run(for: .seconds(1))
        #expect(world.takeEvents(other) == [.data(PacketBatch([1, 2]), from: first)])
        #expect(world.sent.isEmpty)
    }

    @Test func nobodyElseUsesAnAllocation() {
        var world = world()
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        _ = asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])
        // Another device on the same 5-tuple, as behind a NAT that gave the port away: 441.
        var thief = TURNAsker(asker.tuple, TURNWorld.credentials("thief"))
        thief.nonce = asker.nonce
        #expect(thief.ask(&world, .refresh, [.lifetime(0)])?.errorNumber == 441)
        #expect(thief.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])?.errorNumber == 441)
        #expect(world.relay.allocationCount == 1)
        // The user's own credential remains good for it after its expiry, for a new allocation it does not.
        var brief = TURNAsker(TURNWorld.tuple(7), TURNWorld.credentials("brief", lasting: 300))
        _ = brief.allocate(&world)
        world.run(for: .seconds(400))
        #expect(brief.ask(&world, .refresh, [])?.kind == .success)
        var again = TURNAsker(TURNWorld.tuple(8), TURNWorld.credentials("brief", lasting: 300))
        #expect(again.allocate(&world)?.errorNumber == 401)
    }

    @Test func brokenMessagesDoNothing() {
        var world = world()
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        _ = asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])
        let good = Self.send([1, 2, 3, 4, 5], to: Self.peer)
        for count in 0..<good.count { world.ask(Array(good.prefix(count)), from: asker.tuple) }
        for bit in 0..<(good.count * 8) where bit / 8 < 20 {
            var bytes = good
            bytes[bit / 8] ^= 1 << (bit % 8)
            world.ask(bytes, from: asker.tuple)
        }
        // Only the transaction id, which masks no IPv4 address, may change without harm.
        #expect(world.sent.count == 96)
        #expect(world.sent.allSatisfy { $0.to == Self.peer })
        world.sent = []
        world.ask([0x40], from: asker.tuple)
        world.ask([0x40, 0, 0, 9, 1], from: asker.tuple)
        world.ask([0x50, 0, 0, 1, 1], from: asker.tuple)
        world.ask([0x80, 0, 0, 1, 1], from: asker.tuple)
        var lacks: [UInt8] = []
        STUNMessage(.indication, .send, transactionID: STUNTransactionID(high: 1, low: 1), attributes: [.data([1])])
            .encode(into: &lacks)
        world.ask(lacks, from: asker.tuple)
        var unknown: [UInt8] = []
        STUNMessage(
            .indication,
            .send,
            transactionID: STUNTransactionID(high: 1, low: 1),
            attributes: [.xorPeerAddress(Self.peer), .data([1]), .other(type: 0x1234, [])]
        ).encode(into: &unknown)
        world.ask(unknown, from: asker.tuple)
        #expect(world.sent.isEmpty)
    }

    @Test func aFloodGetsLittleBack() {
        var world = world { configuration in
            configuration.limits = STUNLimits(responsesPerSecond: 10, burst: 20, creditPerMinute: 1000)
        }
        var asker = TURNAsker()
        var sent = 0
        var returned = 0
        for _ in 0..<10_000 {
            let bytes = asker.request(.allocate, [.requestedTransport(17)], isProtected: false)
            sent += bytes.count
            world.answers = []
            world.ask(bytes, from: asker.tuple)
            returned += world.answers.reduce(0) { $0 + $1.bytes.count }
        }
        #expect(returned < sent / 100)
        #expect(world.relay.counters.limited > 9_900)
        #expect(world.relay.allocationCount == 0)
        // Who can be reached at the address he names is not stopped by it, over TCP for one.
        var other = TURNAsker(TURNWorld.tuple(9, .tcp))
        #expect(other.allocate(&world)?.kind == .success)
    }

    @Test func limitsHoldMemory() {
        var world = world { configuration in
            configuration.allocationLimit = 10
            configuration.deviceAllocationLimit = 4
            configuration.permissionLimit = 5
            configuration.channelLimit = 3
            configuration.limits = nil
        }
        var numbers: [Int: Int] = [:]
        for number in 0..<40 {
            var asker = TURNAsker(TURNWorld.tuple(number), TURNWorld.credentials("device \(number / 8)"))
            numbers[asker.allocate(&world)?.errorNumber ?? 0, default: 0] += 1
        }
        // Four each, then the third device finds the server full.
        #expect(numbers == [0: 10, 486: 8, 508: 22])
        var asker = TURNAsker(TURNWorld.tuple(0), TURNWorld.credentials("device 0"))
        _ = asker.ask(&world, .refresh, [], isProtected: false)
        for number in 0..<8 {
            let peer = IPEndpoint(.v4(0xC000_0200 + UInt32(number)), 9)
            let answer = asker.ask(&world, .createPermission, [.xorPeerAddress(peer)])
            #expect(answer?.errorNumber == (number < 5 ? nil : 508))
        }
        for number in 0..<5 {
            let peer = IPEndpoint(.v4(0xC000_0200), UInt16(number + 1))
            let bind: [STUNAttribute] = [.channelNumber(0x4000 + UInt16(number)), .xorPeerAddress(peer)]
            #expect(asker.ask(&world, .channelBind, bind)?.errorNumber == (number < 3 ? nil : 508))
        }
        world.run(for: .seconds(301))
        #expect(asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])?.kind == .success)
    }

    @Test func aDevicesRateHolds() {
        var world = world { $0.deviceBytesPerSecond = 10_000 }
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        _ = asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])
        for _ in 0..<100 {
            for _ in 0..<10 { world.ask(Self.send(Array(repeating: 1, count: 500), to: Self.peer), from: asker.tuple) }
            world.run(for: .milliseconds(100))
        }
        // Ten seconds and one in advance.
        let bytes = world.sent.reduce(0) { $0 + $1.bytes.count }
        #expect((100_000...111_000).contains(bytes))
        #expect(world.relay.devices.first?.bytes == UInt64(bytes))
    }

    @Test func aDevicesRateOfDatagramsHolds() throws {
        var world = world { $0.deviceDatagramsPerSecond = 100 }
        var asker = TURNAsker()
        _ = asker.allocate(&world)
        _ = asker.ask(&world, .createPermission, [.xorPeerAddress(Self.peer)])
        let relay = try #require(world.open.first).key
        // Strangers use nothing of it up.
        let stranger = IPEndpoint(.v4(0xC000_0264), 5000)
        for _ in 0..<10_000 { world.relay.received([1].span.bytes, from: stranger, on: relay, at: world.now) }
        for _ in 0..<100 {
            for _ in 0..<10 { world.ask(Self.send([1], to: Self.peer), from: asker.tuple) }
            world.run(for: .milliseconds(100))
        }
        #expect((1000...1030).contains(world.sent.count))
        // To a relay of the same server it holds as well.
        world.run(for: .seconds(1))
        let other = world.allocated("other")
        let place = try #require(world.clients[other].machine.relayed)
        let here = try #require(world.open[relay])
        world.tell(other, .permit(here.address))
        _ = asker.ask(&world, .createPermission, [.xorPeerAddress(place)])
        world.run(for: .seconds(1))
        _ = world.takeEvents(other)
        for _ in 0..<500 { world.ask(Self.send([1], to: place), from: asker.tuple) }
        world.run(for: .seconds(1))
        #expect((25...27).contains(world.takeEvents(other).count))
    }

    @Test func framesInPlaceAreThoseOfTheCodec() throws {
        var world = world { $0.families = [.v4, .v6] }
        for transport in [STUNTransport.udp, .tcp] {
            var asker = TURNAsker(TURNWorld.tuple(transport == .udp ? 20 : 21, transport))
            _ = asker.allocate(&world, [.additionalAddressFamily(.v6)])
            let peers: [STUNAttribute] = [.xorPeerAddress(Self.peer), .xorPeerAddress(Self.peerV6)]
            _ = asker.ask(&world, .createPermission, peers)
            for size in [0, 1, 2, 3, 4, 5, 1200, 65_000] {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                for peer in [Self.peer, Self.peerV6] {
                    let family = STUNAddressFamily(of: peer.address)
                    let relay = try #require(
                        world.open.filter { STUNAddressFamily(of: $0.value.address) == family }.keys
                            .max { $0.number & 0xFFFF_FFFF < $1.number & 0xFFFF_FFFF }
                    )
                    world.answers = []
                    world.relay.received(payload.span.bytes, from: peer, on: relay, at: world.now)
                    world.drainRelay()
                    let answer = try #require(world.answers.first)
                    #expect(answer.client == asker.tuple)
                    let message = try STUNMessage.decode(answer.bytes.span.bytes)
                    #expect(message.method == .data && message.kind == .indication)
                    #expect(message.attributes == [.xorPeerAddress(peer), .data(payload)])
                }
            }
            let bind: [STUNAttribute] = [.channelNumber(0x4001), .xorPeerAddress(Self.peer)]
            #expect(asker.ask(&world, .channelBind, bind)?.kind == .success)
            let relay = try #require(
                world.open.filter { STUNAddressFamily(of: $0.value.address) == .v4 }.keys
                    .max { $0.number & 0xFFFF_FFFF < $1.number & 0xFFFF_FFFF }
            )
            world.answers = []
            world.relay.received(([9, 8, 7] as [UInt8]).span.bytes, from: Self.peer, on: relay, at: world.now)
            world.drainRelay()
            var expected: [UInt8] = []
            ChannelData.encode(0x4001, [9, 8, 7], isPadded: transport == .tcp, into: &expected)
            #expect(world.answers.first?.bytes == expected)
        }
    }

    private static func send(_ bytes: [UInt8], to peer: IPEndpoint) -> [UInt8] {
        var encoded: [UInt8] = []
        STUNMessage(
            .indication,
            .send,
            transactionID: STUNTransactionID(high: 5, low: 6),
            attributes: [.xorPeerAddress(peer), .data(bytes)]
        ).encode(into: &encoded)
        return encoded
    }
}
