// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import Logging
import NIOCore

/// The public port of a udp or game tunnel, from any thread.
struct DatagramEntrance: Sendable {
    private let frontEnd: NIOLoopBound<DatagramFrontEnd>
    private let eventLoop: any EventLoop

    /// Binds the tunnel's port on the event loop of its session; fails with the system's error.
    static func open(for tunnel: OpenTunnel, setup: ServerSetup, log: Logger) -> EventLoopFuture<Void> {
        let loop = tunnel.session.eventLoop
        return loop.flatSubmit {
            let frontEnd = DatagramFrontEnd(tunnel, on: loop, log: log)
            let entrance = DatagramEntrance(frontEnd: NIOLoopBound(frontEnd, eventLoop: loop), eventLoop: loop)
            do {
                let ready = try frontEnd.bind(setup.tunnelListen)
                return ready.flatMapThrowing {
                    guard tunnel.adopt(datagrams: entrance) else {
                        entrance.frontEnd.value.close()
                        throw TunnelFault.closed
                    }
                }
            } catch {
                return loop.makeFailedFuture(error)
            }
        }
    }

    /// Closes the port and ends every visitor's session; completes when the port is free.
    func close() -> EventLoopFuture<Void> {
        eventLoop.submit { frontEnd.value.close() }
    }
}
