// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore

/// A connection of a TURN client, from its first message of TURN on (RFC 8656 section 2.1).
final class TURNStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The longest message of a client without an allocation; one that asks for something has a fifth of it.
    static let strangerByteLimit = 2048
    /// How much is read at once from a client with an allocation.
    private static let chunkByteLimit = 64 * 1024

    private let desk: TURNDesk
    private let streams: STUNStreams
    private let limits: STUNStreams.Limits
    private let own: IPEndpoint
    private let connection: TURNConnection
    private var unread: ByteBuffer
    private var reply: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var isRelaying = false
    private var isOver = false

    init(
        _ desk: TURNDesk,
        _ streams: STUNStreams,
        limits: STUNStreams.Limits,
        connection: TURNConnection,
        at own: IPEndpoint,
        unread: ByteBuffer
    ) {
        self.desk = desk
        self.streams = streams
        self.limits = limits
        self.connection = connection
        self.own = own
        self.unread = unread
    }

    func handlerAdded(context: ChannelHandlerContext) {
        wait(limits.message, context)
        serve(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        desk.disconnected(connection)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var chunk = unwrapInboundIn(data)
        if unread.readableBytes == 0 { unread = chunk } else { unread.writeBuffer(&chunk) }
        serve(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { connection.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(context)
    }

    /// Takes the whole messages that are there.
    private func serve(_ context: ChannelHandlerContext) {
        let limit = isRelaying ? STUNMessage.byteLimit : Self.strangerByteLimit
        let (taken, bindings, isBroken) = unread.withUnsafeMutableReadableBytes { bytes in
            desk.receive(bytes, from: connection, at: own.address, limit: limit)
        }
        for binding in bindings {
            guard let message = unread.getBytes(at: unread.readerIndex + binding.lowerBound, length: binding.count)
            else { continue }
            answer(message, context)
        }
        unread.moveReaderIndex(forwardBy: taken)
        if isBroken { return end(context) }
        if connection.hasAllocation != isRelaying { relayingChanged(context) }
        let isWhole = unread.readableBytes == 0
        if isWhole { unread = ByteBuffer() } else { unread.discardReadBytes() }
        // Whoever has shown a key has time: an allocation ends by itself when it is not refreshed.
        if isRelaying { return rest() }
        if isWhole {
            wait(limits.idle, context)
        } else if taken > 0 || timer == nil {
            // A message that has begun has its time, however slowly it goes on.
            wait(limits.message, context)
        }
    }

    /// Binding requests are answered as anywhere else.
    private func answer(_ message: [UInt8], _ context: ChannelHandlerContext) {
        let outcome = streams.respond(
            to: message,
            from: connection.tuple.client,
            at: own,
            over: connection.tuple.transport,
            on: context.eventLoop,
            into: &reply
        )
        guard outcome == .answered else { return }
        _ = reply.withUnsafeBytes { connection.write($0) }
    }

    /// A client with an allocation sends much, and may be silent for as long as that lasts.
    private func relayingChanged(_ context: ChannelHandlerContext) {
        isRelaying = connection.hasAllocation
        let channel = context.channel
        let allocator = AdaptiveRecvByteBufferAllocator(
            minimum: 2048,
            initial: 4096,
            maximum: isRelaying ? Self.chunkByteLimit : 4096
        )
        channel.setOption(.recvAllocator, value: allocator).whenFailure { _ in }
        let messages: UInt = isRelaying ? 4 : 1
        channel.setOption(.maxMessagesPerRead, value: messages).whenFailure { _ in }
    }

    private func rest() {
        timer?.cancel()
        timer = nil
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
