// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import NIOCore
import NIOSSL
import NIOTLS

/// Opens connections to the server, up to the point where the session's own bytes can flow.
struct DeviceConnector: Sendable {
    /// A connection that is ready.
    struct Ready {
        var channel: any Channel
        var fingerprint: KeyFingerprint?
    }

    let dialer: Dialer
    let tls: ClientTLS?
    let sendsTLSMarker: Bool
    let timeout: TimeAmount

    /// Connects, and calls `onReady` at the moment when TLS is up, before any byte is read, to install what comes next.
    ///
    /// - Throws: in the future, `DialFailure`, or `SessionEnd` when TLS does not come up.
    func connect(
        on eventLoop: any EventLoop,
        onReady: @escaping (Ready) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let ready = eventLoop.makePromise(of: Void.self)
        let callback = NIOLoopBound(onReady, eventLoop: eventLoop)
        let connected = dialer.connect(on: eventLoop) { [tls, sendsTLSMarker, timeout] channel in
            channel.eventLoop.makeCompletedFuture {
                var handlers: [any ChannelHandler] = []
                var check: PinCheck?
                if let tls {
                    if sendsTLSMarker { handlers.append(TLSMarkerHandler()) }
                    let made = try tls.makeHandler()
                    check = made.check
                    handlers.append(made.handler)
                    handlers.append(TLSCloseHandler())
                }
                handlers.append(
                    ReadinessHandler(check: check, timeout: timeout) { result in
                        switch result {
                        case .success(let fingerprint):
                            do {
                                try callback.value(Ready(channel: channel, fingerprint: fingerprint))
                                ready.succeed()
                            } catch {
                                ready.fail(error)
                                channel.close(promise: nil)
                            }
                        case .failure(let reason):
                            ready.fail(reason)
                            channel.close(promise: nil)
                        }
                    }
                )
                try channel.pipeline.syncOperations.addHandlers(handlers)
            }
        }
        return connected.flatMapThrowing { channel in
            // Happy Eyeballs prepares a channel for each address; only the winner may go on.
            try channel.pipeline.syncOperations.handler(type: ReadinessHandler.self).choose()
            return channel
        }
        .flatMap { channel in ready.futureResult.map { channel } }
        .flatMapErrorThrowing { error in
            // The promise has to be kept also when there was no winner.
            ready.fail(error)
            throw error
        }
    }
}

/// Writes frp's custom first byte in front of TLS.
private final class TLSMarkerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(ByteBuffer(bytes: [0x17])), promise: nil)
        context.fireChannelActive()
    }
}

/// Tells when a connection is up: at once without TLS, after the handshake with it.
private final class ReadinessHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let check: PinCheck?
    private let timeout: TimeAmount
    private let onResult: (Result<KeyFingerprint?, SessionEnd>) -> Void
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    private var outcome: Result<KeyFingerprint?, SessionEnd>?
    private var isChosen = false
    private var isDone = false

    init(check: PinCheck?, timeout: TimeAmount, onResult: @escaping (Result<KeyFingerprint?, SessionEnd>) -> Void) {
        self.check = check
        self.timeout = timeout
        self.onResult = onResult
    }

    /// This connection is the one that will be used.
    func choose() {
        isChosen = true
        deliver()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelActive(context: ChannelHandlerContext) {
        if check == nil {
            finish(.success(nil))
        } else {
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [self] in
                finish(.failure(.connectionLost("no TLS handshake in time")))
            }
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent {
            do {
                let certificate = try context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
                finish(.success(try certificate?.keyFingerprint()))
            } catch {
                finish(.failure(.connectionLost("\(error)")))
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isDone { return context.fireErrorCaught(error) }
        if let untrusted = check?.failure(error) {
            finish(.failure(.refused(untrusted)))
        } else {
            finish(.failure(.connectionLost("\(error)")))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(.connectionLost("the server closed the connection during the TLS handshake")))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        deadline?.cancel()
        deadline = nil
    }

    private func finish(_ result: Result<KeyFingerprint?, SessionEnd>) {
        guard outcome == nil else { return }
        outcome = result
        deadline?.cancel()
        deadline = nil
        deliver()
    }

    /// A connection that lost the race to another address has nothing to say.
    private func deliver() {
        guard isChosen, !isDone, let outcome else { return }
        isDone = true
        onResult(outcome)
        if let context, case .success = outcome {
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        }
    }
}
