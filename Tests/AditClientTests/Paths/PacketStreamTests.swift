// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AditClient

/// Packets on a stream through the session.
@Suite("Packets on a stream")
struct PacketStreamTests {
    /// A stream on a channel of its own, and what it told.
    private final class Bench {
        let channel = EmbeddedChannel()
        var packets: [[UInt8]] = []
        var trips: [Duration] = []
        var heard = 0
        var ends = 0
        var stream: PacketStream?

        init() throws {
            let stream = PacketStream(
                PacketStream.Hearer(
                    packets: { [weak self] _, batch in self?.packets += batch.packets },
                    heard: { [weak self] _, trip in
                        self?.heard += 1
                        if let trip { self?.trips.append(trip) }
                    },
                    ended: { [weak self] _ in self?.ends += 1 }
                )
            )
            self.stream = stream
            try channel.pipeline.syncOperations.addHandler(stream)
            channel.pipeline.fireChannelActive()
        }

        func sent() throws -> [UInt8] {
            var bytes: [UInt8] = []
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer: buffer) }
            return bytes
        }
    }

    @Test("Packets come whole wherever the bytes are cut")
    func cuts() throws {
        let bytes: [UInt8] = [0, 2, 0xC0, 1, 0, 0, 0, 1, 0x41, 0, 3, 0xC1, 2, 3]
        for first in bytes.indices {
            for second in first..<bytes.count {
                let bench = try Bench()
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    try bench.channel.writeInbound(ByteBuffer(bytes: part))
                }
                #expect(bench.packets == [[0xC0, 1], [0x41], [0xC1, 2, 3]])
            }
        }
    }

    @Test("A round trip is measured by the two ends alone")
    func roundTrip() throws {
        let (one, other) = (try Bench(), try Bench())
        one.stream?.measure()
        one.channel.embeddedEventLoop.advanceTime(by: .milliseconds(40))
        try other.channel.writeInbound(ByteBuffer(bytes: try one.sent()))
        let answer = try other.sent()
        try one.channel.writeInbound(ByteBuffer(bytes: answer))
        #expect(one.trips == [.milliseconds(40)])
        #expect(other.heard == 1 && other.packets.isEmpty)
        // An answer that nobody asked for says nothing.
        try one.channel.writeInbound(ByteBuffer(bytes: answer))
        #expect(one.trips.count == 1 && one.packets.isEmpty)
    }

    @Test("What a peer makes up is dropped or handed on, whatever bits are flipped")
    func bits() throws {
        let asker = try Bench()
        asker.stream?.measure()
        let bytes = try asker.sent()
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let bench = try Bench()
            try bench.channel.writeInbound(ByteBuffer(bytes: flipped))
            #expect(bench.packets.allSatisfy { $0.count < bytes.count })
            #expect(try bench.sent().count <= bytes.count)
        }
    }

    @Test("The end of the stream is told once, and no packet after it is sent")
    func end() throws {
        let bench = try Bench()
        #expect(bench.stream?.send(PacketBatch(bytes: [1, 2, 3], segmentSize: 2)) == true)
        #expect(try bench.sent() == [0, 2, 1, 2, 0, 1, 3])
        bench.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        bench.channel.embeddedEventLoop.run()
        #expect(bench.ends == 1)
        #expect(bench.stream?.send(PacketBatch([1])) == false)
    }
}
