// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import Logging
import NIOCore
import NIOPosix

/// Opens the public ports of tunnels and carries their visitors.
///
/// A tunnel's port is bound on the event loop of its session, so that visitor and session meet without a change of thread,
/// and closing the session frees its ports at once.
final class TunnelListeners: Sendable {
    private let frontEnd: @Sendable (any HTTPRouteTable) -> HTTPFrontEnd
    private let log: Logger

    init(log: Logger, frontEnd: @escaping @Sendable (any HTTPRouteTable) -> HTTPFrontEnd) {
        self.log = log
        self.frontEnd = frontEnd
    }

    /// Binds the tunnel's port; fails with the system's error.
    func listen(for tunnel: OpenTunnel, setup: ServerSetup) -> EventLoopFuture<Void> {
        let loop = tunnel.session.eventLoop
        let web = tunnel.terms.kind == .http ? frontEnd(SingleRoute(tunnel: tunnel)) : nil
        let makeBootstrap = { @Sendable in
            ServerBootstrap(group: loop)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { visitor in web?.initialize(visitor) ?? self.initialize(visitor, tunnel) }
        }
        return DualStack.bind(makeBootstrap, address: setup.tunnelListen, port: tunnel.port, on: loop)
            .flatMap { channel in
                if tunnel.adopt(listener: channel, frontEnd: web) { return loop.makeSucceededVoidFuture() }
                return channel.close().flatMapThrowing { throw TunnelFault.closed }
            }
    }

    private func initialize(_ visitor: any Channel, _ tunnel: OpenTunnel) -> EventLoopFuture<Void> {
        visitor.eventLoop.makeCompletedFuture {
            try visitor.pipeline.syncOperations.addHandler(EarlyDataHandler())
            self.carry(visitor, tunnel)
        }
    }

    private func carry(_ visitor: any Channel, _ tunnel: OpenTunnel) {
        let source = visitor.remoteEndpoint
        guard tunnel.terms.admits(source?.address) else {
            tunnel.counters.refuse()
            log.debug(
                "[\(tunnel.shownName)] visitor is not on the allow list",
                metadata: ["remote": "\(source.map(\.description) ?? "-")"]
            )
            visitor.close(promise: nil)
            return
        }
        tunnel.openStream(visitor: source, local: visitor.localEndpoint).whenComplete { result in
            switch result {
            case .success(let stream):
                Relay.join(visitor, stream).whenSuccess { outcome in
                    if case .failed(let reason) = outcome.end { tunnel.counters.note(error: reason) }
                }
            case .failure(let error):
                self.log.debug("[\(tunnel.shownName)] no stream for a visitor: \(error)")
                visitor.close(promise: nil)
            }
        }
    }
}
