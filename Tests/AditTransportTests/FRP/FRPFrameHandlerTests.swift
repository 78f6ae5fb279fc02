// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite struct FRPFrameHandlerTests {
    private static let ping = FRPFrame.message(.ping(FRPPing(privilegeKey: "k", timestamp: 1)))
    private static let start = FRPFrame.message(.startWorkConnection(FRPStartWorkConnection(proxyName: "web")))

    private static func encoded(_ frames: FRPFrame..., version: FRPWireVersion = .v2) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames { try frame.encode(version: version, into: &bytes) }
        return bytes
    }

    @Test(arguments: [FRPWireVersion.v1, .v2]) func `reads frames however they are cut`(version: FRPWireVersion) throws
    {
        let bytes = try Self.encoded(Self.ping, Self.start, Self.ping, version: version)
        let expected = [Self.ping, Self.start, Self.ping].map { InboundRecorder.Item.frame($0) }
        for cut in 0...bytes.count {
            let pipeline = try Pipeline(FRPFrameHandler(version: version))
            pipeline.receive(Array(bytes[..<cut]))
            pipeline.receive(Array(bytes[cut...]))
            #expect(pipeline.inbound.items == expected)
        }
        let pipeline = try Pipeline(FRPFrameHandler(version: version))
        pipeline.drip(bytes)
        #expect(pipeline.inbound.items == expected)
    }

    @Test func `writes frames, each as one buffer`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v2, emitsMagic: true))
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(Self.ping)).wait()
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(Self.start)).wait()
        #expect(
            pipeline.outbound.writes == [
                FRPWireMagic.bytes + (try Self.encoded(Self.ping)), try Self.encoded(Self.start),
            ]
        )
    }

    @Test func `fails the write of a frame that cannot be sent and goes on`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v1))
        let draining = FRPFrame.message(.draining(AditDraining(reconnectAfterMs: 1)))
        #expect(throws: WireError.notEncodable) {
            try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(draining)).wait()
        }
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(Self.ping)).wait()
        #expect(pipeline.outbound.bytes == (try Self.encoded(Self.ping, version: .v1)))
    }

    @Test func `wants the magic first when told so`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v2, expectsMagic: true))
        pipeline.drip(FRPWireMagic.bytes + (try Self.encoded(Self.ping)))
        #expect(pipeline.inbound.items == [.frame(Self.ping)])
        for position in FRPWireMagic.bytes.indices {
            let wrong = try Pipeline(FRPFrameHandler(version: .v2, expectsMagic: true))
            wrong.receive(Array(FRPWireMagic.bytes[..<position]) + [FRPWireMagic.bytes[position] ^ 1])
            #expect(wrong.inbound.items == [.error("the wire v2 magic is missing")])
        }
    }

    @Test func `stops at garbage and says so once`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v2))
        pipeline.receive(try Self.encoded(Self.ping) + [0xFF, 0xFF] + (try Self.encoded(Self.start)))
        pipeline.receive([0xFF, 0xFF])
        pipeline.receive(try Self.encoded(Self.start))
        pipeline.endInput()
        #expect(pipeline.inbound.items == [.frame(Self.ping), .error("unknown type 65535"), .inputClosed])
    }

    @Test func `refuses a frame over the limit at its header`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v1))
        pipeline.receive([UInt8(ascii: "o"), 0, 0, 0, 0, 0, 1, 0, 0])
        #expect(pipeline.inbound.items == [.error("length 65536 is outside 0...10240")])
    }

    @Test func `says that a frame broke off before the end of input`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v2))
        pipeline.receive(Array(try Self.encoded(Self.ping).dropLast()))
        pipeline.endInput()
        guard case .error(let text) = pipeline.inbound.items.first else {
            Issue.record("no error")
            return
        }
        #expect(text.hasPrefix("truncated"))
        #expect(pipeline.inbound.items.last == .inputClosed)
    }

    @Test func `hands bytes behind the last frame over in order`() throws {
        let handler = FRPFrameHandler(version: .v2)
        let pipeline = try Pipeline(handler)
        pipeline.inbound.onFrame = { if $0 == Self.start { handler.switchToRaw() } }
        pipeline.receive(try Self.encoded(Self.ping, Self.start) + [1, 2, 3])
        pipeline.receive([4, 5])
        pipeline.endInput()
        #expect(
            pipeline.inbound.items == [
                .frame(Self.ping), .frame(Self.start), .bytes([1, 2, 3]), .bytes([4, 5]), .inputClosed,
            ]
        )
        #expect(throws: ChannelPipelineError.self) {
            try pipeline.channel.pipeline.syncOperations.handler(type: FRPFrameHandler.self)
        }
        try pipeline.write([9])
        #expect(pipeline.outbound.bytes == [9])
    }

    @Test func `holds bytes, the end of input and reads while it is paused`() throws {
        let handler = FRPFrameHandler(version: .v2)
        let pipeline = try Pipeline(handler)
        pipeline.inbound.onFrame = { _ in handler.pause() }
        pipeline.receive(try Self.encoded(Self.start) + [1, 2, 3])
        pipeline.receive([4])
        pipeline.endInput()
        #expect(pipeline.inbound.items == [.frame(Self.start)])
        let reads = pipeline.outbound.readCount
        pipeline.channel.read()
        pipeline.channel.read()
        #expect(pipeline.outbound.readCount == reads)
        handler.switchToRaw()
        #expect(pipeline.inbound.items == [.frame(Self.start), .bytes([1, 2, 3, 4]), .inputClosed])
        #expect(pipeline.outbound.readCount == reads + 1)
        pipeline.channel.read()
        #expect(pipeline.outbound.readCount == reads + 2)
    }

    @Test func `goes on with the next frame after a pause`() throws {
        let handler = FRPFrameHandler(version: .v2)
        let pipeline = try Pipeline(handler)
        pipeline.inbound.onFrame = { _ in handler.pause() }
        pipeline.receive(try Self.encoded(Self.ping, Self.start))
        pipeline.endInput()
        #expect(pipeline.inbound.items == [.frame(Self.ping)])
        handler.resume()
        #expect(pipeline.inbound.items == [.frame(Self.ping), .frame(Self.start)])
        handler.resume()
        #expect(pipeline.inbound.items == [.frame(Self.ping), .frame(Self.start), .inputClosed])
    }

    @Test func `bounds what a pause may hold`() throws {
        let handler = FRPFrameHandler(version: .v2)
        let pipeline = try Pipeline(handler)
        handler.pause()
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        for _ in 0..<16 { pipeline.receive(megabyte) }
        #expect(pipeline.inbound.items.isEmpty)
        pipeline.receive([0])
        #expect(pipeline.inbound.items.count == 1)
    }

    @Test func `passes bytes that came early through a cipher`() throws {
        let key = FRPTokenKey(token: "t").cipherKey
        var peer = AES128CFBStream(key: key, iv: Array(0..<16))
        var sealed = try Self.encoded(Self.ping, Self.ping, version: .v1)
        peer.encrypt(&sealed)
        let stream = try Self.encoded(Self.start, version: .v1) + Array(0..<16) + sealed
        for cut in 0...stream.count {
            let handler = FRPFrameHandler(version: .v1)
            let pipeline = try Pipeline(handler)
            pipeline.inbound.onFrame = { frame in
                guard frame == Self.start else { return }
                do {
                    try handler.protect(with: CFBHandler(key: key, iv: Array(16..<32)))
                } catch {
                    Issue.record(error)
                }
            }
            pipeline.receive(Array(stream[..<cut]))
            pipeline.receive(Array(stream[cut...]))
            #expect(pipeline.inbound.items == [.frame(Self.start), .frame(Self.ping), .frame(Self.ping)])
        }
    }

    @Test func `encrypts frames only from the cipher on`() throws {
        let key = FRPTokenKey(token: "t").cipherKey
        let handler = FRPFrameHandler(version: .v1)
        let pipeline = try Pipeline(handler)
        let clear = try Self.encoded(Self.start, version: .v1)
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(Self.start)).wait()
        try handler.protect(with: CFBHandler(key: key, iv: Array(16..<32)))
        try pipeline.channel.pipeline.syncOperations.writeAndFlush(NIOAny(Self.ping)).wait()
        let bytes = pipeline.outbound.bytes
        #expect(Array(bytes[..<clear.count]) == clear)
        #expect(Array(bytes[clear.count..<(clear.count + 16)]) == Array(16..<32))
        var stream = AES128CFBStream(key: key, iv: Array(16..<32))
        var rest = Array(bytes[(clear.count + 16)...])
        stream.decrypt(&rest)
        #expect(rest == (try Self.encoded(Self.ping, version: .v1)))
    }

    @Test func `lets closing pass in both directions`() throws {
        let pipeline = try Pipeline(FRPFrameHandler(version: .v2))
        pipeline.channel.close(mode: .output, promise: nil)
        #expect(pipeline.outbound.closedModes == ["output"])
        pipeline.channel.pipeline.fireChannelInactive()
        #expect(pipeline.inbound.items == [.inactive])
    }
}
