// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// A visitor's TLS connection.
final class SecureVisitor: Sendable {
    /// What the connection has brought so far.
    struct Seen: Sendable {
        var text = ""
        var byteCount = 0
        var isReady = false
        var isEnded = false
        var failure: String?
    }

    private let channel: any Channel
    private let reader: Reader

    private init(_ channel: any Channel, _ reader: Reader) {
        self.channel = channel
        self.reader = reader
    }

    /// Opens a connection; its handshake may still fail.
    ///
    /// - Parameters:
    ///   - name: the server name; nil for none.
    ///   - trusting: the certificate that the server has to show; nil for any.
    ///   - isSlow: reads piece by piece with a pause after each.
    static func connect(
        _ port: UInt16,
        name: String?,
        trusting certificate: SelfSignedCertificate?,
        maximumVersion: TLSVersion? = nil,
        isSlow: Bool = false
    ) async throws -> SecureVisitor {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.maximumTLSVersion = maximumVersion
        configuration.minimumTLSVersion = .tlsv1
        configuration.applicationProtocols = ["http/1.1"]
        if let certificate {
            configuration.trustRoots = .certificates(try certificate.certificates())
            if name == nil { configuration.certificateVerification = .noHostnameVerification }
        } else {
            configuration.certificateVerification = .none
        }
        let context = try NIOSSLContext(configuration: configuration)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let reader = Reader(loop, isSlow: isSlow)
        let channel = try await ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: !isSlow)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try NIOSSLClientHandler(context: context, serverHostname: name)
                    try channel.pipeline.syncOperations.addHandlers([tls, reader])
                }
            }
            .connect(host: "127.0.0.1", port: Int(port)).get()
        return SecureVisitor(channel, reader)
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    func finish() async throws {
        try await channel.close(mode: .output).get()
    }

    func close() async throws {
        try? await channel.close().get()
    }

    /// What has come when `isEnough` says so.
    func wait(_ isEnough: @escaping @Sendable (Seen) -> Bool) async throws -> Seen {
        try await reader.wait(isEnough)
    }

    /// Everything when the other side has ended.
    func rest() async throws -> Seen {
        try await wait { $0.isEnded }
    }

    /// The whole answer to one request for `/`.
    static func get(
        _ port: UInt16,
        name: String?,
        host: String? = nil,
        trusting certificate: SelfSignedCertificate?,
        target: String = "/"
    ) async throws -> Seen {
        let visitor = try await connect(port, name: name, trusting: certificate)
        let host = host ?? name ?? "localhost"
        try? await visitor.send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
        return try await visitor.rest()
    }

    // Touched on its event loop alone.
    private final class Reader: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        private static let kept = 1 << 16

        private let loop: any EventLoop
        private let isSlow: Bool
        private var seen = Seen()
        private var waiters: [(condition: @Sendable (Seen) -> Bool, promise: EventLoopPromise<Seen>)] = []

        init(_ loop: any EventLoop, isSlow: Bool) {
            self.loop = loop
            self.isSlow = isSlow
        }

        func wait(_ condition: @escaping @Sendable (Seen) -> Bool) async throws -> Seen {
            let promise = loop.makePromise(of: Seen.self)
            loop.execute {
                self.waiters.append((condition, promise))
                self.wake()
            }
            let timer = loop.scheduleTask(in: .seconds(30)) { promise.fail(TestTimeout()) }
            defer { timer.cancel() }
            return try await promise.futureResult.get()
        }

        func channelActive(context: ChannelHandlerContext) {
            if isSlow { context.read() }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            seen.byteCount += buffer.readableBytes
            if seen.text.utf8.count < Self.kept { seen.text += String(buffer: buffer) }
            wake()
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            guard isSlow else { return }
            let channel = context.channel
            loop.scheduleTask(in: .milliseconds(1)) { channel.read() }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.handshakeCompleted) = event as? TLSUserEvent {
                seen.isReady = true
                wake()
            } else if case .some(.inputClosed) = event as? ChannelEvent {
                end()
            }
        }

        func channelInactive(context: ChannelHandlerContext) { end() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if seen.failure == nil { seen.failure = "\(error)" }
            context.close(promise: nil)
        }

        private func end() {
            seen.isEnded = true
            wake()
        }

        private func wake() {
            waiters.removeAll { waiter in
                guard waiter.condition(seen) else { return false }
                waiter.promise.succeed(seen)
                return true
            }
        }
    }
}

/// Services behind a tunnel that answer requests.
enum WebService {
    /// Answers with the head of the request, on a plain connection.
    @Sendable static func mirror(_ channel: any Channel) {
        install(channel, nil) { head in "HTTP/1.1 200 OK\r\nContent-Length: \(head.utf8.count)\r\n\r\n" + head }
    }

    /// Answers "inside" within TLS of its own, and ends.
    static func secure(_ context: NIOSSLContext) -> @Sendable (any Channel) -> Void {
        { channel in
            install(channel, context, ends: true) { _ in
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ninside"
            }
        }
    }

    /// Answers with so many bytes and ends; within TLS of its own when there is a context.
    static func flood(_ byteCount: Int, _ context: NIOSSLContext?) -> @Sendable (any Channel) -> Void {
        { channel in
            install(channel, context, ends: true) { _ in
                "HTTP/1.1 200 OK\r\nContent-Length: \(byteCount)\r\nConnection: close\r\n\r\n"
                    + String(repeating: "x", count: byteCount)
            }
        }
    }

    private static func install(
        _ channel: any Channel,
        _ context: NIOSSLContext?,
        ends: Bool = false,
        answer: @escaping @Sendable (String) -> String
    ) {
        channel.eventLoop.execute {
            let operations = channel.pipeline.syncOperations
            if let context { try? operations.addHandler(NIOSSLServerHandler(context: context)) }
            try? operations.addHandler(AnswerHandler(ends: ends, answer: answer))
            try? operations.handler(type: EarlyDataHandler.self).handOver()
            channel.read()
        }
    }

    private final class AnswerHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let ends: Bool
        private let answer: @Sendable (String) -> String
        private var head = ""

        init(ends: Bool, answer: @escaping @Sendable (String) -> String) {
            self.ends = ends
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            head += String(buffer: unwrapInboundIn(data))
            guard head.contains("\r\n\r\n") else { return }
            let written = context.eventLoop.makePromise(of: Void.self)
            context.writeAndFlush(NIOAny(ByteBuffer(string: answer(head))), promise: written)
            head = ""
            guard ends else { return }
            written.futureResult.assumeIsolated().whenSuccess { context.close(mode: .output, promise: nil) }
        }
    }
}
