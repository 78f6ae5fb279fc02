// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore

/// Sends so many bytes on a stream, and looks at what comes back.
final class LabStreamSender: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var unsent: Int
    private let block: ByteBuffer
    private let holds: Bool
    private var came = 0
    private var isRight = true
    private var error: (any Error)?
    private var isOver = false
    private let ended: (Int, Bool, (any Error)?) -> Void

    /// `ended` is told how many bytes came back, whether they were those that were sent, and what went wrong. With `holds` the
    /// stream stays open.
    init(_ count: Int, block: ByteBuffer, holds: Bool, ended: @escaping (Int, Bool, (any Error)?) -> Void) {
        unsent = count
        self.block = block
        self.holds = holds
        self.ended = ended
    }

    func channelActive(context: ChannelHandlerContext) {
        fill(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        fill(context)
    }

    private func fill(_ context: ChannelHandlerContext) {
        guard unsent >= 0 else { return }
        while unsent > 0, context.channel.isWritable {
            let count = min(unsent, block.readableBytes)
            guard let slice = block.getSlice(at: block.readerIndex, length: count) else { return }
            unsent -= count
            context.writeAndFlush(wrapOutboundOut(slice), promise: nil)
        }
        guard unsent == 0 else { return }
        unsent = -1
        if holds { return }
        context.close(mode: .output, promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        while buffer.readableBytes > 0 {
            let start = came % LabQUICEnd.period
            let count = min(buffer.readableBytes, block.readableBytes - start)
            if buffer.readSlice(length: count) != block.getSlice(at: start, length: count) { isRight = false }
            came += count
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let datagram = event as? QUICDatagram else { return }
        StandardStream.line(JSONLine(["datagram": .string(String(buffer: datagram.payload))]).text)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard !isOver else { return }
        isOver = true
        ended(came, isRight, error)
    }
}

/// Sends back what comes on a stream, or only reads it.
final class LabStreamEcho: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What happens.
    enum Event {
        case datagram(ByteBuffer, of: any Channel)
        case bytes(Int)
        /// The peer has sent everything, so many bytes.
        case ended(Int)
    }

    private let isSink: Bool
    private let tell: (Event) -> Void
    private var count = 0
    private var isReadHeld = false

    init(isSink: Bool, tell: @escaping (Event) -> Void) {
        self.isSink = isSink
        self.tell = tell
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        count += buffer.readableBytes
        tell(.bytes(buffer.readableBytes))
        if !isSink { context.write(wrapOutboundOut(buffer), promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isSink { context.flush() }
    }

    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable { context.read() } else { isReadHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, isReadHeld else { return }
        isReadHeld = false
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let datagram = event as? QUICDatagram { tell(.datagram(datagram.payload, of: context.channel)) }
        guard case .inputClosed? = event as? ChannelEvent else { return }
        tell(.ended(count))
        context.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
