// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditWire
package import NIOCore

/// Holds the first bytes of a connection until they say what the TLS client wants, then makes way.
///
/// The bytes are passed on untouched, so that whoever serves the connection sees it from its beginning.
package final class ClientHelloHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    /// What becomes of the connection.
    package enum Decision: Sendable, Hashable {
        /// The handlers behind this one take it.
        case serve
        /// It ends with an alert.
        case refuse(TLSAlert)
        /// It ends without a word.
        case drop
    }

    /// Puts the next handlers behind the given one, on the event loop, and says what becomes of the connection.
    package typealias Decide = (Result<ClientHello, ClientHelloError>, ClientHelloHandler) -> Decision

    private enum State {
        case reading
        case refused
        case released
    }

    /// How long a client that was refused may take to read that and to close.
    private static let farewell = TimeAmount.seconds(2)

    private let patience: TimeAmount
    private let decide: Decide
    private var state = State.reading
    private var buffer = ByteBuffer()
    private var timeout: Scheduled<Void>?

    /// Makes a handler that waits for at most `patience`.
    package init(patience: TimeAmount, decide: @escaping Decide) {
        self.patience = patience
        self.decide = decide
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: patience) {
            context.close(promise: nil)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
        buffer.clear()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .refused: return
        case .released: return context.fireChannelRead(data)
        case .reading: break
        }
        var chunk = unwrapInboundIn(data)
        if buffer.readableBytes == 0 { buffer = chunk } else { buffer.writeBuffer(&chunk) }
        let found: Result<ClientHello, ClientHelloError>
        do throws(ClientHelloError) {
            guard let hello = try ClientHello.decode(buffer.readableBytesSpan) else { return }
            found = .success(hello)
        } catch {
            found = .failure(error)
        }
        conclude(found, context)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if state == .released { context.fireChannelReadComplete() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if state != .released, case .some(.inputClosed) = event as? ChannelEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if state == .released { context.fireErrorCaught(error) } else { context.close(promise: nil) }
    }

    private func conclude(_ found: Result<ClientHello, ClientHelloError>, _ context: ChannelHandlerContext) {
        switch decide(found, self) {
        case .serve:
            state = .released
            timeout?.cancel()
            let held = buffer
            buffer = ByteBuffer()
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        case .refuse(let alert): refuse(alert, context)
        case .drop:
            state = .refused
            context.close(promise: nil)
        }
    }

    /// Says why and ends its own direction first: a socket that is closed with unread bytes would take the alert back.
    private func refuse(_ alert: TLSAlert, _ context: ChannelHandlerContext) {
        state = .refused
        buffer.clear()
        timeout?.cancel()
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.farewell) {
            context.close(promise: nil)
        }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: alert.record)), promise: nil)
        context.close(mode: .output, promise: nil)
    }
}
