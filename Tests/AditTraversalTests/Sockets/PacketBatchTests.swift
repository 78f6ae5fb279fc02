// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct PacketBatchTests {
    @Test(arguments: [(0, 0, 1), (1, 1, 1), (10, 10, 1), (10, 3, 4), (9, 3, 3), (64, 1, 64)])
    func aBatchKnowsItsPackets(byteCount: Int, segmentSize: Int, count: Int) {
        let bytes = (0..<byteCount).map { UInt8($0) }
        let batch = segmentSize == byteCount ? PacketBatch(bytes) : PacketBatch(bytes: bytes, segmentSize: segmentSize)
        #expect(batch.count == count)
        #expect(batch.packets.flatMap { $0 } == bytes)
        #expect(batch.packets.dropLast().allSatisfy { $0.count == segmentSize })
    }

    /// A finder whose peer's payload comes from `source`, made so by a play of its own: what comes goes through it.
    private static let peer = IPEndpoint(.v4(0xC000_0263), 5000)

    private func allocated(_ transport: STUNTransport) -> (TURNWorld, Int) {
        var world = TURNWorld()
        let client = world.add("desk", transport)
        world.tell(client, .start)
        world.run(for: .milliseconds(100))
        world.tell(client, .bind(Self.peer))
        world.run(for: .milliseconds(100))
        _ = world.takeEvents(client)
        return (world, client)
    }

    @Test(arguments: [STUNTransport.udp, .tcp, .tls])
    func packetsThroughARelayStayTogether(transport: STUNTransport) {
        var (world, client) = allocated(transport)
        let batch = PacketBatch(bytes: (0..<23).map { UInt8($0 + 64) }, segmentSize: 5)
        let before = world.clients[client].transmitted
        world.tell(client, .sendBatch(batch, to: Self.peer))
        world.run(for: .milliseconds(50))
        #expect(world.sent.map(\.bytes) == batch.packets)
        // One write for a connection, a datagram for each packet.
        #expect(world.clients[client].transmitted - before == (transport == .udp ? 5 : 1))
    }

    @Test func packetsWithoutAChannelAreIndications() {
        var world = TURNWorld()
        let client = world.add("desk", .udp)
        world.tell(client, .start)
        world.run(for: .milliseconds(100))
        let batch = PacketBatch(bytes: (0..<23).map { UInt8($0 + 64) }, segmentSize: 5)
        world.tell(client, .sendBatch(batch, to: Self.peer))
        world.run(for: .milliseconds(50))
        #expect(world.sent.map(\.bytes) == batch.packets)
    }

    @Test func whatIsTooMuchForOneBatchBecomesTwo() {
        var (world, client) = allocated(.udp)
        // With its headers it is longer than a batch may be.
        let batch = PacketBatch(bytes: [UInt8](repeating: 0x41, count: PacketBatch.byteLimit), segmentSize: 1500)
        world.tell(client, .sendBatch(batch, to: Self.peer))
        world.run(for: .milliseconds(50))
        #expect(world.sent.map(\.bytes) == batch.packets)
    }

    @Test func messagesThatCameTogetherAreOneBatchUnlessSomethingStandsBetween() {
        var (world, client) = allocated(.udp)
        let channel: [UInt8] = [0x40, 0, 0, 4]
        let other: [UInt8] = [0x40, 1, 0, 4]
        let one = channel + [1, 2, 3, 4]
        let two = channel + [5, 6, 7, 8]
        world.tell(client, .receivedBatch(PacketBatch(bytes: one + two, segmentSize: 8)))
        #expect(
            world.takeEvents(client)
                == [.data(PacketBatch(bytes: [1, 2, 3, 4, 5, 6, 7, 8], segmentSize: 4), from: Self.peer)]
        )
        let unknown = other + [9, 9, 9, 9]
        world.tell(client, .receivedBatch(PacketBatch(bytes: one + unknown + two, segmentSize: 8)))
        #expect(
            world.takeEvents(client)
                == [
                    .data(PacketBatch([1, 2, 3, 4]), from: Self.peer),
                    .data(PacketBatch([5, 6, 7, 8]), from: Self.peer),
                ]
        )
        // A message that says it is longer than it is is none.
        let long: [UInt8] = [0x40, 0, 0, 5, 1, 2, 3, 4]
        world.tell(client, .receivedBatch(PacketBatch(bytes: long + one, segmentSize: 8)))
        #expect(world.takeEvents(client) == [.data(PacketBatch([1, 2, 3, 4]), from: Self.peer)])
    }

    @Test(arguments: [1, 7, 1000])
    func framesOfAStreamComeAsBatchesHoweverTheyAreCut(piece: Int) {
        var (world, client) = allocated(.tcp)
        var stream: [UInt8] = []
        var packets: [[UInt8]] = []
        for index in 0..<100 {
            let packet = [UInt8](repeating: UInt8(index), count: index % 10 == 9 ? 3 : 8)
            packets.append(packet)
            ChannelData.encode(0x4000, packet, isPadded: true, into: &stream)
        }
        for start in stride(from: 0, to: stream.count, by: piece) {
            world.tell(client, .received(Array(stream[start..<min(start + piece, stream.count)])))
        }
        var batches: [PacketBatch] = []
        for case .data(let batch, Self.peer) in world.takeEvents(client) { batches.append(batch) }
        #expect(batches.flatMap(\.packets) == packets)
        if piece == 1000 { #expect(batches.count <= 12) }
    }
}
