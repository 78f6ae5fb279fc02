// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore
import NIOPosix

/// Binds a TCP listener on an address, or on every address of both families where the machine has both.
enum DualStack {
    static func bind(
        _ makeBootstrap: @escaping @Sendable () -> ServerBootstrap,
        address: IPAddress,
        port: UInt16,
        on loop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        guard address.isUnspecified else {
            return makeBootstrap().bind(host: address.description, port: Int(port)).hop(to: loop)
        }
        // One socket of IPv6 takes IPv4 as well (RFC 3493 section 3.7); a machine without IPv6 refuses to make it.
        return makeBootstrap().bind(host: "::", port: Int(port)).flatMapError { error in
            guard let failure = error as? IOError, failure.isFamilyMissing else {
                return loop.makeFailedFuture(error)
            }
            return makeBootstrap().bind(host: "0.0.0.0", port: Int(port))
        }.hop(to: loop)
    }
}

extension Channel {
    /// The other end, with an IPv4-mapped address written as IPv4; nil for other kinds of sockets.
    var remoteEndpoint: IPEndpoint? { remoteAddress.flatMap(IPEndpoint.init) }

    /// This end, with an IPv4-mapped address written as IPv4; nil for other kinds of sockets.
    var localEndpoint: IPEndpoint? { localAddress.flatMap(IPEndpoint.init) }
}

extension EventLoop {
    /// Does something on the event loop: before this returns when it is called there.
    func atOnce<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) -> EventLoopFuture<Value> {
        inEventLoop ? makeCompletedFuture(withResultOf: body) : submit(body)
    }
}
