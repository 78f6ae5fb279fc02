// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import NIOEmbedded
import Testing

@Suite struct RelayEdgeTests {
    private func channel(on loop: EmbeddedEventLoop, _ handlers: [any ChannelHandler] = []) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandlers(handlers)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        return channel
    }

    private func outcome(_ future: EventLoopFuture<RelayOutcome>, _ loop: EmbeddedEventLoop) throws -> RelayOutcome {
        loop.run()
        return try future.wait()
    }

    @Test func earlyDataAndItsEndAreReplayedInOrder() throws {
        let loop = EmbeddedEventLoop()
        let first = try channel(on: loop, [EarlyDataHandler()])
        try first.writeInbound(ByteBuffer(string: "GET "))
        try first.writeInbound(ByteBuffer(string: "/"))
        first.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        let second = try channel(on: loop, [EarlyDataHandler()])
        _ = Relay.join(first, second)
        loop.run()
        #expect(try second.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "GET "))
        #expect(try second.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "/"))
        #expect(throws: (any Error).self) {
            try first.pipeline.syncOperations.handler(type: EarlyDataHandler.self)
        }
    }

    @Test func whatEarlyDataBringsComesBehindIt() throws {
        /// Has one more chunk for whoever asks.
        final class Source: ChannelOutboundHandler {
            typealias OutboundIn = ByteBuffer
            private var chunks = ["three", "four"]

            func read(context: ChannelHandlerContext) {
                guard !chunks.isEmpty else { return }
                context.fireChannelRead(NIOAny(ByteBuffer(string: chunks.removeFirst())))
            }
        }
        /// Asks for more with every chunk.
        final class Reader: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            var got: [String] = []

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                got.append(String(buffer: unwrapInboundIn(data)))
                context.read()
            }
        }
        let reader = Reader()
        let early = EarlyDataHandler()
        let channel = try channel(on: EmbeddedEventLoop(), [Source(), early, reader])
        try channel.writeInbound(ByteBuffer(string: "one"))
        try channel.writeInbound(ByteBuffer(string: "two"))
        early.handOver()
        #expect(reader.got == ["one", "two", "three", "four"])
    }

    @Test func earlyDataBeyondTheBoundEndsTheChannel() throws {
        let loop = EmbeddedEventLoop()
        let first = try channel(on: loop, [EarlyDataHandler(maximumBytes: 10)])
        try first.writeInbound(ByteBuffer(string: "0123456789"))
        #expect(first.isActive)
        try first.writeInbound(ByteBuffer(string: "x"))
        #expect(!first.isActive)
    }

    @Test func aChannelThatIsClosedAlreadyEndsTheOther() throws {
        let loop = EmbeddedEventLoop()
        for closesFirst in [true, false] {
            let first = try channel(on: loop)
            let second = try channel(on: loop)
            try (closesFirst ? first : second).close().wait()
            let outcome = try outcome(Relay.join(first, second), loop)
            #expect(outcome.end == .reset)
            #expect(outcome.endedBy == (closesFirst ? .first : .second))
            #expect(!first.isActive && !second.isActive)
        }
    }

    @Test func aRelayWithoutTrafficEndsAfterItsIdleTimeout() throws {
        let loop = EmbeddedEventLoop()
        let first = try channel(on: loop)
        let second = try channel(on: loop)
        let relay = Relay.join(first, second, configuration: RelayConfiguration(idleTimeout: .seconds(60)))
        loop.advanceTime(by: .seconds(50))
        try first.writeInbound(ByteBuffer(string: "x"))
        loop.advanceTime(by: .seconds(50))
        #expect(first.isActive && second.isActive)
        loop.advanceTime(by: .seconds(10))
        #expect(
            try outcome(relay, loop)
                == RelayOutcome(bytesFromFirst: 1, bytesFromSecond: 0, endedBy: nil, end: .idle)
        )
    }

    @Test func aLegReadsOnlyWhileTheOtherTakesBytes() throws {
        final class Reads: ChannelOutboundHandler {
            typealias OutboundIn = Never
            var count = 0
            func read(context: ChannelHandlerContext) {
                count += 1
                context.read()
            }
        }
        let loop = EmbeddedEventLoop()
        let reads = Reads()
        let first = try channel(on: loop, [reads])
        let second = try channel(on: loop)
        _ = Relay.join(first, second)
        second.isWritable = false
        second.pipeline.fireChannelWritabilityChanged()
        let before = reads.count
        first.pipeline.read()
        first.pipeline.read()
        #expect(reads.count == before)
        second.isWritable = true
        second.pipeline.fireChannelWritabilityChanged()
        #expect(reads.count == before + 1)
    }

    @Test func anErrorOfAHandlerInBetweenIsTheOutcome() throws {
        struct Broken: Error {}
        let loop = EmbeddedEventLoop()
        let first = try channel(on: loop)
        let second = try channel(on: loop)
        let relay = Relay.join(first, second)
        second.pipeline.fireErrorCaught(Broken())
        let outcome = try outcome(relay, loop)
        #expect(outcome.end == .failed("Broken()"))
        #expect(outcome.endedBy == .second)
        #expect(!first.isActive && !second.isActive)
    }
}
