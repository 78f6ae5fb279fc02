// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import CAditPlatform
import Glibc
import NIOCore
import Synchronization

/// A UDP socket of a ``DatagramLane``.
///
/// Unchecked because the places of its outgoing datagrams belong to whoever fills a ``DatagramBatch``, one at a time.
package final class LaneSocket: @unchecked Sendable {
    /// The address that it is bound to; unspecified for every address of both families.
    package let address: IPAddress
    /// Its port.
    package let port: UInt16
    /// What its owner knows it by.
    package let tag: UInt64
    private let handle: Atomic<CInt>
    let family: CInt
    /// What its lane knows it by.
    var token = UInt64.max
    /// The first and last datagram for it in a batch; negative for none.
    var firstAnswer: Int32 = -1
    var lastAnswer: Int32 = -1

    private init(_ address: IPAddress, _ descriptor: CInt, family: CInt, tag: UInt64) {
        self.address = address
        self.family = family
        self.tag = tag
        handle = Atomic(descriptor)
        port = UInt16(clamping: adit_datagram_port(descriptor))
    }

    deinit {
        close()
    }

    var descriptor: CInt { handle.load(ordering: .relaxed) }

    /// Closes it before the last one lets go of it.
    func close() {
        let descriptor = handle.exchange(-1, ordering: .relaxed)
        if descriptor >= 0 { adit_close(descriptor) }
    }

    /// Binds a socket that everybody may write to, to an address or to every address of both families where the machine
    /// has both. Its queues are long, and it knows to which address of this machine a datagram came.
    ///
    /// - Throws: `IOError` of the system.
    static func bind(_ address: IPAddress, port: UInt16, tag: UInt64) throws -> LaneSocket {
        let binding = try DatagramBinding(address, port: port)
        return LaneSocket(address, binding.descriptor, family: binding.family, tag: tag)
    }

    /// Binds a socket for one client's peers to one address of this machine. It takes little memory, and hears of the ICMP
    /// errors of what it sends.
    ///
    /// - Parameter tag: what its owner knows it by.
    /// - Throws: `IOError` of the system.
    package static func bindRelay(_ address: IPAddress, port: UInt16, tag: UInt64) throws -> LaneSocket {
        let descriptor: CInt
        let family: CInt
        switch address.unmapped {
        case .v4(let number):
            family = 4
            descriptor = adit_round_bind(4, 0, UInt64(number), port)
        case .v6(let high, let low):
            family = 6
            descriptor = adit_round_bind(6, high, low, port)
        }
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
        return LaneSocket(address, descriptor, family: family, tag: tag)
    }
}
