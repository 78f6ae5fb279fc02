// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite struct SnappyHandlerTests {
    private static let identifier: [UInt8] = [0xFF, 6, 0, 0] + Array("sNaPpY".utf8)

    @Test func `gives each write out at once`() throws {
        let sender = try Pipeline(SnappyHandler())
        try sender.write(Array("one".utf8))
        try sender.write([])
        try sender.write(Array("two".utf8))
        #expect(sender.outbound.flushCount == 3)
        let receiver = try Pipeline(SnappyHandler())
        receiver.receive(sender.outbound.writes[0])
        #expect(receiver.inbound.items == [.bytes(Array("one".utf8))])
        receiver.receive(sender.outbound.writes[2])
        #expect(receiver.inbound.items == [.bytes(Array("one".utf8)), .bytes(Array("two".utf8))])
    }

    @Test func `carries any bytes, however they are cut`() throws {
        var generator = SeededGenerator(seed: 10)
        var text = [UInt8](repeating: 7, count: 100_000)
        text += (0..<80_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let sender = try Pipeline(SnappyHandler())
        try sender.write(text)
        let wire = sender.outbound.bytes
        for step in [1000, 4097, 65_536, wire.count] {
            let receiver = try Pipeline(SnappyHandler())
            for start in stride(from: 0, to: wire.count, by: step) {
                receiver.receive(Array(wire[start..<min(start + step, wire.count)]))
            }
            receiver.endInput()
            #expect(receiver.inbound.bytes == text)
            #expect(receiver.inbound.items.last == .inputClosed)
        }
        let slow = try Pipeline(SnappyHandler())
        let short = try Pipeline(SnappyHandler())
        try short.write(Array(text.prefix(500)))
        slow.drip(short.outbound.bytes)
        #expect(slow.inbound.bytes == Array(text.prefix(500)))
    }

    @Test func `works inside a cipher, as frp's proxies do`() throws {
        let key = FRPTokenKey(token: "t").cipherKey
        let sender = try Pipeline(CFBHandler(key: key, iv: Array(0..<16)), SnappyHandler())
        let receiver = try Pipeline(CFBHandler(key: key, iv: Array(16..<32)), SnappyHandler())
        try sender.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        receiver.drip(sender.outbound.bytes)
        #expect(receiver.inbound.bytes == Array("GET / HTTP/1.1\r\n\r\n".utf8))
    }

    @Test func `stops at garbage and says so once`() throws {
        let pipeline = try Pipeline(SnappyHandler())
        pipeline.receive(Array("GET / HTTP/1.1".utf8))
        pipeline.receive(Self.identifier)
        pipeline.endInput()
        #expect(pipeline.inbound.items == [.error("unexpected type 71"), .inputClosed])
    }

    @Test func `refuses a chunk over the limit at its header`() throws {
        let pipeline = try Pipeline(SnappyHandler())
        pipeline.receive(Self.identifier + [0, 0xFF, 0xFF, 0xFF])
        #expect(pipeline.inbound.items == [.error("length 16777215 is outside 0...76494")])
    }

    @Test func `says when a chunk broke off`() throws {
        let pipeline = try Pipeline(SnappyHandler())
        pipeline.receive(Self.identifier + [1, 5, 0])
        pipeline.endInput()
        #expect(pipeline.inbound.items == [.error("truncated: 4 bytes expected, 3 found"), .inputClosed])
    }

    @Test func `lets reads, half-closing and closing pass`() throws {
        let pipeline = try Pipeline(SnappyHandler())
        let reads = pipeline.outbound.readCount
        pipeline.channel.read()
        #expect(pipeline.outbound.readCount == reads + 1)
        pipeline.channel.close(mode: .output, promise: nil)
        #expect(pipeline.outbound.closedModes == ["output"])
        pipeline.channel.pipeline.fireChannelInactive()
        #expect(pipeline.inbound.items == [.inactive])
    }
}
