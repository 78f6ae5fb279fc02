// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// The bytes that relay tests send, from the beginning, as many as they like.
enum RelayPattern {
    static let bytes: ByteBuffer = {
        var random = SeededGenerator(seed: 8)
        var block = ByteBuffer()
        for _ in 0..<1024 { block.writeInteger(random.next()) }
        var buffer = ByteBuffer()
        // Each block begins with its number, so that a block in the wrong place is noticed.
        for number in 0..<1024 {
            buffer.writeInteger(UInt64(number))
            buffer.writeImmutableBuffer(block)
        }
        return buffer
    }()

    static func prefix(_ count: Int) -> ByteBuffer {
        bytes.getSlice(at: 0, length: count) ?? ByteBuffer()
    }
}

/// One end of a relayed connection: it sends the pattern, and checks that what it receives is the pattern.
final class RelayEndpoint: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum End: Sendable {
        case withData
        case later(TimeAmount)
        case never
    }

    struct Plan: Sendable {
        var sends = 0
        var sendsAfterPeersEnd = false
        var end = End.withData
        /// How long to wait between two reads; nil reads at once.
        var readPause: TimeAmount?
        var reads = true
        /// Resets the connection when so many bytes have come; nil for never.
        var resetsAfter: Int?
    }

    enum Failure: Error, Equatable {
        case wrongBytes(at: Int)
        case cutOff(at: Int)
    }

    private let plan: Plan
    private let received: EventLoopPromise<Int>
    private let written: EventLoopPromise<Void>?
    private var count = 0
    private var hasPeerEnded = false
    private var hasReadHeld = false

    /// `received` succeeds with the number of bytes at the peer's end of data.
    init(_ plan: Plan, received: EventLoopPromise<Int>, written: EventLoopPromise<Void>? = nil) {
        self.plan = plan
        self.received = received
        self.written = written
    }

    static func options(_ channel: any Channel) throws {
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        try channel.syncOptions?.setOption(.autoRead, value: false)
    }

    func channelActive(context: ChannelHandlerContext) {
        if !plan.sendsAfterPeersEnd { send(context) }
        if plan.reads { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if RelayPattern.bytes.getSlice(at: count, length: buffer.readableBytes) != buffer {
            received.fail(Failure.wrongBytes(at: count))
        }
        count += buffer.readableBytes
        if let limit = plan.resetsAfter, count >= limit { ChannelReset.close(context.channel) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard plan.reads else { return }
        guard let pause = plan.readPause else {
            context.read()
            return
        }
        context.eventLoop.assumeIsolated().scheduleTask(in: pause) { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent, !hasPeerEnded else { return }
        hasPeerEnded = true
        received.succeed(count)
        if plan.sendsAfterPeersEnd { send(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // When this end has ended its data, the peer's end closes the socket without an event of its own.
        if case .never = plan.end { received.fail(Failure.cutOff(at: count)) }
        received.succeed(count)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        received.fail(Failure.cutOff(at: count))
        context.close(promise: nil)
    }

    private func send(_ context: ChannelHandlerContext) {
        let sent = context.eventLoop.makePromise(of: Void.self)
        var rest = RelayPattern.prefix(plan.sends)
        while let slice = rest.readSlice(length: min(rest.readableBytes, 65_536)), slice.readableBytes > 0 {
            context.write(wrapOutboundOut(slice), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
        if let written { sent.futureResult.cascade(to: written) }
        sent.futureResult.assumeIsolated().whenSuccess { [plan] in
            switch plan.end {
            case .never: break
            case .withData: context.close(mode: .output, promise: nil)
            case .later(let delay):
                context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
                    context.close(mode: .output, promise: nil)
                }
            }
        }
    }
}
