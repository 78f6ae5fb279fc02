// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire
import Testing

@Suite struct ICEHostileTests {
    private func world(own: String = "198.51.100.1") -> ICEWorld {
        var world = ICEWorld()
        world.socket(0, own, isTold: false)
        world.socket(1, "203.0.113.1", isTold: false)
        world.exchange()
        return world
    }

    @Test(arguments: [
        "127.0.0.1", "::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
        "169.254.169.254", "169.254.1.1", "fe80::1", "ff02::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1",
        "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    ])
    func addressesOfNobodyAreNotAimedAt(address: String) {
        let filter = ICEAddressFilter(own: [ICEWorld.address("198.51.100.1"), ICEWorld.address("2001:db8::1")])
        #expect(filter.refusal(of: ICEWorld.endpoint(address, 4000)) != nil)
        var world = world()
        for port in [4000, 80, 0] as [UInt16] {
            world.hand(0, .remote(ICEWorld.candidate(ICEWorld.endpoint(address, port))))
            world.hand(0, .probe(on: world.spots[0].base, to: ICEWorld.endpoint(address, port), timeToLive: nil))
        }
        world.run(.seconds(10))
        #expect(world.agents[0].counters.checks == 0)
    }

    @Test func connectionsWithNobodyAreNotUsed() {
        for address in ["224.0.0.1", "127.0.0.1", "169.254.169.254", "10.0.0.1"] {
            for port in [22, 4000] as [UInt16] {
                var world = world()
                let base = ICEBaseID(77)
                let local = ICEWorld.endpoint("198.51.100.1", 4000)
                world.hand(0, .streamOpened(base: base, local: local, remote: ICEWorld.endpoint(address, port)))
                #expect(world.agents[0].counters.checks == 0 && world.agents[0].pairCount == 0)
            }
        }
    }

    @Test func privateAddressesAreForThoseInPrivateNetworks() {
        let filter = ICEAddressFilter(own: [ICEWorld.address("192.168.1.2")])
        #expect(filter.refusal(of: ICEWorld.endpoint("10.0.0.1", 4000)) == nil)
        #expect(filter.refusal(of: ICEWorld.endpoint("fd00::1", 4000)) == .notOurNetwork)
        let link = ICEAddressFilter(own: [ICEWorld.address("169.254.7.7")])
        #expect(link.refusal(of: ICEWorld.endpoint("169.254.8.8", 4000)) == nil)
        #expect(link.refusal(of: ICEWorld.endpoint("169.254.169.254", 4000)) == .linkLocal)
        // Nor on a network whose addresses they have.
        let cloud = ICEAddressFilter(own: [.v4(0x6440_0002), .v4(0x0A00_0002), .v6(high: 0xFD00_0001 << 32, low: 2)])
        for text in ["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"] {
            #expect(cloud.refusal(of: ICEWorld.endpoint(text, 4000)) == .linkLocal, "\(text)")
        }
    }

    @Test(arguments: [0, 53, 123, 389, 1900, 5353, 11211] as [UInt16])
    func portsOfOtherServicesAreNotAimedAt(port: UInt16) {
        #expect(ICEAddressFilter().refusal(of: ICEWorld.endpoint("203.0.113.1", port)) == .port)
    }

    @Test func aCandidateInANetworkThatIsFoundLaterIsUsed() throws {
        var world = ICEWorld()
        let box = ICEWorld.Box(.restricted, "198.51.100.1")
        world.socket(1, "192.168.1.3", site: 1, box: box)
        world.exchange()
        world.run(.seconds(1))
        world.socket(0, "192.168.1.2", site: 1, box: box)
        world.run(.seconds(1))
        #expect(try #require(world.selected(0)).remote.type == .host)
    }

    @Test func aStrangerGetsFewPackets() throws {
        var world = world()
        let strangers = (0..<200).map { ICEWorld.endpoint("192.0.2.\(1 + $0 % 8)", UInt16(2000 + $0)) }
        for stranger in strangers { world.hand(0, .remote(ICEWorld.candidate(stranger))) }
        #expect(world.agents[0].remoteCandidates.count <= 8)
        world.run(.seconds(60))
        var packets: [IPAddress: Int] = [:]
        for (endpoint, count) in world.stray { packets[endpoint.address, default: 0] += count }
        #expect(!packets.isEmpty && packets.values.allSatisfy { $0 <= 25 })
        // Neither do more candidates, nor restarts one after the other, give more.
        var generator = SeededGenerator(seed: 3)
        for round in 0..<10 {
            world.hand(0, .restart(ICECredentials(using: &generator)))
            world.hand(0, .remoteCredentials(ICECredentials(using: &generator)))
            for stranger in strangers { world.hand(0, .remote(ICEWorld.candidate(stranger))) }
            world.run(.seconds(round == 0 ? 10 : 1))
        }
        packets = [:]
        for (endpoint, count) in world.stray { packets[endpoint.address, default: 0] += count }
        #expect(packets.values.allSatisfy { $0 <= 50 })
    }

    @Test func candidatesAreCounted() {
        var world = world()
        for index in 0..<2000 {
            let address = "\(11 + index / 250).\(index % 250).7.1"
            world.hand(0, .remote(ICEWorld.candidate(ICEWorld.endpoint(address, 4000))))
        }
        #expect(world.agents[0].remoteCandidates.count == 20)
        #expect(world.agents[0].counters.refused == 1980)
        var generator = SeededGenerator(seed: 1)
        let before = world.sent
        world.run(.seconds(1))
        // A hundred checks in a second, and those that may go out at once.
        #expect(world.sent - before <= 121)
        _ = generator.next()
    }

    @Test func forgedChecksAreNotAnswered() throws {
        var world = world()
        let key = STUNIntegrityKey(password: "notthepassword")
        let username = "\(world.agents[0].localCredentials.ufrag):\(world.agents[1].localCredentials.ufrag)"
        for (username, hasFingerprint) in [(username, true), ("nobody:either", true), (username, false)] {
            let message = STUNMessage(
                .request,
                transactionID: STUNTransactionID(high: 1, low: 2),
                attributes: [.username(username), .priority(1), .iceControlled(1), .useCandidate]
            )
            var bytes: [UInt8] = []
            message.encode(into: &bytes, fingerprint: hasFingerprint, integrity: .sha1) { key.sha1Code(of: $0) }
            world.hand(0, .received(bytes, on: world.spots[0].base, from: world.spots[1].endpoint))
        }
        #expect(world.sent == 0 && world.agents[0].counters.forged == 3)
        #expect(world.agents[0].pairCount == 0)
    }

    @Test func aReplayedCheckLeadsNowhere() throws {
        var world = world()
        world.hand(1, .remote(ICEWorld.candidate(world.spots[0].endpoint)))
        world.run(.seconds(2))
        #expect(world.selected(0) != nil)
        let check = try #require(world.taped.first { $0.spot == 0 && $0.bytes.first == 0 })
        let answers = world.agents[0].counters.answers
        for port in 3000..<3100 as Range<UInt16> {
            world.hand(0, .received(check.bytes, on: world.spots[0].base, from: ICEWorld.endpoint("192.0.2.77", port)))
        }
        world.run(.milliseconds(500))
        #expect(world.agents[0].counters.answers == answers && world.agents[0].counters.replayed == 100)
        #expect(world.stray.isEmpty)
    }

    @Test func answersThatNobodyAskedForChangeNothing() throws {
        var world = world()
        world.hand(1, .remote(ICEWorld.candidate(world.spots[0].endpoint)))
        world.run(.seconds(2))
        let before = world.agents[0].validPairs.count
        let answer = try #require(world.taped.last { $0.spot == 0 && $0.bytes.first == 1 })
        for from in [answer.from, ICEWorld.endpoint("192.0.2.77", 9999)] {
            world.hand(0, .received(answer.bytes, on: world.spots[0].base, from: from))
        }
        #expect(world.agents[0].validPairs.count == before)
        #expect(world.agents[0].counters.forged == 2)
    }

    /// A peer that writes a victim's address into the packets it sends: the victim gets at most an answer and a check for
    /// each, and the checks end.
    @Test func aPeerThatForgesItsAddressGainsNothing() throws {
        var world = world()
        let key = STUNIntegrityKey(password: world.agents[0].localCredentials.password)
        let username = "\(world.agents[0].localCredentials.ufrag):\(world.agents[1].localCredentials.ufrag)"
        var spent = 0
        for number in 0..<1000 {
            let message = STUNMessage(
                .request,
                transactionID: STUNTransactionID(high: 9, low: UInt64(number)),
                attributes: [.username(username), .priority(1), .iceControlled(1)]
            )
            var bytes: [UInt8] = []
            message.encode(into: &bytes, fingerprint: true, integrity: .sha1) { key.sha1Code(of: $0) }
            spent += bytes.count
            let from = ICEWorld.endpoint("192.0.2.77", UInt16(2000 + number % 500))
            world.hand(0, .received(bytes, on: world.spots[0].base, from: from))
            world.run(.milliseconds(10))
        }
        world.run(.seconds(60))
        #expect(world.agents[0].counters.checks <= 50)
        #expect(world.agents[0].counters.bytes < spent)
        #expect(world.agents[0].pairCount <= 32)
    }

    @Test func truncatedAndFlippedMessagesAreLeftOut() throws {
        var world = world()
        world.hand(1, .remote(ICEWorld.candidate(world.spots[0].endpoint)))
        world.run(.milliseconds(50))
        let check = try #require(world.taped.first { $0.spot == 0 && $0.bytes.first == 0 }).bytes
        let answers = world.agents[0].counters.answers
        for count in 0..<check.count {
            world.hand(0, .received(Array(check.prefix(count)), on: world.spots[0].base, from: world.spots[1].endpoint))
        }
        for bit in 0..<(check.count * 8) {
            var bytes = check
            bytes[bit / 8] ^= 1 << (bit % 8)
            world.hand(0, .received(bytes, on: world.spots[0].base, from: world.spots[1].endpoint))
        }
        #expect(world.agents[0].counters.answers == answers)
    }

    /// What the fuzzer does, with the bytes of a seed.
    @Test(arguments: 0..<150)
    func whateverHappensNothingTrapsOrGrows(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        ICEDecoders.agent((0..<600).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
    }
}
