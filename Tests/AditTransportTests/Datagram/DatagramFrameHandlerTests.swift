// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite("Datagram frames on a stream")
struct DatagramFrameHandlerTests {
    private let visitor = IPEndpoint(.v4(0x0A00_0001), 5353)

    private func frames(of datagrams: [Datagram]) throws -> ByteBuffer {
        let channel = EmbeddedChannel(handler: DatagramFrameHandler())
        for datagram in datagrams { try channel.writeOutbound(datagram) }
        var all = ByteBuffer()
        while var frame = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&frame) }
        return all
    }

    @Test("Frames are read byte by byte as well as at once", arguments: [1, 7, 100_000])
    func dripFeed(_ step: Int) throws {
        let sent = [0, 1, 300, 2_000].map { size in
            Datagram(visitor: visitor, payload: ByteBuffer(repeating: 0x41, count: size))
        }
        var bytes = try frames(of: sent)
        let channel = EmbeddedChannel(handler: DatagramFrameHandler())
        while bytes.readableBytes > 0, let part = bytes.readSlice(length: min(step, bytes.readableBytes)) {
            try channel.writeInbound(part)
        }
        var received: [Datagram] = []
        while let datagram = try channel.readInbound(as: Datagram.self) { received.append(datagram) }
        #expect(received == sent)
    }

    @Test("A payload that is too long fails its write and nothing else")
    func tooLongToSend() throws {
        let channel = EmbeddedChannel(handler: DatagramFrameHandler())
        let long = Datagram(visitor: visitor, payload: ByteBuffer(repeating: 0, count: 65_508))
        #expect(throws: WireError.length(65_508, limit: 65_507)) { try channel.writeOutbound(long) }
        try channel.writeOutbound(Datagram(visitor: visitor, payload: ByteBuffer(string: "x")))
        #expect(try channel.readOutbound(as: ByteBuffer.self)?.readableBytes == 10)
    }

    @Test("A frame of another family or length ends the stream", arguments: [[0, 1, 5, 0], [0xFF, 0xFF, 4, 0]])
    func garbage(_ bytes: [UInt8]) throws {
        let channel = EmbeddedChannel(handler: DatagramFrameHandler())
        try channel.connect(to: .init(ipAddress: "127.0.0.1", port: 1)).wait()
        #expect(throws: WireError.self) { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
    }

    @Test("A stream that ends within a frame says so")
    func truncated() throws {
        let channel = EmbeddedChannel(handler: DatagramFrameHandler())
        var bytes = try frames(of: [Datagram(visitor: visitor, payload: ByteBuffer(string: "hello"))])
        try channel.writeInbound(bytes.readSlice(length: 12))
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(throws: WireError.truncated(expected: 13, found: 12)) { try channel.throwIfErrorCaught() }
    }
}
