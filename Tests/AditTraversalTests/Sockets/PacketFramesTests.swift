// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal
import Testing

@Suite struct PacketFramesTests {
    /// A STUN message's first byte is below 0x40.
    private static let message: [UInt8] = [0, 1, 0, 0]
    private static let packets: [[UInt8]] = [
        [0x41], payload(300, 1), payload(300, 2), payload(300, 3), payload(20, 4), message, payload(300, 5),
        payload(300, 6),
        message, message, payload(40, 7), payload(500, 8),
    ]
    private static let batches = [
        PacketBatch([0x41]),
        PacketBatch(bytes: [1, 2, 3].flatMap { payload(300, $0) } + payload(20, 4), segmentSize: 300),
        PacketBatch(message), PacketBatch(bytes: payload(300, 5) + payload(300, 6), segmentSize: 300),
        PacketBatch(message),
        PacketBatch(message), PacketBatch(payload(40, 7)), PacketBatch(payload(500, 8)),
    ]

    private static func payload(_ count: Int, _ number: UInt8) -> [UInt8] {
        Array(repeating: 0x40 + number, count: count)
    }

    /// Packets of no length stand between the others.
    private static let stream: [UInt8] = packets.flatMap { packet -> [UInt8] in
        (PacketFrames.frame(packet) ?? []) + [0, 0]
    }

    @Test func packetsAreBatchesAndMessagesStandAlone() {
        var frames = PacketFrames()
        #expect(frames.take(Self.stream.span.bytes) == Self.batches)
    }

    @Test func packetsComeHoweverTheStreamIsCut() {
        for size in 1...Self.stream.count {
            var frames = PacketFrames()
            var found: [[UInt8]] = []
            for start in stride(from: 0, to: Self.stream.count, by: size) {
                let piece = Array(Self.stream[start..<min(start + size, Self.stream.count)])
                found += frames.take(piece.span.bytes).flatMap(\.packets)
            }
            #expect(found == Self.packets)
        }
    }

    @Test func whatHadBegunIsInABatchWithWhatFollows() {
        let batch = PacketBatch(bytes: [1, 2, 3].flatMap { Self.payload(300, $0) }, segmentSize: 300)
        let stream = PacketFrames.frames(batch)
        for cut in 1..<302 {
            var frames = PacketFrames()
            #expect(frames.take(Array(stream[..<cut]).span.bytes) == [])
            #expect(frames.take(Array(stream[cut...]).span.bytes) == [batch])
        }
    }

    @Test func aBatchGoesAsFramesAndComesBack() {
        for batch in Self.batches {
            let bytes = PacketFrames.frames(batch)
            #expect(bytes == batch.packets.flatMap { packet -> [UInt8] in PacketFrames.frame(packet) ?? [] })
            #expect(bytes.count == PacketFrames.byteCount(batch))
            var frames = PacketFrames()
            #expect(frames.take(bytes.span.bytes) == [batch])
        }
    }

    @Test func whatNoBatchHoldsIsLeftOut() {
        let long = PacketBatch.byteLimit + 1
        #expect(PacketFrames.frame(Array(repeating: 0x40, count: long)) == nil)
        let stream = [UInt8(long >> 8), UInt8(long & 0xFF)] + Self.payload(long, 0) + [0, 1, 0x41]
        for cut in [1, 2, 3, 1000, long + 1, long + 2, long + 3] {
            var frames = PacketFrames()
            var found = frames.take(Array(stream[..<cut]).span.bytes)
            found += frames.take(Array(stream[cut...]).span.bytes)
            #expect(found == [PacketBatch([0x41])])
        }
    }

    @Test func manyPacketsAreAsFewBatchesAsHoldThem() {
        let packet = Self.payload(3, 1)
        var frames = PacketFrames()
        let stream: [UInt8] = (0..<200).flatMap { _ -> [UInt8] in PacketFrames.frame(packet) ?? [] }
        #expect(frames.take(stream.span.bytes).map(\.count) == [64, 64, 64, 8])
    }
}
