// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import NIOCore
import NIOPosix

/// What a look at a target found.
package enum ProbeResult: Sendable, Equatable {
    /// It accepts connections; nothing was asked.
    case accepts(after: Duration)
    /// It answered a request; `start` is the beginning of the answer, at most 4 KiB.
    case answered(status: Int, after: Duration, start: String)
    /// It speaks TLS where clear text was expected.
    case speaksTLS
    /// It speaks clear text where TLS was expected.
    case speaksClear
    /// It accepted the connection and answered nothing that is HTTP.
    case silent(after: Duration)
    /// Nothing speaks against it, and nothing can be proven: silence is normal for UDP.
    case unproven
    /// It could not be reached.
    case failed(TargetFailure)
}

/// Looks at a target once, as a visitor would: a connection for tcp, a request for `/` for web names.
package struct TargetProbe: Sendable {
    private let dialer: TargetDialer
    private let patience: TimeAmount

    /// Makes a probe; an answer is waited for as long as `patience`.
    package init(dialer: TargetDialer, patience: TimeAmount = .seconds(3)) {
        self.dialer = dialer
        self.patience = patience
    }

    /// Looks at the target; `host` is sent as the Host header instead of the target's own name. Never fails.
    package func look(
        at target: TunnelTarget,
        host: String? = nil,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<ProbeResult> {
        guard target.scheme != .tcp else { return connectOnly(target, allowed: allowed, on: loop) }
        return ask(target, host: host ?? target.authority, allowed: allowed, on: loop).flatMap { result in
            guard case .silent = result, target.scheme == .http else { return loop.makeSucceededFuture(result) }
            // A server of TLS often just hangs up on clear text: a handshake tells.
            return handshakes(target, allowed: allowed, on: loop).map { $0 ? .speaksTLS : result }
        }
    }

    private func connectOnly(
        _ target: TunnelTarget,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<ProbeResult> {
        let start = NIODeadline.now()
        return dialer.open(target, allowed: allowed, on: loop, isSecure: false) {
            $0.eventLoop.makeSucceededVoidFuture()
        }
        .map { channel in
            channel.close(promise: nil)
            return .accepts(after: Self.time(since: start))
        }
        .flatMapErrorThrowing { .failed(TargetDialer.failure($0)) }
    }

    private func ask(
        _ target: TunnelTarget,
        host: String,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<ProbeResult> {
        let start = NIODeadline.now()
        let answer = loop.makePromise(of: [UInt8].self)
        let request = "GET / HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: adit\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        let patience = self.patience
        return dialer.open(target, allowed: allowed, on: loop, isSecure: target.scheme == .https) { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = AnswerCollector(request: request, patience: patience, answer: answer)
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }
        .flatMap { _ in answer.futureResult }
        .map { Self.judge($0, after: Self.time(since: start)) }
        .flatMapErrorThrowing { error in
            answer.fail(error)
            let failure = TargetDialer.failure(error)
            if case .tls = failure, target.scheme == .https { return .speaksClear }
            return .failed(failure)
        }
    }

    private func handshakes(
        _ target: TunnelTarget,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<Bool> {
        var secure = target
        secure.scheme = .https
        return ask(secure, host: target.authority, allowed: allowed, on: loop).map { result in
            if case .answered = result { true } else { false }
        }
    }

    /// Reads the beginning of an answer.
    static func judge(_ bytes: [UInt8], after: Duration) -> ProbeResult {
        if bytes.count >= 2, bytes[0] == 0x15, bytes[1] == 0x03 { return .speaksTLS }
        let text = String(decoding: bytes, as: UTF8.self)
        let head = text.prefix { $0 != "\r\n" && $0 != "\n" }.split(separator: " ")
        guard head.count >= 2, head[0].hasPrefix("HTTP/1."), head[1].utf8.count == 3, let status = Int(head[1]) else {
            return .silent(after: after)
        }
        if status == 400, text.contains("HTTPS") { return .speaksTLS }
        return .answered(status: status, after: after, start: text)
    }

    private static func time(since start: NIODeadline) -> Duration {
        .nanoseconds((NIODeadline.now() - start).nanoseconds)
    }
}

/// Sends a request and collects the beginning of the answer: up to 4 KiB, the end of data, or the end of patience.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: String
    private let patience: TimeAmount
    private let answer: EventLoopPromise<[UInt8]>
    private var bytes: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var hasAsked = false

    init(request: String, patience: TimeAmount, answer: EventLoopPromise<[UInt8]>) {
        self.request = request
        self.patience = patience
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        ask(context)
        context.fireChannelActive()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { ask(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
        if bytes.count >= 4096 { finish(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { finish(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        timer?.cancel()
        // Bytes before an untidy end are an answer all the same, and a reset is one too: a server of TLS does that.
        if bytes.isEmpty, !(error is IOError) { answer.fail(error) } else { answer.succeed(bytes) }
        context.close(promise: nil)
    }

    private func ask(_ context: ChannelHandlerContext) {
        guard !hasAsked else { return }
        hasAsked = true
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { self.finish(context) }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: request)), promise: nil)
    }

    private func finish(_ context: ChannelHandlerContext) {
        timer?.cancel()
        answer.succeed(Array(bytes.prefix(4096)))
        context.close(promise: nil)
    }
}
