// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import Testing

@Suite("QUIC on narrow ways")
struct QUICCongestionTests {
    /// The narrowest place of a way: bytes in a second, the delay one way in milliseconds, and how many bytes may wait.
    private struct Line: Sendable {
        var rate: Int
        var delay: Int
        var queue: Int

        var way: QUICPair.Way {
            var way = QUICPair.Way()
            (way.rate, way.delay, way.queue) = (rate, .milliseconds(delay), queue)
            return way
        }
    }

    /// A connection with one stream on which there is always something to send.
    private final class Load {
        let pair = QUICPair()
        private let stream: Int64

        init(_ line: Line) throws {
            pair.way = line.way
            _ = pair.run(for: .seconds(5)) { $0.seen.client.isEstablished && $0.server?.isEstablished == true }
            stream = try #require(pair.client.open())
        }

        /// Lets so many tenths of a second pass; how many bytes came whole, and how many packets there was no room for of how many.
        func run(tenths: Int) -> (bytes: Int, lost: Int, packets: Int) {
            let before = (pair.seen.server.bytes[stream]?.count ?? 0, pair.lostInQueue, pair.packetCount)
            for _ in 0..<tenths {
                while pair.client.unsentBytes(of: stream) < 4_000_000 {
                    pair.client.send(ByteBuffer(repeating: 7, count: 500_000), on: stream)
                }
                pair.run(for: .milliseconds(100))
            }
            let bytes = (pair.seen.server.bytes[stream]?.count ?? 0) - before.0
            return (bytes, pair.lostInQueue - before.1, pair.packetCount - before.2)
        }
    }

    /// From 8 to 50 Mbit/s, with queues from a tenth of what is on the way to as much again and more.
    private static let lines = [
        Line(rate: 1_000_000, delay: 20, queue: 8_000), Line(rate: 1_000_000, delay: 20, queue: 100_000),
        Line(rate: 1_000_000, delay: 80, queue: 160_000), Line(rate: 6_250_000, delay: 2, queue: 16_000),
        Line(rate: 6_250_000, delay: 20, queue: 60_000), Line(rate: 3_750_000, delay: 10, queue: 75_000),
    ]

    @Test("A line is used well, and few packets find its queue full", arguments: lines)
    private func use(line: Line) throws {
        let load = try Load(line)
        _ = load.run(tenths: 30)
        let (bytes, lost, packets) = load.run(tenths: 20)
        #expect(bytes > line.rate * 3 / 2, "\(bytes)")
        #expect(lost * 50 < packets, "\(lost) of \(packets)")
    }

    @Test("The rate of another path is found within seconds, be it higher or lower")
    func change() throws {
        let (slow, fast) = (Self.lines[2], Line(rate: 6_250_000, delay: 40, queue: 250_000))
        let load = try Load(slow)
        _ = load.run(tenths: 30)
        load.pair.way = fast.way
        _ = load.run(tenths: 40)
        #expect(load.run(tenths: 10).bytes > fast.rate * 3 / 4)
        load.pair.way = slow.way
        _ = load.run(tenths: 40)
        let (bytes, lost, packets) = load.run(tenths: 30)
        #expect(bytes > slow.rate * 9 / 4, "\(bytes)")
        #expect(lost * 20 < packets, "\(lost) of \(packets)")
    }
}
