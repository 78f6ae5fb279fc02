// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import NIOCore

extension IPEndpoint {
    /// The address and port of a socket; nil for a Unix socket. An IPv4-mapped address becomes IPv4.
    ///
    /// Both are read where `sockaddr_in` and `sockaddr_in6` have them (POSIX `netinet/in.h`): this is done for every visitor,
    /// and by way of text it would be one of the dearer steps.
    package init?(_ address: SocketAddress) {
        switch address {
        case .v4:
            let (port, number) = address.withSockAddr { sockaddr, _ in
                let bytes = UnsafeRawPointer(sockaddr)
                return (bytes.load(fromByteOffset: 2, as: UInt16.self), bytes.load(fromByteOffset: 4, as: UInt32.self))
            }
            self.init(.v4(UInt32(bigEndian: number)), UInt16(bigEndian: port))
        case .v6:
            let (port, high, low) = address.withSockAddr { sockaddr, _ in
                let bytes = UnsafeRawPointer(sockaddr)
                return (
                    bytes.load(fromByteOffset: 2, as: UInt16.self), bytes.load(fromByteOffset: 8, as: UInt64.self),
                    bytes.load(fromByteOffset: 16, as: UInt64.self)
                )
            }
            let number = IPAddress.v6(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
            self.init(number.unmapped, UInt16(bigEndian: port))
        case .unixDomainSocket:
            return nil
        }
    }
}
