// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The bytes of `sockaddr_in` and `sockaddr_in6` (POSIX `netinet/in.h`).
enum RawAddress {
    static let loopback = family(AF_INET) + [0, 0, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    static let loopbackV6 = family(AF_INET6) + [UInt8](repeating: 0, count: 21) + [1, 0, 0, 0, 0]

    /// Binds a socket and reads where it is bound; false when that fails.
    static func claim(_ descriptor: Int32, _ place: inout [UInt8]) -> Bool {
        place.withUnsafeMutableBytes { bytes in
            guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            var size = socklen_t(bytes.count)
            return Glibc.bind(descriptor, address, size) == 0 && getsockname(descriptor, address, &size) == 0
        }
    }

    /// Connects a socket to a place; false when that fails.
    static func connect(_ descriptor: Int32, _ place: [UInt8]) -> Bool {
        place.withUnsafeBytes { bytes in
            guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return Glibc.connect(descriptor, address, socklen_t(bytes.count)) == 0
        }
    }

    private static func family(_ number: Int32) -> [UInt8] {
        withUnsafeBytes(of: sa_family_t(number)) { Array($0) }
    }
}
