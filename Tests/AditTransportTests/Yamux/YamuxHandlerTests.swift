// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTunnel
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite struct YamuxHandlerTests {
    private static func credit(_ id: UInt32, _ flags: YamuxHeader.Flags = [], _ length: UInt32 = 0) -> YamuxHeader {
        YamuxHeader(.windowUpdate, flags, streamID: id, length: length)
    }

    private static func data(_ id: UInt32, _ length: UInt32, _ flags: YamuxHeader.Flags = []) -> YamuxHeader {
        YamuxHeader(.data, flags, streamID: id, length: length)
    }

    @Test func theFirstDataLeavesTogetherWithTheOpen() throws {
        let yamux = try EmbeddedYamux(.client)
        let stream = try yamux.handler.openStream().wait()
        stream.writeAndFlush(ByteBuffer(string: "hello"), promise: nil)
        yamux.loop.run()
        let flushed = try #require(try yamux.channel.readOutbound(as: ByteBuffer.self))
        #expect(flushed.readableBytes == 12 + 12 + 5)
        #expect(try yamux.channel.readOutbound(as: ByteBuffer.self) == nil)
        #expect(yamux.handler.activeStreamCount == 1)
    }

    @Test func largePayloadIsNotCopied() throws {
        let yamux = try EmbeddedYamux(.client)
        let stream = try yamux.open()
        _ = try yamux.sent()
        let payload = ByteBuffer(repeating: 7, count: 40_000)
        stream.writeAndFlush(payload, promise: nil)
        yamux.loop.run()
        #expect(try yamux.channel.readOutbound(as: ByteBuffer.self)?.readableBytes == 12)
        let sent = try #require(try yamux.channel.readOutbound(as: ByteBuffer.self))
        let before = payload.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        let after = sent.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(before == after)
    }

    @Test func aFrameMayArriveByteByByte() throws {
        let received = Received()
        let yamux = try EmbeddedYamux(.server) { received.install(in: $0) }
        var bytes = ByteBuffer()
        for header in [Self.data(1, 5, .open), Self.data(1, 300, .finish)] {
            bytes.writeMultipleIntegers(header.firstWord, header.streamID, header.length)
            bytes.writeRepeatingByte(1, count: Int(header.length))
        }
        while let byte = bytes.readSlice(length: 1) { try yamux.channel.writeInbound(byte) }
        yamux.loop.run()
        #expect(received.count == 305)
        #expect(received.hasEnded)
        #expect(try yamux.sent().first == Self.credit(1, .acknowledge))
    }

    @Test func creditGoesBackOnlyForWhatThePipelineHasRead() throws {
        let received = Received()
        let yamux = try EmbeddedYamux(.server) { stream in
            received.install(in: stream).flatMapThrowing {
                try stream.syncOptions?.setOption(.autoRead, value: false)
            }
        }
        try yamux.receive(Self.credit(1, .open))
        for _ in 0..<8 { try yamux.receive(Self.data(1, 32 * 1024)) }
        #expect(received.count == 0)
        #expect(try yamux.sent() == [Self.credit(1, .acknowledge)])
        received.stream?.read()
        yamux.loop.run()
        #expect(received.count == 256 * 1024)
        #expect(try yamux.sent().count == 1)
    }

    @Test func aStreamWithoutWindowIsNotWritableUntilCreditComes() throws {
        let yamux = try EmbeddedYamux(.client)
        let stream = try yamux.open()
        stream.writeAndFlush(ByteBuffer(repeating: 0, count: 300 * 1024), promise: nil)
        #expect(!stream.isWritable)
        #expect(try yamux.sent().filter { $0.kind == .data }.reduce(0) { $0 + $1.length } == 256 * 1024)
        try yamux.receive(Self.credit(1, .acknowledge), Self.credit(1, [], 1_000_000))
        #expect(stream.isWritable)
        #expect(try yamux.sent() == [Self.data(1, 44 * 1024)])
    }

    /// The handler of HTTP/2 fails when it may write before it has flushed what a round of reads made it write.
    @Test func aPipelineLearnsThatItMayWriteWhenARoundOfReadsIsComplete() throws {
        final class Order: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            var steps: [String] = []
            func channelRead(context: ChannelHandlerContext, data: NIOAny) { steps.append("read") }
            func channelReadComplete(context: ChannelHandlerContext) { steps.append("complete") }
            func channelWritabilityChanged(context: ChannelHandlerContext) {
                steps.append(context.channel.isWritable ? "writable" : "full")
            }
        }
        let yamux = try EmbeddedYamux(.client)
        let stream = try yamux.open { [Order()] }
        let order = try stream.pipeline.syncOperations.handler(type: Order.self)
        stream.writeAndFlush(ByteBuffer(repeating: 0, count: 300 * 1024), promise: nil)
        _ = try yamux.sent()
        try yamux.receive(Self.credit(1, .acknowledge), Self.data(1, 10), Self.credit(1, [], 1_000_000))
        #expect(order.steps == ["full", "read", "complete", "writable"])
        #expect(stream.isWritable)
        #expect(try yamux.sent().filter { $0.kind == .data } == [Self.data(1, 44 * 1024)])
    }

    @Test func streamsTakeTurnsSoThatABulkStreamDoesNotHoldOthersUp() throws {
        let yamux = try EmbeddedYamux(.client)
        let bulk = try yamux.open()
        let small = try yamux.open()
        try yamux.receive(Self.credit(1, [], 8_000_000))
        _ = try yamux.sent()
        yamux.channel.isWritable = false
        yamux.channel.pipeline.fireChannelWritabilityChanged()
        bulk.writeAndFlush(ByteBuffer(repeating: 0, count: 4_000_000), promise: nil)
        small.writeAndFlush(ByteBuffer(repeating: 0, count: 10), promise: nil)
        #expect(!bulk.isWritable && !small.isWritable)
        #expect(try yamux.sent() == [])
        yamux.channel.isWritable = true
        yamux.channel.pipeline.fireChannelWritabilityChanged()
        let sent = try yamux.sent()
        #expect(sent.allSatisfy { $0.length <= 64 * 1024 })
        #expect(sent.firstIndex { $0.streamID == 3 } == 1)
        #expect(sent.filter { $0.streamID == 1 }.reduce(0) { $0 + $1.length } == 4_000_000)
        #expect(bulk.isWritable && small.isWritable)
    }

    @Test func theEndOfOutputFollowsTheWritesThatWaitForWindow() throws {
        let yamux = try EmbeddedYamux(.client)
        let stream = try yamux.open()
        stream.writeAndFlush(ByteBuffer(repeating: 0, count: 300 * 1024), promise: nil)
        let closed = stream.close(mode: .output)
        #expect(try !yamux.sent().contains(Self.credit(1, .finish)))
        try yamux.receive(Self.credit(1, [], 1_000_000))
        #expect(try yamux.sent() == [Self.data(1, 44 * 1024), Self.credit(1, .finish)])
        try closed.wait()
        #expect(throws: ChannelError.outputClosed) { try stream.writeAndFlush(ByteBuffer(string: "x")).wait() }
        #expect(stream.isActive)
        try yamux.receive(Self.credit(1, .finish))
        #expect(!stream.isActive)
        #expect(yamux.handler.activeStreamCount == 0)
    }

    @Test func closingASentAndReadStreamIsAnEndAndClosingAnyOtherIsAReset() throws {
        let yamux = try EmbeddedYamux(.client)
        let sentAll = try yamux.open()
        sentAll.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        sentAll.close(promise: nil)
        #expect(try yamux.sent().last == Self.credit(1, .finish))

        let unsent = try yamux.open()
        unsent.writeAndFlush(ByteBuffer(repeating: 0, count: 300 * 1024), promise: nil)
        unsent.close(promise: nil)
        #expect(try yamux.sent().last == Self.credit(3, .reset))

        let unread = try yamux.open()
        try unread.syncOptions?.setOption(.autoRead, value: false)
        try yamux.receive(Self.data(5, 10), Self.data(5, 10))
        unread.close(promise: nil)
        _ = try yamux.sent()

        let broken = try yamux.open()
        broken.triggerUserOutboundEvent(ResetConnection(), promise: nil)
        broken.close(promise: nil)
        #expect(try yamux.sent().last == Self.credit(7, .reset))
        #expect(yamux.handler.activeStreamCount == 0)
    }

    @Test func aResetByThePeerIsAnErrorAndTheEndOfTheStream() throws {
        let received = Received()
        let yamux = try EmbeddedYamux(.server) { received.install(in: $0) }
        try yamux.receive(Self.credit(1, .open))
        let stream = try #require(received.stream)
        let pending = stream.writeAndFlush(ByteBuffer(repeating: 0, count: 300 * 1024))
        try yamux.receive(Self.credit(1, .reset))
        #expect(received.error as? YamuxStreamError == .resetByPeer)
        #expect(received.isInactive)
        #expect(throws: YamuxStreamError.resetByPeer) { try pending.wait() }
        try stream.closeFuture.wait()
    }

    @Test func allStreamsEndWithTheConnection() throws {
        let received = Received()
        let yamux = try EmbeddedYamux(.server) { received.install(in: $0) }
        try yamux.receive(Self.credit(1, .open))
        let own = try yamux.open()
        yamux.channel.close(promise: nil)
        yamux.loop.run()
        #expect(received.error as? YamuxStreamError == .connectionLost)
        #expect(received.isInactive && !own.isActive)
        #expect(yamux.handler.activeStreamCount == 0)
        #expect(throws: YamuxStreamError.connectionLost) { try yamux.handler.openStream().wait() }
    }

    @Test func aStreamWhoseInitializerFailsIsRefused() throws {
        struct Refused: Error {}
        let yamux = try EmbeddedYamux(.server) { $0.eventLoop.makeFailedFuture(Refused()) }
        try yamux.receive(Self.credit(1, .open))
        #expect(try yamux.sent() == [Self.credit(1, .reset)])
        let none = try EmbeddedYamux(.server)
        try none.receive(Self.credit(1, .open))
        #expect(try none.sent() == [Self.credit(1, .reset)])
    }

    @Test func garbageEndsTheConnectionWithAGoAway() throws {
        let yamux = try EmbeddedYamux(.server)
        _ = try? yamux.channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: example\r\n\r\n"))
        yamux.loop.run()
        #expect(try yamux.sent() == [YamuxHeader(.goAway, length: 1)])
        #expect(yamux.events.events == [.failed(.malformedHeader(.version(0x47)))])
        #expect(!yamux.channel.isActive)
    }

    @Test func aDeadPeerIsNoticedWithinFifteenSeconds() throws {
        let yamux = try EmbeddedYamux(.server, configuration: YamuxConfiguration())
        #expect(try yamux.sent() == [YamuxHeader(.ping, .open, length: 1)])
        yamux.loop.advanceTime(by: .milliseconds(40))
        try yamux.receive(YamuxHeader(.ping, .acknowledge, length: 1))
        #expect(yamux.events.events == [.roundTrip(.milliseconds(40))])
        #expect(yamux.handler.roundTripTime == .milliseconds(40))
        yamux.loop.advanceTime(by: .milliseconds(14_900))
        #expect(yamux.channel.isActive)
        yamux.loop.advanceTime(by: .milliseconds(100))
        #expect(yamux.events.events.last == .failed(.peerUnresponsive))
        #expect(!yamux.channel.isActive)
    }

    @Test func aShutdownClosesTheConnectionAfterTheLastStream() throws {
        let yamux = try EmbeddedYamux(.server)
        let stream = try yamux.open()
        yamux.handler.shutdown()
        #expect(try yamux.sent().last == YamuxHeader(.goAway))
        #expect(yamux.channel.isActive)
        stream.close(promise: nil)
        try yamux.receive(Self.credit(2, .finish))
        #expect(yamux.events.events == [.finished])
        #expect(!yamux.channel.isActive)
    }

    @Test func aFloodOfOpensStaysWithinTheBacklog() throws {
        let yamux = try EmbeddedYamux(.server) { $0.eventLoop.makePromise(of: Void.self).futureResult }
        var number: UInt32 = 1
        for _ in 0..<200 {
            var buffer = ByteBuffer()
            for _ in 0..<1000 {
                buffer.writeMultipleIntegers(Self.credit(0, .open).firstWord, number, UInt32(0))
                number += 2
            }
            try yamux.channel.writeInbound(buffer)
            while try yamux.channel.readOutbound(as: ByteBuffer.self) != nil {}
        }
        #expect(yamux.handler.activeStreamCount == 256)
        _ = try? yamux.channel.finish(acceptAlreadyClosed: true)
    }
}

/// What one stream has received.
private final class Received: ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: the embedded event loop runs on the test's own thread.
    typealias InboundIn = ByteBuffer
    var stream: (any Channel)?
    var count = 0
    var hasEnded = false
    var isInactive = false
    var error: (any Error)?

    func install(in stream: any Channel) -> EventLoopFuture<Void> {
        self.stream = stream
        return stream.eventLoop.makeCompletedFuture { try stream.pipeline.syncOperations.addHandler(self) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += unwrapInboundIn(data).readableBytes
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { hasEnded = true }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isInactive = true
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = error
    }
}
