// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditWire
import NIOCore

/// Reads the answer at the head of a stream to a service, then takes itself away.
///
/// Payload may have been sent already, unless the service's end has to prove itself first. Where the answer is no, the stream is reset, and with it whoever is joined to it.
final class VisitAnswerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let patience: TimeAmount
    private let readsItself: Bool
    private var heard: ((ServiceAnswer?) -> Bool)?
    private var head = ByteBuffer()
    private var timer: Scheduled<Void>?

    /// Makes a handler that calls `heard` once, with nil when there was no answer; it says whether payload may pass.
    ///
    /// - Parameter readsItself: whether nobody behind it reads before the answer has come.
    init(patience: TimeAmount, readsItself: Bool = false, heard: @escaping (ServiceAnswer?) -> Bool) {
        self.patience = patience
        self.readsItself = readsItself
        self.heard = heard
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { [self] in
            conclude(nil)
            ChannelReset.close(context.channel)
        }
        if readsItself, context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if readsItself { context.read() }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard readsItself, heard != nil else { return context.fireChannelReadComplete() }
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        conclude(nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard heard != nil else { return }
        var piece = unwrapInboundIn(data)
        // A copy of at most an answer's length; payload behind it stays in its buffer.
        let before = head.readableBytes
        let wanted = min(piece.readableBytes, ServiceAnswer.byteLimit - before)
        if let start = piece.getSlice(at: piece.readerIndex, length: wanted) { head.writeImmutableBuffer(start) }
        do {
            guard let answer = try head.withUnsafeReadableBytes({ try ServiceAnswer.decode($0.bytes) }) else { return }
            piece.moveReaderIndex(forwardBy: answer.byteCount - before)
            guard conclude(answer) else { return ChannelReset.close(context.channel) }
        } catch {
            conclude(nil)
            return ChannelReset.close(context.channel)
        }
        if piece.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(piece)) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // An end before the answer is no end of the service's data.
        if case .some(.inputClosed) = event as? ChannelEvent, heard != nil {
            conclude(nil)
            return ChannelReset.close(context.channel)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        conclude(nil)
        context.fireChannelInactive()
    }

    @discardableResult private func conclude(_ answer: ServiceAnswer?) -> Bool {
        guard let heard else { return false }
        self.heard = nil
        timer?.cancel()
        timer = nil
        return heard(answer)
    }
}
