// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A device with a real session that answers every visitor through a service of the test.
final class TestDevice: Sendable {
    let session: DeviceSession
    let key: DeviceKey
    private let events: EventLog

    init(
        _ server: TestServer,
        key: DeviceKey? = nil,
        name: String = "laptop",
        invite: [UInt8]? = nil,
        token: String? = nil,
        isFRP: Bool = false,
        isGuest: Bool = false,
        service: @escaping @Sendable (any Channel) -> Void = EchoService.serve,
        change: (inout DeviceSessionConfiguration) -> Void = { _ in }
    ) async throws {
        let key = try key ?? DeviceKey(seed: RandomBytes.system(32))
        let credentials: DeviceCredentials =
            if isGuest {
                .guest(token: token ?? "", key)
            } else if isFRP {
                .frpToken(token ?? "")
            } else if let token {
                .token(token, key)
            } else {
                .device(key, invite: invite)
            }
        var configuration = DeviceSessionConfiguration(
            server: HostPort(host: "127.0.0.1", port: server.server.sessionPort),
            credentials: credentials,
            serverTrust: isFRP || isGuest ? .unverified(name: "") : .pinned(server.server.fingerprint)
        )
        configuration.deviceName = name
        change(&configuration)
        self.key = key
        let events = EventLog(service: service)
        let loop = server.group.next()
        let settled = configuration
        self.events = events
        session = try await loop.submit {
            DeviceSession(
                configuration: settled,
                eventLoop: loop,
                delegate: events,
                logger: Logger(label: "device") { _ in SwiftLogNoOpLogHandler() }
            )
        }.get()
        session.start()
    }

    /// Waits for the first event, also one of the past, that `match` makes something of.
    func wait<Value: Sendable>(_ match: @escaping @Sendable (DeviceSessionEvent) -> Value?) async throws -> Value {
        try await events.wait(match, on: session.eventLoop)
    }

    /// Waits for the login.
    func connected() async throws -> DeviceConnection {
        try await wait { if case .connected(let connection) = $0 { connection } else { nil } }
    }

    /// Waits for the server's refusal of the login.
    func refused() async throws -> AditError {
        try await wait { event in
            switch event {
            case .refused(let error), .disconnected(let error, _): error
            default: nil
            }
        }
    }

    /// Waits until the device has given up because the server will not have it.
    func turnedAway() async throws -> AditError {
        try await wait { if case .refused(let error) = $0 { error } else { nil } }
    }

    /// Asks for a tunnel and waits for its public addresses.
    func open(_ proxy: FRPNewProxy) async throws -> FRPNewProxyResponse {
        session.register(proxy)
        let name = proxy.proxyName
        let answer: Result<FRPNewProxyResponse, AditError> = try await wait { event in
            switch event {
            case .registered(let response) where response.proxyName == name: .success(response)
            case .registrationFailed(name, let error, _): .failure(error)
            default: nil
            }
        }
        return try answer.get()
    }

    /// Waits until the server has ended a tunnel.
    func closed(_ name: String) async throws -> AditError {
        try await wait { if case .tunnelClosed(name, let error) = $0 { error } else { nil } }
    }

    func stop() async throws {
        try await session.stop().get()
    }
}

/// Remembers events and wakes those who wait for one.
private final class EventLog: DeviceSessionDelegate {
    private struct State {
        var events: [DeviceSessionEvent] = []
        var waiters: [@Sendable (DeviceSessionEvent) -> Bool] = []
    }

    private let state = NIOLockedValueBox(State())
    private let service: @Sendable (any Channel) -> Void

    init(service: @escaping @Sendable (any Channel) -> Void) {
        self.service = service
    }

