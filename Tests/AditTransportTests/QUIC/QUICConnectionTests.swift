// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import NIOCore
import Testing

@Suite struct QUICConnectionTests {
    private static func established(_ pair: QUICPair = QUICPair()) throws -> QUICPair {
        try #require(pair.run(for: .seconds(10)) { $0.seen.client.isEstablished && $0.seen.server.isEstablished })
        return pair
    }

    private static func bytes(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count))
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    // MARK: Who is there

    @Test func bothEndsKnowEachOtherAfterOneRoundTrip() throws {
        let pair = QUICPair()
        let begin = pair.now
        #expect(pair.run(for: .seconds(1)) { $0.seen.client.isEstablished })
        #expect(pair.now - begin == .milliseconds(40))
        #expect(pair.run(for: .seconds(1)) { $0.seen.server.isEstablished })
        #expect(pair.now - begin == .milliseconds(60))
    }

    @Test func whoHoldsAnotherKeyIsNotLetIn() {
        let stranger = QUICPair.key(9).publicKey.keyFingerprint
        let asClient = QUICPair(clientExpects: stranger)
        asClient.run(for: .seconds(2))
        #expect(asClient.seen.client.end?.isWrongKey == true)
        #expect(asClient.seen.server.end?.isWrongKey == true)
        #expect(!asClient.seen.client.isEstablished)

        let asServer = QUICPair(serverExpects: stranger)
        asServer.run(for: .seconds(2))
        #expect(asServer.seen.server.end?.isWrongKey == true)
        #expect(!asServer.seen.server.isEstablished)
        #expect(asServer.seen.client.end?.isWrongKey == true)
    }

    @Test func aSecretIsTheSameAtBothEndsAndAnotherOnEachConnection() throws {
        let first = try Self.established()
        let second = try Self.established()
        let secret = try #require(first.client.exportKeyingMaterial(label: "adit test"))
        #expect(secret.count == 32)
        #expect(first.server?.exportKeyingMaterial(label: "adit test") == secret)
        #expect(first.client.exportKeyingMaterial(label: "adit best") != secret)
        #expect(second.client.exportKeyingMaterial(label: "adit test") != secret)
    }

    @Test func noEarlyDataIsOfferedNorTaken() throws {
        let pair = QUICPair()
        pair.records = true
        _ = try Self.established(pair)
        pair.run(for: .seconds(2))
        // A long header of type 0-RTT (RFC 9000 section 17.2.3); a ticket would let a later connection send it.
        func isEarly(_ packet: [UInt8]) -> Bool { packet[0] & 0xF0 == 0xD0 }
        #expect(!pair.sent.client.flatMap(\.packets).contains(where: isEarly))
        // The first packet, called early data and sent again, changes nothing.
        var early = try #require(pair.sent.client.first?[0])
        early[0] = 0xD0 | early[0] & 0x0F
        pair.arrive(PacketBatch(early), toServer: true)
        #expect(pair.seen.server.end == nil)
        #expect(pair.seen.server.opened.isEmpty)
    }

    @Test func packetsBeginAsNoSTUNMessageDoes() throws {
        // Whether they would is decided once for each connection, at random.
        for _ in 0..<8 {
            let pair = QUICPair()
            pair.records = true
            _ = try Self.established(pair)
            let id = try #require(pair.client.open())
            pair.client.send(ByteBuffer(bytes: [1]), on: id)
            pair.run(for: .seconds(2))
            #expect((pair.sent.client + pair.sent.server).flatMap(\.packets).allSatisfy { $0[0] & 0x40 != 0 })
        }
    }

    @Test func whatBeginsNoConnectionMakesNone() {
        let identity = QUICIdentity(QUICPair.key(2))
        let peer = QUICPair.key(1).publicKey.keyFingerprint
        for packet in [[], [0x40], [UInt8](repeating: 0, count: 1200), [UInt8](repeating: 0xFF, count: 1200)] {
            #expect(QUICConnection.server(identity, peer: peer, first: packet, at: .zero) == nil)
        }
    }

    // MARK: A way that breaks

    /// A pair with a stream whose way broke a minute ago, while the client went on sending.
    private static func broken() throws -> (QUICPair, Int64) {
        let pair = try established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: [0]), on: id)
        pair.run(for: .seconds(1))
        pair.way.isBroken = true
        for _ in 0..<60 {
            pair.client.send(ByteBuffer(bytes: bytes(1000)), on: id)
            pair.run(for: .seconds(1))
        }
        pair.way.isBroken = false
        return (pair, id)
    }

    @Test func afterAMinuteWithoutAWayBytesComeWithinTwoSeconds() throws {
        let (pair, id) = try Self.broken()
        #expect(pair.run(for: .milliseconds(2100)) { ($0.seen.server.bytes[id]?.count ?? 0) > 1 })
        #expect(pair.run(for: .seconds(1)) { $0.seen.server.bytes[id]?.count == 60_001 })
    }

    @Test func anotherWayIsUsedAtOnce() throws {
        let (pair, id) = try Self.broken()
        pair.client.hurry(at: pair.now)
        #expect(pair.run(for: .milliseconds(500)) { $0.seen.server.bytes[id]?.count == 60_001 })
    }

    @Test func aWayThatIsSilentForAnHourIsProbedEveryTwoSeconds() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: [0]), on: id)
        pair.run(for: .seconds(1))
        pair.way.isBroken = true
        pair.client.send(ByteBuffer(bytes: [1]), on: id)
        let count = pair.packetCount
        pair.run(for: .seconds(3600))
        #expect(pair.packetCount - count < 6000)
        pair.way.isBroken = false
        #expect(pair.run(for: .milliseconds(2100)) { $0.seen.server.bytes[id]?.count == 2 })
    }

    @Test func hurryingWhenNothingWaitsSendsNothing() throws {
        let pair = try Self.established()
        pair.run(for: .seconds(5))
        let count = pair.packetCount
        pair.client.hurry(at: pair.now)
        pair.run(for: .seconds(60))
        #expect(pair.packetCount == count)
    }

    // MARK: Streams

    @Test func muchLeavesInFullBatches() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(repeating: 7, count: 20_000_000), on: id)
        pair.records = true
        #expect(pair.run(for: .seconds(20)) { $0.seen.server.bytes[id]?.count == 20_000_000 })
        let full = pair.sent.client.count { $0.bytes.count > PacketBatch.byteLimit - 1200 }
        let single = pair.sent.client.count { $0.bytes.count == 1200 }
        #expect(full > 50)
        #expect(single < full / 4)
    }

    @Test(arguments: [0, 20] as [UInt64])
    func bytesPassWholeBothWays(lossOneOf: UInt64) throws {
        let pair = try Self.established()
        pair.way.lossOneOf = lossOneOf
        let there = Self.bytes(3_000_001)
        let back = Self.bytes(1_000_003)
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: there), on: id)
        pair.client.finish(id)
        #expect(pair.run(for: .seconds(60)) { $0.seen.server.ended.contains(id) })
        #expect(pair.seen.server.bytes[id] == there)
        pair.server?.send(ByteBuffer(bytes: back), on: id)
        pair.server?.finish(id)
        #expect(
            pair.run(for: .seconds(60)) { $0.seen.client.closed.contains(id) && $0.seen.server.closed.contains(id) }
        )
        #expect(pair.seen.client.bytes[id] == back)
        #expect(pair.client.heldBytes == 0)
        #expect(pair.server?.heldBytes == 0)
    }

    @Test func manyStreamsTakeTurns() throws {
        let pair = try Self.established()
        let long = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(2_000_000)), on: long)
        var short: [Int64] = []
        for number in 0..<500 {
            let id = try #require(pair.client.open())
            short.append(id)
            pair.client.send(ByteBuffer(bytes: [UInt8](repeating: UInt8(number % 256), count: 100)), on: id)
            pair.client.finish(id)
        }
        #expect(pair.run(for: .seconds(60)) { pair in short.allSatisfy { pair.seen.server.ended.contains($0) } })
        #expect(pair.seen.server.bytes[long]?.count ?? 0 < 2_000_000)
        for (number, id) in short.enumerated() {
            #expect(pair.seen.server.bytes[id] == [UInt8](repeating: UInt8(number % 256), count: 100))
        }
    }

    @Test func whatIsNotReadStopsTheSender() throws {
        let pair = try Self.established()
        pair.consumes = false
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(20_000_000)), on: id)
        pair.run(for: .seconds(30))
        let came = pair.seen.server.bytes[id]?.count ?? 0
        #expect(came == Int(QUICLimits().streamWindow.first))
        pair.consumes = true
        pair.server?.consumed(came, of: id)
        #expect(pair.run(for: .seconds(60)) { ($0.seen.server.bytes[id]?.count ?? 0) > 1_000_000 })
    }

    @Test func packetsAreAsLargeAsTheWayCarries() throws {
        let pair = try Self.established()
        pair.records = true
        // A way that carries no more than the smallest loses what was sent for a larger one.
        pair.way.change = { packet in if packet.count > 1200 { packet = [] } }
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(1_000_000)), on: id)
        pair.client.finish(id)
        pair.run(for: .milliseconds(100))
        #expect(pair.sent.client.map(\.segmentSize).max() == 1200)
        pair.client.packetSize = 4096
        pair.run(for: .milliseconds(100))
        #expect(pair.sent.client.map(\.segmentSize).max() == 4096)
        pair.client.packetSize = 1_000_000
        pair.run(for: .milliseconds(100))
        #expect(pair.sent.client.map(\.segmentSize).max() == QUICLimits().packetSize.most)
        pair.client.packetSize = 1200
        #expect(pair.run(for: .seconds(60)) { $0.seen.server.ended.contains(id) })
        #expect(pair.seen.server.bytes[id] == Self.bytes(1_000_000))
    }

    @Test func datagramsFitIntoTheSmallestPacketsWhateverTheWayCarries() throws {
        let pair = try Self.established()
        let limit = pair.client.datagramLimit
        pair.client.packetSize = 4096
        #expect(pair.client.datagramLimit == limit)
        #expect(limit > 1100 && limit < 1200)
    }

    @Test func streamsTakeTurnsOfSomePackets() throws {
        let pair = try Self.established()
        pair.records = true
        let ids = try (0..<4).map { _ in try #require(pair.client.open()) }
        for (number, id) in ids.enumerated() {
            pair.client.send(ByteBuffer(bytes: Self.bytes(300_000 + number)), on: id)
            pair.client.finish(id)
        }
        // None is served to its end before the next.
        #expect(pair.run(for: .seconds(60)) { pair in pair.seen.server.bytes.values.contains { $0.count > 200_000 } })
        #expect(pair.seen.server.bytes.count == 4)
        #expect(pair.seen.server.bytes.values.allSatisfy { $0.count > 100_000 })
        #expect(pair.run(for: .seconds(60)) { pair in ids.allSatisfy { pair.seen.server.ended.contains($0) } })
        for (number, id) in ids.enumerated() { #expect(pair.seen.server.bytes[id] == Self.bytes(300_000 + number)) }
    }

    @Test func allStreamsTogetherHaveALimitToo() throws {
        let pair = try Self.established()
        pair.consumes = false
        for _ in 0..<40 {
            let id = try #require(pair.client.open())
            pair.client.send(ByteBuffer(bytes: Self.bytes(200_000)), on: id)
        }
        pair.run(for: .seconds(30))
        let came = pair.seen.server.bytes.values.reduce(0) { $0 + $1.count }
        #expect(came == Int(QUICLimits().window.first))
        for (id, bytes) in pair.seen.server.bytes { pair.server?.consumed(bytes.count, of: id) }
        pair.consumes = true
        #expect(
            pair.run(for: .seconds(60)) { pair in pair.seen.server.bytes.values.allSatisfy { $0.count == 200_000 } }
        )
    }

    @Test func whoReadsNoMoreStopsASenderThatWaits() throws {
        let pair = try Self.established()
        pair.consumes = false
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(2_000_000)), on: id)
        pair.run(for: .seconds(5))
        pair.server?.stop(id, code: 1)
        pair.run(for: .seconds(1))
        #expect(pair.seen.client.stops == [id])
    }

    @Test func moreStreamsThanAllowedAreNotOpened() throws {
        var limits = QUICLimits()
        limits.streams = 4
        let pair = try Self.established(QUICPair(serverLimits: limits))
        var open: [Int64] = []
        while let id = pair.client.open() { open.append(id) }
        #expect(open.count == 4)
        for id in open {
            pair.client.send(ByteBuffer(bytes: [1]), on: id)
            pair.client.finish(id)
        }
        pair.run(for: .seconds(1))
        pair.server?.finish(open[0])
        pair.run(for: .seconds(1))
        // One is over at both ends, so there is room for one more.
        #expect(pair.client.open() != nil)
        #expect(pair.client.open() == nil)
    }

    @Test func aStreamIsBrokenOffFromEitherSide() throws {
        let pair = try Self.established()
        let first = try #require(pair.client.open())
        let second = try #require(pair.client.open())
        for id in [first, second] { pair.client.send(ByteBuffer(bytes: [1, 2, 3]), on: id) }
        pair.run(for: .seconds(1))
        pair.client.reset(first, code: 7)
        pair.server?.stop(second, code: 8)
        pair.run(for: .seconds(1))
        #expect(pair.seen.server.resets[first] == 7)
        // That shows when there is more to send.
        pair.client.send(ByteBuffer(bytes: [5]), on: second)
        pair.run(for: .seconds(1))
        #expect(pair.seen.client.stops == [second])
        // The connection goes on.
        let third = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: [4]), on: third)
        pair.run(for: .seconds(1))
        #expect(pair.seen.server.bytes[third] == [4])
    }

    @Test func closingTellsThePeer() throws {
        let pair = try Self.established()
        pair.client.close(code: 5, at: pair.now)
        pair.run(for: .seconds(1))
        #expect(pair.seen.client.end == .closedHere)
        #expect(pair.seen.server.end == .closedByPeer(code: 5, isApplication: true))
    }

    // MARK: Datagrams

    @Test func datagramsPassAndLargeOnesDoNot() throws {
        let pair = try Self.established()
        let limit = pair.client.datagramLimit
        #expect(limit >= 1150 && limit < 1200)
        #expect(pair.client.sendDatagram(ByteBuffer(bytes: Self.bytes(limit))))
        #expect(pair.client.sendDatagram(ByteBuffer(bytes: [])))
        #expect(!pair.client.sendDatagram(ByteBuffer(bytes: Self.bytes(limit + 1))))
        pair.run(for: .seconds(1))
        #expect(pair.seen.server.datagrams == [Self.bytes(limit), []])
    }

    @Test func packetsOfAllSizesLeaveAtOnceAndWhole() throws {
        let pair = try Self.established()
        pair.run(for: .seconds(1))
        pair.records = true
        let (first, second) = (try #require(pair.client.open()), try #require(pair.client.open()))
        // What is lost of datagrams is not sent again, and there is no time to do so for the streams.
        let datagrams = [10, 1000, 20, 1000, 1000, 30, 0, 1100].map(Self.bytes)
        for datagram in datagrams { #expect(pair.client.sendDatagram(ByteBuffer(bytes: datagram))) }
        // More pieces than are offered at once.
        for _ in 0..<40 { pair.client.send(ByteBuffer(bytes: Self.bytes(7)), on: first) }
        pair.client.finish(first)
        pair.client.send(ByteBuffer(bytes: Self.bytes(3000)), on: second)
        pair.client.send(ByteBuffer(bytes: Self.bytes(5)), on: second)
        pair.run(for: .milliseconds(25))
        #expect(pair.seen.server.datagrams == datagrams)
        #expect(pair.seen.server.bytes[first] == (0..<40).flatMap { _ in Self.bytes(7) })
        #expect(pair.seen.server.ended == [first])
        #expect(pair.seen.server.bytes[second] == Self.bytes(3000) + Self.bytes(5))
        for batch in pair.sent.client {
            #expect(batch.packets.dropLast().allSatisfy { $0.count == batch.segmentSize })
        }
    }

    @Test func packetsOfALongStreamLeaveTogether() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(8_000_000)), on: id)
        pair.records = true
        pair.run(for: .seconds(1))
        let batches = pair.sent.client
        #expect(pair.seen.server.bytes[id]?.count == 8_000_000)
        #expect(batches.count > 4)
        #expect(batches.map(\.count).max() ?? 0 >= 40)
        #expect(batches.map(\.bytes.count).reduce(0, +) / batches.count > 20_000)
    }

    @Test func datagramsPassBesideALongStream() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(4_000_000)), on: id)
        for number in 0..<50 as Range<UInt8> {
            #expect(pair.client.sendDatagram(ByteBuffer(bytes: [number])))
            pair.run(for: .milliseconds(20))
        }
        pair.run(for: .seconds(1))
        #expect(pair.seen.server.datagrams.count == 50)
    }

    // MARK: A way that fails

    @Test func anHourWithoutAWayLosesNothing() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: Self.bytes(2_000_000)), on: id)
        pair.client.finish(id)
        #expect(pair.run(for: .seconds(10)) { ($0.seen.server.bytes[id]?.count ?? 0) > 100_000 })
        pair.standStill(for: .seconds(3600))
        #expect(pair.run(for: .seconds(10)) { $0.seen.server.ended.contains(id) })
        #expect(pair.seen.server.bytes[id] == Self.bytes(2_000_000))
    }

    @Test func aSilentConnectionStaysForADay() throws {
        let pair = try Self.established()
        let id = try #require(pair.client.open())
        pair.client.send(ByteBuffer(bytes: [1]), on: id)
        pair.run(for: .seconds(5))
        let packets = pair.packetCount
        pair.run(for: .seconds(86_400))
        #expect(pair.packetCount == packets)
        pair.client.send(ByteBuffer(bytes: [2]), on: id)
        pair.run(for: .seconds(1))
        #expect(pair.seen.server.bytes[id] == [1, 2])
    }

    @Test func nobodyAnswers() {
        let pair = QUICPair()
        pair.way.isBroken = true
        pair.run(for: .seconds(60))
        #expect(pair.seen.client.end == .timedOut)
    }

    // MARK: Hostile packets

    @Test func packetsThatWereChangedOrComeTwiceDoNoHarm() throws {
        var generator = SeededGenerator(seed: 3)
        let pair = try Self.established()
        pair.records = true
        let id = try #require(pair.client.open())
        let bytes = Self.bytes(300_000)
        pair.client.send(ByteBuffer(bytes: bytes), on: id)
        pair.client.finish(id)
        while pair.step(until: pair.now + .seconds(2)), !pair.seen.server.ended.contains(id) {
            guard let last = pair.sent.client.last?.packets.last else { continue }
            var flipped = last
            flipped[Int(generator.next() % UInt64(flipped.count))] ^= UInt8(1 << (generator.next() % 8))
            pair.arrive(PacketBatch(flipped), toServer: true)
            pair.arrive(PacketBatch(Array(last.prefix(Int(generator.next() % UInt64(last.count)) + 1))), toServer: true)
            pair.arrive(PacketBatch(last), toServer: true)
            pair.arrive(PacketBatch(last), toServer: true)
        }
        #expect(pair.seen.server.bytes[id] == bytes)
        #expect(pair.seen.server.end == nil)
    }

    @Test func aFirstPacketCutAnywhereMakesNothingOrAConnection() {
        let pair = QUICPair()
        pair.records = true
        pair.flush()
        let identity = QUICIdentity(QUICPair.key(2))
        let first = QUICConnection.client(identity, peer: QUICPair.key(1).publicKey.keyFingerprint, at: .zero)
        var packets: [[UInt8]] = []
        first.write(at: .zero) { packets += $0.packets }
        for packet in packets {
            for length in 0..<packet.count {
                let cut = Array(packet.prefix(length))
                let server = QUICConnection.server(
                    identity,
                    peer: QUICPair.key(1).publicKey.keyFingerprint,
                    first: cut,
                    at: .zero
                )
                // A client's first datagram has 1200 bytes (RFC 9000 section 14.1).
                #expect(server == nil)
            }
        }
    }
}
