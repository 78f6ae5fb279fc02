// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOTLS

/// Waits behind TLS for the end of the handshake, then lets the protocol that was agreed take over.
///
/// What arrives between the handshake and the handlers of that protocol is kept for them.
final class HandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum State {
        case waiting
        case preparing
        case released
    }

    private let patience: TimeAmount
    private let finished: (_ protocol: String?, any Channel) -> EventLoopFuture<Void>
    private var state = State.waiting
    private var held: [ByteBuffer] = []
    private var isInputClosed = false
    private var timeout: Scheduled<Void>?

    /// Makes a handler; `finished` adds the next handlers to the channel's end.
    init(
        patience: TimeAmount,
        finished: @escaping (_ protocol: String?, any Channel) -> EventLoopFuture<Void>
    ) {
        self.patience = patience
        self.finished = finished
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: patience) {
            // Without a session there is nobody to say goodbye to.
            context.channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
        held = []
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if state == .waiting, case .some(.handshakeCompleted(let negotiated)) = event as? TLSUserEvent {
            state = .preparing
            timeout?.cancel()
            finished(negotiated, context.channel).hop(to: context.eventLoop).assumeIsolated().whenComplete { result in
                switch result {
                case .success: self.release(context)
                case .failure: context.close(promise: nil)
                }
            }
        } else if state != .released, case .some(.inputClosed) = event as? ChannelEvent {
            isInputClosed = true
            if state == .waiting { context.close(promise: nil) }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if state == .released { context.fireChannelRead(data) } else { held.append(unwrapInboundIn(data)) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if state == .released { context.fireChannelReadComplete() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if state == .released { context.fireErrorCaught(error) } else { context.close(promise: nil) }
    }

    private func release(_ context: ChannelHandlerContext) {
        guard state == .preparing, context.channel.isActive else { return }
        state = .released
        for buffer in held { context.fireChannelRead(wrapInboundOut(buffer)) }
        if !held.isEmpty { context.fireChannelReadComplete() }
        held = []
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}
