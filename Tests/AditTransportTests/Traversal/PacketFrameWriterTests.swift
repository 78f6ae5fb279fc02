// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTraversal
import NIOCore
import Testing

@Suite struct PacketFrameWriterTests {
    /// Packets of 1200 bytes and a shorter one, each byte of them the same.
    private static func batch(_ byte: UInt8, _ byteCount: Int) -> PacketBatch {
        PacketBatch(bytes: Array(repeating: byte, count: byteCount), segmentSize: 1200)
    }

    @Test func `what waits to be sent stays as it is while more is written`() {
        var writer = PacketFrameWriter()
        var waiting: [(PacketBatch, ByteBuffer)] = []
        for (byte, count) in [(1, 60_000), (2, 60_500), (3, 100), (4, 50_001), (5, 1), (6, 65_507)] as [(UInt8, Int)] {
            let batch = Self.batch(byte, count)
            waiting.append((batch, writer.frames(of: batch)))
        }
        for (batch, frames) in waiting {
            #expect(Array(frames.readableBytesView) == PacketFrames.frames(batch))
        }
    }

    @Test func `memory that nobody has any more is written again`() {
        var writer = PacketFrameWriter()
        let places = (0..<3).map { byte in
            writer.frames(of: Self.batch(byte, 60_000)).withUnsafeReadableBytes { $0.baseAddress }
        }
        #expect(places[1] != nil && places[1] == places[2])
    }
}
