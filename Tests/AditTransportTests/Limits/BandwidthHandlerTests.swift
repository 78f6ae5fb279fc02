// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore
import NIOEmbedded
import Testing

/// What came through a pipeline, in order.
private final class Sink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var bytes = 0
    var hasEnded = false
    var endedAt = -1
    var completions = 0
    var writabilityChanges = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { bytes += unwrapInboundIn(data).readableBytes }
    func channelReadComplete(context: ChannelHandlerContext) { completions += 1 }
    func channelWritabilityChanged(context: ChannelHandlerContext) { writabilityChanges += 1 }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            hasEnded = true
            endedAt = bytes
        }
    }
}

/// Counts the reads that reach the channel.
private final class Reads: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var count = 0

    func read(context: ChannelHandlerContext) {
        count += 1
        context.read()
    }
}

/// A channel whose bytes share a bandwidth, on a loop whose time the test moves.
private struct Shaped {
    let channel: EmbeddedChannel
    let sink = Sink()
    let reads = Reads()

    init(_ limiter: BandwidthLimiter, loop: EmbeddedEventLoop) throws {
        channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandlers([reads, BandwidthReadHandler(limiter), sink])
        try channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func receive(_ count: Int) throws {
        try channel.writeInbound(ByteBuffer(repeating: 7, count: count))
    }
}

private func limiter(_ bytes: Int64, on loop: EmbeddedEventLoop) throws -> BandwidthLimiter {
    BandwidthLimiter(try #require(Bandwidth(bytesPerSecond: bytes)), on: loop, clock: .of(loop))
}

@Suite struct BandwidthHandlerTests {
    @Test func `what is read waits for its turn, loses nothing and keeps its end behind it`() throws {
        let loop = EmbeddedEventLoop()
        let shaped = try Shaped(limiter(100_000, on: loop), loop: loop)
        try shaped.receive(300_000)
        #expect(shaped.sink.bytes == 16_384)
        shaped.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!shaped.sink.hasEnded)
        loop.advanceTime(by: .seconds(1))
        #expect((100_000...116_384).contains(shaped.sink.bytes))
        loop.advanceTime(by: .seconds(2))
        #expect(shaped.sink.bytes == 300_000)
        #expect(shaped.sink.hasEnded)
        #expect(shaped.sink.endedAt == 300_000)
        _ = try shaped.channel.finish()
    }

    @Test func `nothing more is read while bytes wait, and reading goes on by itself`() throws {
        let loop = EmbeddedEventLoop()
        let shaped = try Shaped(limiter(100_000, on: loop), loop: loop)
        try shaped.receive(50_000)
        let before = shaped.reads.count
        shaped.channel.read()
        shaped.channel.read()
        #expect(shaped.reads.count == before)
        loop.advanceTime(by: .milliseconds(500))
        #expect(shaped.sink.bytes == 50_000)
        #expect(shaped.reads.count == before + 1)
        _ = try shaped.channel.finish()
    }

    @Test func `two channels share the bandwidth evenly, and one that is gone leaves its share`() throws {
        let loop = EmbeddedEventLoop()
        let shared = try limiter(100_000, on: loop)
        let first = try Shaped(shared, loop: loop)
        let second = try Shaped(shared, loop: loop)
        try first.receive(1_000_000)
        try second.receive(1_000_000)
        loop.advanceTime(by: .seconds(4))
        #expect(abs(first.sink.bytes - second.sink.bytes) <= 2 * 16_384)
        #expect((400_000...416_384).contains(first.sink.bytes + second.sink.bytes))
        let before = second.sink.bytes
        try first.channel.close().wait()
        // What could not be kept any longer passes at once and is made up for.
        #expect(first.sink.bytes == 1_000_000)
        loop.advanceTime(by: .seconds(5))
        #expect(second.sink.bytes == before)
        loop.advanceTime(by: .seconds(10))
        #expect(second.sink.bytes > before)
        _ = try second.channel.finish()
    }

    @Test func `there is no timer while nobody waits`() throws {
        let loop = EmbeddedEventLoop()
        let shaped = try Shaped(limiter(1_000_000, on: loop), loop: loop)
        try shaped.receive(1000)
        #expect(shaped.sink.bytes == 1000)
        let completions = shaped.sink.completions
        loop.advanceTime(by: .hours(1))
        #expect(shaped.sink.completions == completions)
        _ = try shaped.channel.finish()
    }

    @Test func `writes wait in order with their promises, and an end waits behind them`() throws {
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        let handler = BandwidthWriteHandler(try limiter(100_000, on: loop))
        let sink = Sink()
        try channel.pipeline.syncOperations.addHandlers([handler, sink])
        try channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        var isWritten = false
        let promise = loop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { isWritten = true }
        channel.writeAndFlush(ByteBuffer(repeating: 1, count: 100_000), promise: promise)
        channel.writeAndFlush(ByteBuffer(repeating: 2, count: 10), promise: nil)
        var isClosed = false
        channel.close(mode: .output).assumeIsolated().whenComplete { _ in isClosed = true }
        #expect(!isWritten && !isClosed)
        #expect(handler.heldByteCount == 100_010 - 16_384)
        loop.advanceTime(by: .milliseconds(900))
        #expect(isWritten)
        #expect(handler.heldByteCount == 0)
        #expect(isClosed)
        #expect(sink.writabilityChanges > 0)
        var sent: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { sent += Array(buffer.readableBytesView) }
        #expect(sent == [UInt8](repeating: 1, count: 100_000) + [UInt8](repeating: 2, count: 10))
        _ = try? channel.finish()
    }

    @Test func `what waits when a channel closes fails its promise`() throws {
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandler(BandwidthWriteHandler(try limiter(1024, on: loop)))
        try channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        var failure: (any Error)?
        channel.writeAndFlush(ByteBuffer(repeating: 1, count: 100_000)).assumeIsolated().whenFailure { failure = $0 }
        try channel.close().wait()
        #expect(failure != nil)
    }

    @Test func `datagrams over the limit are counted`() throws {
        let loop = EmbeddedEventLoop()
        let shared = try limiter(100_000, on: loop)
        var passed = 0
        for _ in 0..<100 where shared.admit(1200) { passed += 1 }
        #expect(passed == 13)
        #expect(shared.droppedDatagrams == 87)
    }
}
