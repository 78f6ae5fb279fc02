// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// Connects to the first of several addresses that answers, within a time.
enum ProbeConnector {
    /// None of the addresses answered.
    struct Failed: Error {
        var failures: [ConnectFailure]
    }

    /// A connection, from which nothing is read yet.
    struct Connected: Sendable {
        var channel: any Channel
        /// What came all the same, from somebody who spoke first and hung up.
        var keeper: NIOLoopBoundBox<FirstBytesKeeper>
        var address: IPEndpoint
        /// What became of the addresses that failed before.
        var failures: [ConnectFailure]
    }

    /// Tries all addresses at once, at most six of them.
    ///
    /// - Throws: in the future, `Failed`.
    static func connect(
        to addresses: [IPEndpoint],
        on loop: any EventLoop,
        limit: Duration
    ) -> EventLoopFuture<Connected> {
        let promise = loop.makePromise(of: Connected.self)
        let tried = Array(addresses.prefix(6))
        let state = Mutex((isDone: false, failures: [ConnectFailure]()))
        let shared = Shared(state: state)
        for address in tried {
            let keeper = NIOLoopBoundBox.makeBoxSendingValue(FirstBytesKeeper(), eventLoop: loop)
            // Nothing is read before whoever asked has installed a handler.
            let bootstrap = ClientBootstrap(group: loop)
                .connectTimeout(.nanoseconds(limit.wholeNanoseconds))
                .channelOption(.autoRead, value: false)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(keeper.value)
                    }
                }
            let connected: EventLoopFuture<any Channel>
            do {
                let place = try SocketAddress(
                    packedIPAddress: ByteBuffer(bytes: address.address.bytes),
                    port: Int(address.port)
                )
                connected = bootstrap.connect(to: place)
            } catch {
                connected = loop.makeFailedFuture(error)
            }
            connected.whenComplete { result in
                switch result {
                case .success(let channel):
                    let (isFirst, failures) = shared.state.withLock { state in
                        defer { state.isDone = true }
                        return (!state.isDone, state.failures)
                    }
                    guard isFirst else { return channel.close(promise: nil) }
                    promise.succeed(
                        Connected(channel: channel, keeper: keeper, address: address, failures: failures)
                    )
                case .failure(let error):
                    let failure = ConnectFailure(address, error, limit: limit)
                    let all = shared.state.withLock { state in
                        state.failures.append(failure)
                        return state.failures
                    }
                    if all.count == tried.count { promise.fail(Failed(failures: all)) }
                }
            }
        }
        if tried.isEmpty { promise.fail(Failed(failures: [])) }
        return promise.futureResult
    }

    private final class Shared: Sendable {
        let state: Mutex<(isDone: Bool, failures: [ConnectFailure])>

        init(state: consuming Mutex<(isDone: Bool, failures: [ConnectFailure])>) {
            self.state = state
        }
    }
}

extension ConnectFailure {
    fileprivate init(_ address: IPEndpoint, _ error: any Error, limit: Duration) {
        if case .connectTimeout? = error as? ChannelError {
            let seconds = Int(limit.inSeconds.rounded(.up))
            self.init(address: address, end: .timedOut, reason: "no answer in \(seconds) s")
            return
        }
        guard let error = error as? IOError else {
            self.init(address: address, end: .denied, reason: "\(error)")
            return
        }
        let end: SocketEnd
        switch error.errnoCode {
        case ECONNREFUSED: end = .refused
        case ETIMEDOUT: end = .timedOut
        case ECONNRESET: end = .reset
        case EACCES, EPERM: end = .denied
        default: end = .unreachable
        }
        self.init(address: address, end: end, reason: String(cString: strerror(error.errnoCode)))
    }
}

/// Sends a request once a connection is up, and reads until the answer is decided.
///
/// The promise is kept once: with what `judge` makes of the bytes, at the latest at the end of the connection or of the time.
final class ProbeExchange<Answer: Sendable>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How an exchange came to its end.
    enum End {
        /// More may come.
        case open
        /// The other side has sent everything.
        case closed
        /// The time is over.
        case timedOut
        /// The connection or its TLS failed; the words.
        case failed(String)
    }

    static var byteLimit: Int { 64 * 1024 }

    private let request: [UInt8]
    private let isTLS: Bool
    private let limit: TimeAmount
    private let judge: ([UInt8], End) -> Answer?
    private let promise: EventLoopPromise<Answer>
    private let otherwise: Answer
    private var bytes: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var isOver = false

    init(
        request: [UInt8],
        isTLS: Bool,
        limit: Duration,
        otherwise: Answer,
        promise: EventLoopPromise<Answer>,
        judge: @escaping ([UInt8], End) -> Answer?
    ) {
        self.request = request
        self.isTLS = isTLS
        self.limit = .nanoseconds(limit.wholeNanoseconds)
        self.otherwise = otherwise
        self.promise = promise
        self.judge = judge
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.end(.timedOut, context) }
        guard context.channel.isActive else { return end(.closed, context) }
        if !isTLS { send(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isTLS, case .handshakeCompleted? = event as? TLSUserEvent { send(context) }
        if case .inputClosed? = event as? ChannelEvent { end(.closed, context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        bytes += unwrapInboundIn(data).readableBytesView
        if bytes.count > Self.byteLimit { return end(.closed, context) }
        if let answer = judge(bytes, .open) { finish(answer, context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failed(ProbeWords.words(error)), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.closed, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(.closed, context)
    }

    private func send(_ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
    }

    private func end(_ end: End, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        finish(judge(bytes, end) ?? otherwise, context)
    }

    private func finish(_ answer: Answer, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        promise.succeed(answer)
        context.close(promise: nil)
    }
}

/// Keeps the first bytes that come on a connection, before TLS looks at them.
final class FirstBytesKeeper: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var bytes: [UInt8] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if bytes.count < 2048 { bytes += unwrapInboundIn(data).readableBytesView.prefix(2048 - bytes.count) }
        context.fireChannelRead(data)
    }
}

/// What went wrong with a connection, in few words.
enum ProbeWords {
    static func words(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        if let error = error as? NIOSSLError, case .uncleanShutdown = error { return "the connection was closed" }
        // BoringSSL's reasons look like `… :SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER at …`.
        let text = "\(error)"
        if let start = text.firstRange(of: "OPENSSL_internal:") {
            let reason = text[start.upperBound...].prefix { $0.isLetter || $0 == "_" || $0.isNumber }
            return "TLS: " + reason.lowercased().split(separator: "_").joined(separator: " ")
        }
        return String(text.prefix(120))
    }
}
