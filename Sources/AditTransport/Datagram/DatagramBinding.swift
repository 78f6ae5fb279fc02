// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import CAditPlatform
import Glibc
import NIOCore

/// A descriptor that is bound for datagrams.
struct DatagramBinding {
    /// The descriptor, which whoever asked has to close.
    let descriptor: CInt
    /// 4, or 6 where datagrams of both families may come.
    let family: CInt

    /// Binds to an address, or to every address of both families where the machine has both.
    ///
    /// - Throws: `IOError` of the system.
    init(_ address: IPAddress, port: UInt16) throws {
        var family: CInt = 6
        var descriptor: CInt
        switch address.unmapped {
        case _ where address.isUnspecified:
            descriptor = adit_datagram_bind(0, 0, 0, port)
            if [-EAFNOSUPPORT, -EADDRNOTAVAIL, -EPROTONOSUPPORT].contains(descriptor) {
                family = 4
                descriptor = adit_datagram_bind(4, 0, 0, port)
            }
        case .v4(let number):
            family = 4
            descriptor = adit_datagram_bind(4, 0, UInt64(number), port)
        case .v6(let high, let low): descriptor = adit_datagram_bind(6, high, low, port)
        }
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
        self.descriptor = descriptor
        self.family = family
    }
}
