// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import NIOPosix

/// Resolves a name with the system's resolver, away from the event loops.
enum NameLookup {
    /// Why a name has no address, in the system's words.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        /// What getaddrinfo(3) returned.
        var code: Int32 = 0
    }

    /// The addresses of a name in the order in which the system prefers them, at most 16.
    static func addresses(
        of host: String,
        port: UInt16,
        on loop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            hints.ai_flags = AI_ADDRCONFIG
            var list: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host, String(port), &hints, &list)
            guard code == 0 else { throw Failure(description: String(cString: gai_strerror(code)), code: code) }
            defer { freeaddrinfo(list) }
            var addresses: [SocketAddress] = []
            var entry = list
            while let current = entry?.pointee, addresses.count < 16 {
                if let address = socketAddress(current), !addresses.contains(address) { addresses.append(address) }
                entry = current.ai_next
            }
            return addresses
        }
    }

    private static func socketAddress(_ entry: addrinfo) -> SocketAddress? {
        guard let place = entry.ai_addr else { return nil }
        switch entry.ai_family {
        case AF_INET:
            return place.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee) }
        case AF_INET6:
            return place.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress($0.pointee) }
        default: return nil
        }
    }
}
