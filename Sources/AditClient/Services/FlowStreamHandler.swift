// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOCore

/// The stream of one flow of datagrams, at either end: most travel beside it, as datagrams of the connection.
final class FlowStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: any PeerConnection
    private var receive: ((ByteBuffer) -> Void)?
    private var closed: (() -> Void)?
    private var context: ChannelHandlerContext?
    private var unread = ByteBuffer()
    /// Whether the peer has accepted the stream, so that a datagram beside it finds its flow.
    var isAccepted: Bool

    /// Makes a handler; `receive` gets each datagram, `closed` is called once when the stream is over.
    init(
        _ connection: any PeerConnection,
        isAccepted: Bool,
        receive: @escaping (ByteBuffer) -> Void,
        closed: @escaping () -> Void
    ) {
        self.connection = connection
        self.isAccepted = isAccepted
        self.receive = receive
        self.closed = closed
    }

    /// Sends a datagram; false when it is thrown away because the way is full.
    func send(_ payload: ByteBuffer) -> Bool {
        guard let context, context.channel.isActive else { return false }
        if isAccepted, connection.sendDatagram(payload, of: context.channel) { return true }
        // What the stream holds is bounded by its water mark and one datagram.
        guard context.channel.isWritable,
            let header = try? ServiceDatagramHeader(payloadByteCount: payload.readableBytes)
        else { return false }
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        var frame = context.channel.allocator.buffer(capacity: bytes.count + payload.readableBytes)
        frame.writeBytes(bytes)
        frame.writeImmutableBuffer(payload)
        context.writeAndFlush(NIOAny(frame), promise: nil)
        return true
    }

    /// Ends the stream; nothing is told any more.
    func end() {
        receive = nil
        closed = nil
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        over()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var piece = unwrapInboundIn(data)
        let isShared = unread.readableBytes == 0
        if isShared { unread = piece } else { unread.writeBuffer(&piece) }
        while let receive {
            do {
                guard let header = try unread.withUnsafeReadableBytes({ try ServiceDatagramHeader.decode($0.bytes) })
                else { break }
                let whole = ServiceDatagramHeader.byteCount + header.payloadByteCount
                guard unread.readableBytes >= whole else { break }
                unread.moveReaderIndex(forwardBy: ServiceDatagramHeader.byteCount)
                guard let payload = unread.readSlice(length: header.payloadByteCount) else { break }
                receive(payload)
            } catch {
                return ChannelReset.close(context.channel)
            }
        }
        // What is kept is less than one datagram; the rest of a large buffer is not kept with it.
        if unread.readableBytes == 0 {
            unread = ByteBuffer()
        } else if isShared || unread.readerIndex > 0 {
            unread = ByteBuffer(bytes: unread.readableBytesView)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let datagram as QUICDatagram: receive?(datagram.payload)
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        over()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ChannelReset.close(context.channel)
    }

    private func over() {
        let closed = closed
        receive = nil
        self.closed = nil
        closed?()
    }
}
