// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Glibc
import NIOCore
import NIOPosix

/// A connection to a client that asked for one, so that it learns what its NAT lets in (CONNECT-BACK in docs/wire.md).
struct STUNConnectBack: Sendable {
    let plan: ConnectBackPlan
    /// The address of this machine that it leaves from.
    let own: IPAddress

    /// Connects once, writes what there is to write, and closes; ends after `ConnectBackResponder.patience` at the latest.
    ///
    /// - Parameter opened: takes the connection before it is there.
    func run(
        on eventLoop: any EventLoop,
        opened: @escaping @Sendable (any Channel) -> Void
    ) -> EventLoopFuture<Void> {
        let patience = TimeAmount.nanoseconds(ConnectBackResponder.patience.wholeNanoseconds)
        do {
            let destination = IPEndpoint(plan.destination.address.unmapped, plan.destination.port)
            return try ClientBootstrap(group: eventLoop)
                .bind(to: Self.socketAddress(IPEndpoint(own, 0)))
                .connectTimeout(patience)
                .channelInitializer { channel in
                    opened(channel)
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .connect(to: Self.socketAddress(destination))
                .flatMap { channel in
                    let limit = eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
                    channel.closeFuture.whenComplete { _ in limit.cancel() }
                    let written = channel.writeAndFlush(ByteBuffer(bytes: plan.bytes))
                    return written.flatMap { channel.close() }
                }
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    /// Whether a connection failed here, and not at the peer or on the way to it: what was promised cannot be kept.
    static func isOwnFault(_ error: any Error) -> Bool {
        guard let error = error as? IOError else { return false }
        // EACCES and the unreachable ones may come from the network (icmpv6(7), RFC 4443 section 3.1).
        return [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EADDRINUSE, EPERM].contains(error.errnoCode)
    }

    private static func socketAddress(_ endpoint: IPEndpoint) throws -> SocketAddress {
        try SocketAddress(packedIPAddress: ByteBuffer(bytes: endpoint.address.bytes), port: Int(endpoint.port))
    }
}
