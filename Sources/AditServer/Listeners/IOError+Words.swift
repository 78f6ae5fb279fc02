// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension IOError {
    /// Whether the machine has no sockets of the address's family.
    var isFamilyMissing: Bool {
        errnoCode == EAFNOSUPPORT || errnoCode == EADDRNOTAVAIL || errnoCode == EPROTONOSUPPORT
    }

    /// Whether another program has the port.
    var isAddressInUse: Bool { errnoCode == EADDRINUSE }

    /// Whether the process may not open the port.
    var isPermissionMissing: Bool { errnoCode == EACCES || errnoCode == EPERM }

    /// The system's words for the error alone.
    var words: String { String(cString: strerror(errnoCode)) }
}
