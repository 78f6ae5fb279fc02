// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import NIOCore
import NIOPosix

/// A connection to a client that asked for one, so that it learns what its NAT lets in (CONNECT-BACK in docs/wire.md).
struct STUNConnectBack: Sendable {
    let plan: ConnectBackPlan
    /// The address of this machine that it leaves from.
    let own: IPAddress

    /// Connects once, writes what there is to write, and closes; ends after `ConnectBackResponder.patience` at the latest.
    func run(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let patience = TimeAmount.nanoseconds(ConnectBackResponder.patience.wholeNanoseconds)
        do {
            let destination = IPEndpoint(plan.destination.address.unmapped, plan.destination.port)
            return try ClientBootstrap(group: eventLoop)
                .bind(to: Self.socketAddress(IPEndpoint(own, 0)))
                .connectTimeout(patience)
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

    private static func socketAddress(_ endpoint: IPEndpoint) throws -> SocketAddress {
        try SocketAddress(packedIPAddress: ByteBuffer(bytes: endpoint.address.bytes), port: Int(endpoint.port))
    }
}
