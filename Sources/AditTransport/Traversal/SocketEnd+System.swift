// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import CAditPlatform
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

extension SocketEnd {
    /// Why a TCP connection ended, never came to be, or could not be listened for.
    init(_ error: any Error) {
        guard let error = error as? IOError else {
            self = Self.end(error)
            return
        }
        switch error.errnoCode {
        case ECONNREFUSED: self = .refused
        case ETIMEDOUT: self = .timedOut
        case ECONNRESET, ECONNABORTED, EPIPE: self = .reset
        case EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, EISCONN: self = .addressUnavailable
        case EACCES, EPERM, EMFILE, ENFILE, ENOBUFS, ENOMEM: self = .denied
        default: self = .unreachable
        }
    }

    private static func end(_ error: any Error) -> SocketEnd {
        // TCP that ends before TLS has said so.
        if case .uncleanShutdown? = error as? NIOSSLError { return .finished }
        return error is ChannelError ? .timedOut : .malformed
    }
}

extension IPEndpoint {
    /// The address for a socket; `scope` is the number of the interface, used for a link-local IPv6 address only.
    ///
    /// - Throws: `SocketAddressError` when there is no such interface.
    func socketAddress(scope: UInt32) throws -> SocketAddress {
        if case .v6 = address, address.isLinkLocal, scope != 0 {
            // A number with a zone is read without asking anybody.
            return try SocketAddress.makeAddressResolvingHost("\(address)%\(scope)", port: Int(port))
        }
        return try SocketAddress(packedIPAddress: ByteBuffer(bytes: address.bytes), port: Int(port))
    }
}

extension NIOBSDSocket.Option {
    /// Sockets of one user may have one port (socket(7)).
    static let sharedPort = NIOBSDSocket.Option(rawValue: CInt(SO_REUSEPORT))

    /// The number of the interface that a socket alone uses (SO_BINDTOIFINDEX); needs no rights since Linux 5.7.
    fileprivate static let device = NIOBSDSocket.Option(rawValue: adit_probe_device_option)
}

extension ClientBootstrap {
    /// Has connections use one interface; 0 leaves it to the routes.
    func through(_ device: UInt32) -> Self {
        device == 0 ? self : channelOption(.socketOption(.device), value: Int(device))
    }
}

extension ServerBootstrap {
    /// Has a listener use one interface; 0 leaves it to the routes.
    func through(_ device: UInt32) -> Self {
        device == 0 ? self : serverChannelOption(.socketOption(.device), value: Int(device))
    }
}
