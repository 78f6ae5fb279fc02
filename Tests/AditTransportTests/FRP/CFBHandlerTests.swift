// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite struct CFBHandlerTests {
    private let key = FRPTokenKey(token: "secret token").cipherKey
    private let iv = [UInt8](0..<16)

    @Test func `sends the vector once, with the first bytes`() throws {
        let pipeline = try Pipeline(CFBHandler(key: key, iv: iv))
        try pipeline.write([])
        #expect(pipeline.outbound.bytes.isEmpty)
        try pipeline.write(Array("hello".utf8))
        try pipeline.write(Array(" world".utf8))
        var expected = Array("hello world".utf8)
        var stream = AES128CFBStream(key: key, iv: iv)
        stream.encrypt(&expected)
        #expect(pipeline.outbound.bytes == iv + expected)
        #expect(pipeline.outbound.flushCount == 3)
    }

    @Test func `reads what the other side wrote, at every cut`() throws {
        let text = Array("some text that is longer than one block".utf8)
        let sender = try Pipeline(CFBHandler(key: key, iv: iv))
        try sender.write(text)
        let wire = sender.outbound.bytes
        for cut in 0...wire.count {
            let receiver = try Pipeline(CFBHandler(key: key, iv: [UInt8](repeating: 9, count: 16)))
            receiver.receive(Array(wire[..<cut]))
            receiver.receive(Array(wire[cut...]))
            #expect(receiver.inbound.bytes == text)
        }
        let receiver = try Pipeline(CFBHandler(key: key, iv: iv))
        receiver.drip(wire)
        #expect(receiver.inbound.bytes == text)
    }

    @Test func `leaves a buffer alone that somebody else holds`() throws {
        let pipeline = try Pipeline(CFBHandler(key: key, iv: iv))
        let buffer = pipeline.channel.allocator.buffer(string: "shared")
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(buffer)).wait()
        #expect(String(buffer: buffer) == "shared")
    }

    @Test func `passes the end of input on, and says when the vector broke off`() throws {
        let silent = try Pipeline(CFBHandler(key: key, iv: iv))
        silent.endInput()
        #expect(silent.inbound.items == [.inputClosed])
        let broken = try Pipeline(CFBHandler(key: key, iv: iv))
        broken.receive([1, 2, 3])
        broken.endInput()
        #expect(broken.inbound.items == [.error("truncated: 16 bytes expected, 3 found"), .inputClosed])
    }

    @Test func `lets reads, half-closing and closing pass`() throws {
        let pipeline = try Pipeline(CFBHandler(key: key, iv: iv))
        let reads = pipeline.outbound.readCount
        pipeline.channel.read()
        #expect(pipeline.outbound.readCount == reads + 1)
        pipeline.channel.close(mode: .output, promise: nil)
        #expect(pipeline.outbound.closedModes == ["output"])
        pipeline.receive([])
        #expect(pipeline.inbound.readCompleteCount == 1)
    }
}
