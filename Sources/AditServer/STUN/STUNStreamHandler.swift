// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore

/// One STUN connection: messages one behind the other, each with its length in its header, answered in order.
///
/// A peer that does not take its answers is not read any more, so that little is ever kept for it.
final class STUNStreamHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The longest message; one that asks something of a server has a tenth of it.
    static let messageByteLimit = 2048

    private let streams: STUNStreams
    private let limits: STUNStreams.Limits
    private let source: IPEndpoint
    private let own: IPEndpoint
    private let transport: STUNTransport
    private var unread = ByteBuffer()
    private var reply: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var isHeldBack = false
    private var isOver = false

    init(
        _ streams: STUNStreams,
        limits: STUNStreams.Limits,
        from source: IPEndpoint,
        at own: IPEndpoint,
        over transport: STUNTransport
    ) {
        self.streams = streams
        self.limits = limits
        self.source = source
        self.own = own
        self.transport = transport
    }

    func handlerAdded(context: ChannelHandlerContext) {
        wait(limits.idle, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var chunk = unwrapInboundIn(data)
        let wasEmpty = unread.readableBytes == 0
        if wasEmpty { unread = chunk } else { unread.writeBuffer(&chunk) }
        serve(context, isBeginning: wasEmpty)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, isHeldBack, !isOver {
            isHeldBack = false
            serve(context, isBeginning: true)
            if !isHeldBack, !isOver { hold(false, context) }
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(context)
    }

    /// Answers the whole messages that are there.
    private func serve(_ context: ChannelHandlerContext, isBeginning: Bool) {
        var answers = context.channel.allocator.buffer(capacity: 0)
        var messages = 0
        defer {
            if answers.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(answers), promise: nil) }
            if isOver { context.close(promise: nil) }
        }
        while true {
            if let turn = streams.turn, unread.withUnsafeReadableBytes({ TURNMessageKind($0) }) == .relayed {
                return handOver(to: turn, context)
            }
            if answers.readableBytes >= Self.messageByteLimit {
                context.writeAndFlush(wrapOutboundOut(answers), promise: nil)
                answers = context.channel.allocator.buffer(capacity: 0)
            }
            guard context.channel.isWritable else {
                hold(true, context)
                return
            }
            let length: Int?
            do throws(STUNError) {
                length = try STUNMessage.byteCount(inStream: unread.readableBytesSpan, limit: Self.messageByteLimit)
            } catch {
                isOver = true
                return
            }
            guard let length, let message = unread.readBytes(length: length) else { break }
            messages += 1
            let outcome = streams.respond(
                to: message,
                from: source,
                at: own,
                over: transport,
                on: context.eventLoop,
                into: &reply
            )
            switch outcome {
            case .answered: answers.writeBytes(reply)
            case .silent: break
            case .limited:
                isOver = true
                return
            }
        }
        unread.discardReadBytes()
        if unread.readableBytes == 0 {
            wait(limits.idle, context)
        } else if isBeginning || messages > 0 {
            // A message that has begun has its time, however slowly it goes on.
            wait(limits.message, context)
        }
    }

    /// Leaves the connection to the relay, which speaks TURN from here on.
    private func handOver(to turn: TURNDesk, _ context: ChannelHandlerContext) {
        guard let connection = turn.connect(context.channel, from: source, over: transport) else {
            isOver = true
            return
        }
        let next = TURNStreamHandler(turn, streams, limits: limits, connection: connection, at: own, unread: unread)
        unread = ByteBuffer()
        do {
            try context.pipeline.syncOperations.addHandler(next, position: .after(self))
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        } catch {
            isOver = true
        }
    }

    private func hold(_ isHeld: Bool, _ context: ChannelHandlerContext) {
        isHeldBack = isHeld
        context.channel.setOption(.autoRead, value: !isHeld).whenFailure { _ in }
        if isHeld { wait(limits.idle, context) }
    }

    private func wait(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.end(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        isOver = true
        context.close(promise: nil)
    }
}
