// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTunnel
import NIOCore
import NIOPosix
import NIOSSL

/// The ways from a visitor to a target that the relay tests take, all over loopback.
enum RelayTopology: Sendable, CaseIterable {
    /// visitor - relay - target, on one event loop.
    case sockets
    /// The same with the relay's two sockets on two event loops.
    case socketsOnTwoLoops
    /// visitor - relay - yamux - relay - target, the opener of the stream on the visitor's side.
    case yamux
    /// The same with a visitor's socket on another loop than the yamux connection.
    case yamuxOnTwoLoops
    /// The same with TLS below yamux.
    case yamuxOverTLS
    /// visitor - relay - TLS connection - relay - target.
    case tls
    /// visitor - splice - target, the sockets taken over from one event loop.
    case spliced
    /// The same with the two sockets on two event loops.
    case splicedFromTwoLoops
    /// The same without a pipe to be had, as when the process has no descriptors left.
    case splicedWithoutPipes

    var forwarder: SpliceForwarder? {
        switch self {
        case .spliced, .splicedFromTwoLoops: SpliceForwarder()
        case .splicedWithoutPipes: SpliceForwarder(SpliceLimits(threadCount: 1, pipesPerThread: 0))
        default: nil
        }
    }
}

/// A chain of relays between a listening port and a target, and what becomes of each relay.
final class RelayChain: Sendable {
    let port: Int
    /// The outcomes of the relays next to the visitor, in the order in which visitors came.
    let outcomes: AsyncStream<RelayOutcome>
    let multiplexer: YamuxMultiplexer?
    private let channels: [any Channel]
    private let forwarder: SpliceForwarder?

    private init(
        port: Int,
        outcomes: AsyncStream<RelayOutcome>,
        multiplexer: YamuxMultiplexer?,
        channels: [any Channel],
        forwarder: SpliceForwarder?
    ) {
        self.port = port
        self.outcomes = outcomes
        self.multiplexer = multiplexer
        self.channels = channels
        self.forwarder = forwarder
    }

    func close() async throws {
        for channel in channels { try? await channel.close() }
    }

    static func make(_ topology: RelayTopology, to target: Int) async throws -> RelayChain {
        let group = MultiThreadedEventLoopGroup.singleton
        let near = group.next()
        let far = group.next()
        let (outcomes, continuation) = AsyncStream.makeStream(of: RelayOutcome.self)
        var channels: [any Channel] = []
        var multiplexer: YamuxMultiplexer?
        let open: @Sendable (any Channel) -> EventLoopFuture<any Channel>
        switch topology {
        case .sockets, .spliced, .splicedWithoutPipes: open = { connect(on: $0.eventLoop, to: target) }
        case .socketsOnTwoLoops, .splicedFromTwoLoops:
            open = { connect(on: $0.eventLoop === near ? far : near, to: target) }
        case .yamux, .yamuxOnTwoLoops, .yamuxOverTLS:
            let pair = try await YamuxConnectionPair.make(
                client: near,
                server: far,
                isSecure: topology == .yamuxOverTLS,
                serverStreams: { stream in
                    stream.eventLoop.makeCompletedFuture {
                        try stream.pipeline.syncOperations.addHandler(EarlyDataHandler())
                        connect(on: stream.eventLoop, to: target).whenComplete { result in
                            guard case .success(let socket) = result else {
                                stream.close(promise: nil)
                                return
                            }
                            _ = Relay.join(stream, socket)
                        }
                    }
                }
            )
            channels = [pair.client.connection, pair.server.connection]
            multiplexer = pair.client
            open = { _ in
                pair.client.openStream { stream in
                    stream.eventLoop.makeCompletedFuture {
                        try stream.pipeline.syncOperations.addHandler(EarlyDataHandler())
                    }
                }
            }
        case .tls:
            let serverTLS = try TestTLS.serverContext()
            let clientTLS = try TestTLS.clientContext()
            let farListener = try await ServerBootstrap(group: far)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers(
                            NIOSSLServerHandler(context: serverTLS),
                            EarlyDataHandler()
                        )
                        connect(on: channel.eventLoop, to: target).whenSuccess { _ = Relay.join(channel, $0) }
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            channels = [farListener]
            let port = farListener.localAddress?.port ?? 0
            open = { connect(on: $0.eventLoop, to: port, tls: clientTLS) }
        }
        let forwarder = topology.forwarder
        let acceptLoop = topology == .yamuxOnTwoLoops ? far : near
        let listener = try await ServerBootstrap(group: acceptLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { visitor in
                visitor.eventLoop.makeCompletedFuture {
                    try visitor.pipeline.syncOperations.addHandler(EarlyDataHandler())
                    open(visitor).flatMap { join(visitor, $0, forwarder) }.whenComplete { result in
                        switch result {
                        case .success(let outcome): continuation.yield(outcome)
                        case .failure: visitor.close(promise: nil)
                        }
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channels.insert(listener, at: 0)
        return RelayChain(
            port: listener.localAddress?.port ?? 0,
            outcomes: outcomes,
            multiplexer: multiplexer,
            channels: channels,
            forwarder: forwarder
        )
    }

    private struct NotSpliced: Error {}

    private static func join(
        _ visitor: any Channel,
        _ target: any Channel,
        _ forwarder: SpliceForwarder?
    ) -> EventLoopFuture<RelayOutcome> {
        guard let forwarder else { return Relay.join(visitor, target) }
        return SplicePath.join(visitor, target, through: forwarder).flatMap { outcome in
            if let outcome { return outcome }
            // Only a connection that has broken in the meantime stays with NIO, which finds that out.
            guard !visitor.isActive || !target.isActive else {
                return visitor.eventLoop.makeFailedFuture(NotSpliced())
            }
            return Relay.join(visitor, target)
        }
    }

    private static func connect(
        on loop: any EventLoop,
        to port: Int,
        tls: NIOSSLContext? = nil
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let handler = try NIOSSLClientHandler(context: tls, serverHostname: nil)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(EarlyDataHandler())
                }
            }
            .connect(host: "127.0.0.1", port: port)
    }
}
