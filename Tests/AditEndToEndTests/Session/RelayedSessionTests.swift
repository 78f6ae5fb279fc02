// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// A visitor's socket, through the server, a session, and the device, to a service's socket and back.
@Suite("Bytes through a whole session")
struct RelayedSessionTests {
    struct Way: Sendable, CustomStringConvertible {
        var description: String
        var isAdit = false
        var version = FRPWireVersion.v2
        var isTLS = true
        var isMultiplexed = true
        var isTransformed = false
    }

    private static let group = MultiThreadedEventLoopGroup.singleton

    @Test(
        "Megabytes arrive whole in both directions although the sender ends early and the reader is slow",
        arguments: [
            Way(description: "Adit", isAdit: true),
            Way(description: "v1 tls mux transformed", version: .v1, isTransformed: true),
            Way(description: "v2 tls mux"),
            Way(description: "v1 plain no mux", version: .v1, isTLS: false, isMultiplexed: false),
            Way(description: "v2 tls no mux transformed", isMultiplexed: false, isTransformed: true),
        ]
    )
    func earlyEnd(_ way: Way) async throws {
        let bytes = Self.pattern(way.isTransformed ? 1024 * 1024 : 8 * 1024 * 1024)
        let service = try await Self.service(answeringWith: bytes)
        let servicePort = try #require(service.localAddress?.port)
        let key = try DeviceKey(seed: [UInt8](repeating: 4, count: 32))
        let tls = try ServerTLS(SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000))
        let policy = OpenPolicy()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let acceptor = SessionAcceptor(policy: policy, tls: tls, logger: logger)
        let server = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { acceptor.initialize($0) }
            .bind(host: "127.0.0.1", port: 0).get()

