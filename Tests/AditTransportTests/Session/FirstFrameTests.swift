// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AditTransport

@Suite("The first frame of a connection or stream")
struct FirstFrameTests {
    /// Counts what asks the transport for bytes.
    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        private(set) var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
        }
    }

    /// What a handler called back.
    private final class Outcome {
        var frames = 0
        var ends: [SessionEnd] = []
        var handler: FirstFrameHandler?
    }

    private static func opening(_ outcome: Outcome, _ wait: FirstFrameWait?) -> FirstFrameHandler {
        FirstFrameHandler(
            framing: .either,
            wait: wait,
            onFrame: { _, _, handler in
                outcome.frames += 1
                outcome.handler = handler
            },
            onEnd: { outcome.ends.append($0) }
        )
    }

    private static func login() throws -> [UInt8] {
        var bytes = FRPWireMagic.bytes
        try FRPFrame.message(.login(FRPLogin())).encode(version: .v2, into: &bytes)
        return bytes
    }

    @Test("It goes on reading although what stands behind it holds reads back")
    func readsByItself() throws {
        let reads = ReadCounter()
        let outcome = Outcome()
        let early = EarlyDataHandler()
        let channel = EmbeddedChannel(handlers: [reads, Self.opening(outcome, nil), early])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let bytes = try Self.login()
        for index in bytes.indices {
            let before = reads.count
            channel.pipeline.fireChannelRead(ByteBuffer(bytes: [bytes[index]]))
            channel.pipeline.fireChannelReadComplete()
            #expect((reads.count > before) == (index < bytes.count - 1), "after byte \(index)")
        }
        #expect(outcome.frames == 1)
        // Bytes that TLS kept for itself make a round without data: it has to ask again then as well.
        let second = Outcome()
        let quiet = EmbeddedChannel(handlers: [Self.opening(second, nil), EarlyDataHandler()])
        let more = ReadCounter()
        try quiet.pipeline.syncOperations.addHandler(more, position: .first)
        quiet.pipeline.fireChannelReadComplete()
        #expect(more.count == 1)
        outcome.handler = nil
    }

    @Test("What came behind the frame is passed on in order, and then the end")
    func release() throws {
        let outcome = Outcome()
        let channel = EmbeddedChannel(handler: Self.opening(outcome, nil))
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: try Self.login() + [1, 2]))
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: [3]))
        #expect(try channel.readInbound(as: ByteBuffer.self) == nil)
        outcome.handler?.release()
        #expect(try channel.readInbound(as: ByteBuffer.self) == ByteBuffer(bytes: [1, 2, 3]))
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: [4]))
        #expect(try channel.readInbound(as: ByteBuffer.self) == ByteBuffer(bytes: [4]))
        #expect(outcome.ends.isEmpty)
        outcome.handler = nil
    }

    @Test("A frame that does not come in time ends its stream, and only that one")
    func patience() throws {
        let loop = EmbeddedEventLoop()
        let wait = FirstFrameWait(eventLoop: loop, patience: .seconds(10))
        func open() throws -> (channel: EmbeddedChannel, outcome: Outcome) {
            let outcome = Outcome()
            let channel = EmbeddedChannel(handler: Self.opening(outcome, wait), loop: loop)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            return (channel, outcome)
        }
        let silent = try open()
        let prompt = try open()
        loop.advanceTime(by: .seconds(6))
        prompt.channel.pipeline.fireChannelRead(ByteBuffer(bytes: try Self.login()))
        let late = try open()
        #expect(wait.waiting == 2)
        loop.advanceTime(by: .seconds(5))
        #expect(!silent.channel.isActive)
        #expect(silent.outcome.ends == [.protocolBroken("nothing came in time")])
        #expect(prompt.channel.isActive && late.channel.isActive)
        loop.advanceTime(by: .seconds(5))
        #expect(!late.channel.isActive)
        #expect(prompt.channel.isActive)
        #expect(wait.waiting == 0)
        prompt.outcome.handler = nil
    }

    @Test("Streams that come and go leave nothing behind, and only so many may wait")
    func bounds() throws {
        let loop = EmbeddedEventLoop()
        let wait = FirstFrameWait(eventLoop: loop, patience: .seconds(10))
        for _ in 0..<500 {
            let channel = EmbeddedChannel(handler: Self.opening(Outcome(), wait), loop: loop)
            _ = try channel.finish()
        }
        #expect(wait.waiting == 0)
        var channels: [EmbeddedChannel] = []
        while wait.hasRoom {
            channels.append(EmbeddedChannel(handler: Self.opening(Outcome(), wait), loop: loop))
        }
        #expect(channels.count == FirstFrameWait.maximumWaiting)
        for channel in channels { _ = try channel.finish() }
        #expect(wait.waiting == 0 && wait.hasRoom)
    }
}
