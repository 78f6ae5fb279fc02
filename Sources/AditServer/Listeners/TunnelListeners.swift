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
    /// Carries visitors of frp clients without multiplexing, encryption and limits.
    private let forwarder = SpliceForwarder()

    init(log: Logger, frontEnd: @escaping @Sendable (any HTTPRouteTable) -> HTTPFrontEnd) {
        self.log = log
        self.frontEnd = frontEnd
    }

    /// Binds the tunnel's port; fails with the system's error.
    ///
    /// Connections wait in the system's queue until the tunnel is open: what is still to be decided turns nobody away.
    func listen(for tunnel: OpenTunnel, setup: ServerSetup) -> EventLoopFuture<Void> {
        switch tunnel.terms.kind {
        case .udp: return DatagramEntrance.open(for: tunnel, setup: setup, log: log)
        case .game:
            return DatagramEntrance.open(for: tunnel, setup: setup, log: log)
                .flatMap { self.listenForConnections(of: tunnel, setup: setup) }
        case .tcp, .http, .https: return listenForConnections(of: tunnel, setup: setup)
        }
    }

    private func listenForConnections(of tunnel: OpenTunnel, setup: ServerSetup) -> EventLoopFuture<Void> {
        let loop = tunnel.session.eventLoop
        let web = tunnel.terms.kind == .http ? frontEnd(SingleRoute(tunnel: tunnel)) : nil
        let makeBootstrap = { @Sendable in
            ServerBootstrap(group: loop)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { visitor in
                    RelaySocket.prepare(visitor)
                    return web?.initialize(visitor) ?? self.initialize(visitor, tunnel)
                }
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

    /// Leads a visitor, whose channel has an `EarlyDataHandler`, to the tunnel's device, if it may come in.
    ///
    /// Called on the visitor's event loop.
    func carry(_ visitor: any Channel, _ tunnel: OpenTunnel) {
        if tunnel.gate.isShaped {
            do {
                try visitor.pipeline.syncOperations.addHandlers(tunnel.gate.visitorHandlers())
            } catch {
                visitor.close(promise: nil)
                return
            }
        }
        let source = visitor.remoteEndpoint
        tunnel.openStream(visitor: source, local: visitor.localEndpoint).whenComplete { result in
            switch result {
            case .success(let stream):
                _ = tunnel.join(visitor, stream, self.forwarder) {
                    self.log.debug("[\(tunnel.shownName)] a visitor is spliced")
                }
            case .failure(let error):
                self.log.debug("[\(tunnel.shownName)] no stream for a visitor: \(error)")
                visitor.close(promise: nil)
            }
        }
    }
}
