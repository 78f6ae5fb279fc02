// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditWire
import NIOCore

/// Reads the request at the head of a stream that another device opened, and nothing behind it.
///
/// It stands in front of an `EarlyDataHandler`, which keeps what came with the request, and reads for itself until then.
/// Datagrams of the flow that come early are kept too, as many as have room.
final class ServiceRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// What came first in the stream.
    enum Opening {
        case request(ServiceRequest)
        /// A request of a version that is not spoken here.
        case otherVersion
        /// Nothing that is a request, or not in time.
        case broken
    }

    private static let datagramLimit = 64
    private static let datagramByteLimit = 256 * 1024

    private let patience: TimeAmount
    private var decide: ((Opening) -> Void)?
    private var head = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var datagrams: [ByteBuffer] = []
    private var datagramBytes = 0

    /// Makes a handler that calls `decide` once.
    init(patience: TimeAmount, decide: @escaping (Opening) -> Void) {
        self.patience = patience
        self.decide = decide
    }

    /// Gives away the datagrams that came early; called before the handler is removed.
    func takeDatagrams() -> [ByteBuffer] {
        defer { datagrams = [] }
        return datagrams
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { [self] in conclude(.broken) }
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if decide != nil { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard decide != nil else { return context.fireChannelRead(data) }
        var piece = unwrapInboundIn(data)
        // A copy of at most a request's length; payload behind it stays in its buffer.
        let before = head.readableBytes
        let wanted = min(piece.readableBytes, ServiceRequest.byteLimit - before)
        if let start = piece.getSlice(at: piece.readerIndex, length: wanted) { head.writeImmutableBuffer(start) }
        let opening: Opening
        do {
            let request = try head.withUnsafeReadableBytes { try ServiceRequest.decode($0.bytes) }
            guard let request else { return }
            piece.moveReaderIndex(forwardBy: request.byteCount - before)
            opening = .request(request)
        } catch WireError.invalidField(offset: 0, found: _) {
            opening = .otherVersion
        } catch {
            opening = .broken
        }
        head = ByteBuffer()
        if case .request = opening, piece.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(piece)) }
        conclude(opening)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard decide != nil else { return context.fireChannelReadComplete() }
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let datagram as QUICDatagram:
            let count = datagram.payload.readableBytes
            guard datagrams.count < Self.datagramLimit, datagramBytes + count <= Self.datagramByteLimit else { return }
            datagrams.append(datagram.payload)
            datagramBytes += count
        case ChannelEvent.inputClosed where decide != nil: conclude(.broken)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        if decide != nil { conclude(.broken) }
        context.fireChannelInactive()
    }

    private func conclude(_ opening: Opening) {
        guard let decide else { return }
        self.decide = nil
        timer?.cancel()
        timer = nil
        decide(opening)
    }
}