    func sessionEvent(_ event: DeviceSessionEvent) {
        state.withLockedValue { state in
            state.events.append(event)
            state.waiters.removeAll { $0(event) }
        }
    }

    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        service(channel)
    }

    func wait<Value: Sendable>(
        _ match: @escaping @Sendable (DeviceSessionEvent) -> Value?,
        on loop: any EventLoop
    ) async throws -> Value {
        let promise = loop.makePromise(of: Value.self)
        state.withLockedValue { state in
            for event in state.events {
                if let value = match(event) { return promise.succeed(value) }
            }
            state.waiters.append { event in
                guard let value = match(event) else { return false }
                promise.succeed(value)
                return true
            }
        }
        let timer = loop.scheduleTask(in: .seconds(20)) { promise.fail(TestTimeout()) }
        defer { timer.cancel() }
        return try await promise.futureResult.get()
    }
}

struct TestTimeout: Error {}

/// Services behind the tunnel: what the device does with a visitor's bytes.
enum EchoService {
    /// Sends back what comes.
    @Sendable static func serve(_ channel: any Channel) {
        install(channel, EchoHandler())
    }

    /// Answers each request of HTTP with 200 and a fixed body.
    @Sendable static func page(_ channel: any Channel) {
        install(channel, PageHandler())
    }

    private static func install(_ channel: any Channel, _ handler: some ChannelHandler & Sendable) {
        channel.eventLoop.execute {
            try? channel.pipeline.syncOperations.addHandler(handler)
            if let early = try? channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self) {
                early.handOver()
            }
            channel.read()
        }
    }

    // Handlers live on one event loop each and hold no state that another thread sees.
    private final class EchoHandler: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(data, promise: nil)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { context.close(mode: .output, promise: nil) }
        }
    }

    private final class PageHandler: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        private var head = ""

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            head += String(buffer: unwrapInboundIn(data))
            guard head.contains("\r\n\r\n") else { return }
            head = ""
            let reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
            context.writeAndFlush(NIOAny(ByteBuffer(string: reply)), promise: nil)
        }
    }
}

/// A visitor's plain TCP connection.
struct Visitor {
    private let channel: any Channel
    private let collector: Collector

    static func connect(
        _ port: UInt16,
        to address: String = "127.0.0.1",
        from source: String? = nil
    ) async throws -> Visitor {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let collector = Collector(loop)
        var bootstrap = ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(collector) }
            }
        if let source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
        let channel = try await bootstrap.connect(host: address, port: Int(port)).get()
        return Visitor(channel: channel, collector: collector)
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    func finish() async throws {
        try await channel.close(mode: .output).get()
    }

    /// Everything received when `text` is among it.
    func receive(_ text: String) async throws -> String {
        try await collector.wait { received, _ in received.contains(text) }
    }

    /// Everything received when that is `text`, or when the other side has ended.
    func receive(orEnd text: String) async throws -> String {
        try await collector.wait { received, isEnded in isEnded || received == text }
    }

    /// Everything received when the other side has ended.
    func rest() async throws -> String {
        try await collector.wait { _, isEnded in isEnded }
    }

    func close() async throws {
        try? await channel.close().get()
    }

    // Touched on its event loop alone.
    private final class Collector: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        private let loop: any EventLoop
        private var received = ""
        private var isEnded = false
        private var waiters: [(condition: (String, Bool) -> Bool, promise: EventLoopPromise<String>)] = []

        init(_ loop: any EventLoop) { self.loop = loop }

        func wait(_ condition: @escaping @Sendable (String, Bool) -> Bool) async throws -> String {
            let promise = loop.makePromise(of: String.self)
            loop.execute {
                self.waiters.append((condition, promise))
                self.wake()
            }
            let timer = loop.scheduleTask(in: .seconds(20)) { promise.fail(TestTimeout()) }
            defer { timer.cancel() }
            return try await promise.futureResult.get()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            wake()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { end() }
        }

        func channelInactive(context: ChannelHandlerContext) { end() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func end() {
            isEnded = true
            wake()
        }

        private func wake() {
            waiters.removeAll { waiter in
                guard waiter.condition(received, isEnded) else { return false }
                waiter.promise.succeed(received)
                return true
            }
        }
    }
}
