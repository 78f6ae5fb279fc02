// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#endif

/// A session that only notes what it was asked for.
final class FakeLink: DeviceLink {
    enum Call: Equatable {
        case start
        case register(FRPNewProxy)
        case unregister(String)
        case stop
    }

    let calls = NIOLockedValueBox<[Call]>([])

    func start() { calls.withLockedValue { $0.append(.start) } }
    func register(_ proxy: FRPNewProxy) { calls.withLockedValue { $0.append(.register(proxy)) } }
    func unregister(name: String) { calls.withLockedValue { $0.append(.unregister(name)) } }

    func stop() -> EventLoopFuture<Void> {
        calls.withLockedValue { $0.append(.stop) }
        return MultiThreadedEventLoopGroup.singleton.next().makeSucceededVoidFuture()
    }

    /// The names of what was registered and unregistered, `+` and `-` in front.
    var summary: [String] {
        calls.withLockedValue { $0 }.compactMap { call in
            switch call {
            case .register(let proxy): "+\(proxy.proxyName)"
            case .unregister(let name): "-\(name)"
            case .start, .stop: nil
            }
        }
    }
}

/// A runtime with a fake session, and its events one after another.
final class RuntimeBench: Sendable {
    let runtime: DeviceRuntime
    let link = FakeLink()
    private let events: AsyncStream<DeviceEvent>

    init(_ orders: [TunnelOrder], listening: [ListeningPort] = []) {
        let (events, continuation) = AsyncStream.makeStream(of: DeviceEvent.self)
        self.events = events
        runtime = DeviceRuntime(
            server: HostPort(host: "server.example", port: 7000),
            orders: orders,
            loop: MultiThreadedEventLoopGroup.singleton.next(),
            probeInterval: .milliseconds(10),
            diagnose: { TargetDiagnosis(listening: listening, isInContainer: false) },
            tell: { continuation.yield($0) }
        )
        runtime.start(link)
    }

    /// The first event for which the closure has an answer.
    func next<Answer>(_ select: (DeviceEvent) -> Answer?) async -> Answer? {
        for await event in events {
            if let answer = select(event) { return answer }
        }
        return nil
    }

    /// Tells the runtime that the server opened a tunnel.
    func open(_ name: String, address: String) {
        runtime.sessionEvent(
            .registered(
                FRPNewProxyResponse(proxyName: name, adit: AditTunnelResponse(addresses: [address], name: name))
            )
        )
    }
}

/// A server on loopback that answers each piece that it receives with what a closure makes of it.
struct AnsweringServer {
    let channel: any Channel
    let port: UInt16
    /// The answer that is a reset of the connection.
    static let reset = "\u{0}reset"

    static func start(port: UInt16 = 0, _ answer: @escaping @Sendable (String) -> String) async throws
        -> AnsweringServer
    {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(AnswerHandler(answer))
                }
            }
            .bind(host: "127.0.0.1", port: Int(port)).get()
        return AnsweringServer(channel: channel, port: UInt16(channel.localAddress?.port ?? 0))
    }

    func stop() async { try? await channel.close() }

    private final class AnswerHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let answer: @Sendable (String) -> String

        init(_ answer: @escaping @Sendable (String) -> String) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = answer(String(buffer: unwrapInboundIn(data)))
            guard text != AnsweringServer.reset else {
                guard let options = context.channel as? any SocketOptionProvider else { return }
                let channel = context.channel
                options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
                return
            }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// A visitor: the two ends of one connection, of which the runtime is given one.
struct VisitorPair {
    let device: any Channel
    let visitor: any Channel
    private let received: AsyncStream<String>

    static func make() async throws -> VisitorPair {
        let group = MultiThreadedEventLoopGroup.singleton
        let accepted = group.next().makePromise(of: (any Channel).self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandlers([EarlyDataHandler(), ActiveHandler(accepted)])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let (received, continuation) = AsyncStream.makeStream(of: String.self)
        guard let address = listener.localAddress else { throw ChannelError.unknownLocalAddress }
        let visitor = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
            .connect(to: address).get()
        let device = try await accepted.futureResult.get()
        try await listener.close()
        return VisitorPair(device: device, visitor: visitor, received: received)
    }

    func send(_ text: String) async throws {
        try await visitor.writeAndFlush(ByteBuffer(string: text))
    }

    /// The next piece of what the visitor receives; nil at the end.
    func next() async -> String? {
        for await text in received { return text }
        return nil
    }

    /// Tells when the connection is up; a listener that closes before that takes it along.
    private final class ActiveHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<any Channel>

        init(_ promise: EventLoopPromise<any Channel>) { self.promise = promise }

        func channelActive(context: ChannelHandlerContext) {
            promise.succeed(context.channel)
            context.fireChannelActive()
        }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<String>.Continuation

        init(_ continuation: AsyncStream<String>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(String(buffer: unwrapInboundIn(data)))
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