        let port = UInt16(try #require(server.localAddress?.port))
        var configuration = DeviceSessionConfiguration(
            server: HostPort(host: "127.0.0.1", port: port),
            credentials: way.isAdit ? .device(key, invite: nil) : .frpToken("secret"),
            serverTrust: way.isTLS ? .pinned(tls.fingerprint) : .plain
        )
        configuration.wireVersion = way.version
        configuration.isMultiplexed = way.isMultiplexed
        let delegate = RelayDelegate(servicePort: servicePort)
        let device = DeviceSession(
            configuration: configuration,
            eventLoop: Self.group.next(),
            delegate: delegate,
            logger: logger
        )
        device.register(
            FRPNewProxy(
                proxyName: "p",
                proxyType: "tcp",
                useEncryption: way.isTransformed,
                useCompression: way.isTransformed
            )
        )
        device.start()
        let session = try await policy.tunnel(on: server.eventLoop).get()

        let door = try await Self.door(to: session)
        let received = server.eventLoop.makePromise(of: [UInt8].self)
        let visitor = try await ClientBootstrap(group: Self.group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        EndPoint(sends: bytes, when: .atOnce, received: received)
                    )
                }
            }
            .connect(host: "127.0.0.1", port: try #require(door.localAddress?.port)).get()
        let limit = server.eventLoop.scheduleTask(in: .seconds(60)) { received.fail(ChannelError.eof) }
        let answer = try await received.futureResult.get()
        limit.cancel()
        #expect(answer.count == bytes.count)
        #expect(answer == bytes)
        try? await visitor.close().get()
        try await device.stop().get()
        for channel in [door, server, service] { try await channel.close().get() }
    }

    /// A service that reads slowly to the end, checks what it got, and only then answers.
    private static func service(answeringWith bytes: [UInt8]) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let received = channel.eventLoop.makePromise(of: [UInt8].self)
                    try channel.pipeline.syncOperations.addHandler(
                        EndPoint(sends: bytes, when: .afterPeersEnd, received: received)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// The public port of the tunnel.
    private static func door(to session: ServerSession) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .childChannelInitializer { visitor in
                visitor.eventLoop.makeCompletedFuture {
                    try visitor.pipeline.syncOperations.addHandler(EarlyDataHandler())
                    session.openWorkConnection(proxyName: "p", visitor: nil, local: nil).whenComplete { result in
                        switch result {
                        case .success(let work): _ = Relay.join(visitor, work)
                        case .failure: visitor.close(promise: nil)
                        }
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private static func pattern(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: 11)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        // Half of it repeats, so that compression has something to do.
        while bytes.count < count {
            bytes.appendBigEndian(generator.next())
            bytes.appendBigEndian(UInt64(bytes.count))
        }
        return bytes
    }
}

/// Lets everybody in and opens every tunnel.
private final class OpenPolicy: ServerSessionPolicy {
    private struct State: Sendable {
        var session: ServerSession?
        var promise: EventLoopPromise<ServerSession>?
    }

    private let state = NIOLockedValueBox(State())

    func tunnel(on eventLoop: any EventLoop) -> EventLoopFuture<ServerSession> {
        let promise = eventLoop.makePromise(of: ServerSession.self)
        let session = state.withLockedValue { state in
            state.promise = promise
            return state.session
        }
        if let session { promise.succeed(session) }
        return promise.futureResult
    }

    func authorize(_ request: LoginRequest, on eventLoop: any EventLoop) -> EventLoopFuture<LoginDecision> {
        let identity: DeviceIdentity =
            if let device = request.device { .device(device.key, name: device.name) } else {
                .frp(user: "", clientID: "")
            }
        return eventLoop.makeSucceededFuture(.accept(LoginAcceptance(identity: identity, token: "secret")))
    }

    func sessionOpened(_ session: ServerSession) {}

    func openTunnel(_ request: FRPNewProxy, for session: ServerSession) -> EventLoopFuture<FRPNewProxyResponse> {
        let answer = session.eventLoop.makeSucceededFuture(FRPNewProxyResponse(proxyName: request.proxyName))
        // The machine knows the tunnel only when the answer has been handed in.
        session.eventLoop.execute { [state] in
            let promise = state.withLockedValue { state in
                state.session = session
                return state.promise
            }
            promise?.succeed(session)
        }
        return answer
    }

    func closeTunnel(named name: String, for session: ServerSession) {}
    func sessionClosed(_ session: ServerSession, reason: SessionEnd) {}
}

/// Joins each visitor with the service.
private final class RelayDelegate: DeviceSessionDelegate {
    private let servicePort: Int

    init(servicePort: Int) {
        self.servicePort = servicePort
    }

    func sessionEvent(_ event: DeviceSessionEvent) {}

    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        ClientBootstrap(group: channel.eventLoop)
            .channelInitializer { service in
                service.eventLoop.makeCompletedFuture {
                    try service.pipeline.syncOperations.addHandler(EarlyDataHandler())
                }
            }
            .connect(host: "127.0.0.1", port: servicePort)
            .whenComplete { result in
                switch result {
                case .success(let service): _ = Relay.join(channel, service)
                case .failure: channel.close(promise: nil)
                }
            }
    }
}

/// One end of the way: sends everything and its end of data, and collects what comes until the peer's end.
private final class EndPoint: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Moment {
        case atOnce
        case afterPeersEnd
    }

    private let sends: [UInt8]
    private let moment: Moment
    private let received: EventLoopPromise<[UInt8]>
    private var bytes: [UInt8] = []
    private var isDone = false

    init(sends: [UInt8], when moment: Moment, received: EventLoopPromise<[UInt8]>) {
        self.sends = sends
        self.moment = moment
        self.received = received
    }

    func channelActive(context: ChannelHandlerContext) {
        if moment == .atOnce { send(context) }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // One read for each turn of the loop: slower than the sender, without a clock.
        context.eventLoop.assumeIsolated().execute { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return }
        finish()
        // What is not the very same bytes gets no answer, which fails the test at the other end.
        if moment == .afterPeersEnd, bytes == sends { send(context) } else { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
    }

    private func send(_ context: ChannelHandlerContext) {
        // Ending the output after the peer's end closes the socket at once, with whatever is still unwritten.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: sends))).assumeIsolated().whenSuccess {
            context.close(mode: .output, promise: nil)
        }
    }

    private func finish() {
        guard !isDone else { return }
        isDone = true
        received.succeed(bytes)
    }
}
