// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import CAditPlatform
import NIOCore

/// The way back to the other end of a datagram: its address, and the address of this machine that it wrote to.
///
/// A reply from another address of this machine would not be recognised by the other end.
package struct DatagramPath: Sendable {
    let raw: adit_datagram_peer

    init(_ raw: adit_datagram_peer) {
        self.raw = raw
    }

    /// The way to an endpoint, from whichever address the system chooses.
    package init(to endpoint: IPEndpoint) {
        var raw = adit_datagram_peer()
        raw.port = endpoint.port
        switch endpoint.address.unmapped {
        case .v4(let number):
            raw.family = 4
            raw.low = UInt64(number)
        case .v6(let high, let low):
            raw.family = 6
            raw.high = high
            raw.low = low
        }
        self.raw = raw
    }

    init?(_ address: SocketAddress, local: SocketAddress?) {
        guard let endpoint = IPEndpoint(address) else { return nil }
        var raw = Self(to: endpoint).raw
        if case .v6 = address {
            // sin6_scope_id stands behind family, port, flow information and address (RFC 3493 section 3.3).
            address.withSockAddr { place, size in
                guard size >= 28 else { return }
                raw.scope = UnsafeRawPointer(place).loadUnaligned(fromByteOffset: 24, as: UInt32.self)
            }
        }
        switch local.flatMap({ IPEndpoint($0) })?.address.unmapped {
        case .v4(let number)?:
            raw.local_family = 4
            raw.local_low = UInt64(number)
        case .v6(let high, let low)?:
            raw.local_family = 6
            raw.local_high = high
            raw.local_low = low
        case nil: break
        }
        self.raw = raw
    }

    /// The other end.
    package var endpoint: IPEndpoint {
        let address: IPAddress =
            raw.family == 4
            ? .v4(UInt32(truncatingIfNeeded: raw.low)) : .v6(high: raw.high, low: raw.low)
        return IPEndpoint(address, raw.port)
    }

    /// The address of this machine that was written to; nil when it is not known.
    package var local: IPAddress? {
        switch raw.local_family {
        case 4: .v4(UInt32(truncatingIfNeeded: raw.local_low))
        case 6: .v6(high: raw.local_high, low: raw.local_low)
        default: nil
        }
    }

    /// The same way back to another port of the peer, or from another address of this machine where that is not nil.
    package func moved(toPort port: UInt16, local: IPAddress?) -> DatagramPath {
        var raw = raw
        raw.port = port
        switch local?.unmapped {
        case .v4(let number)?:
            raw.local_family = 4
            raw.local_high = 0
            raw.local_low = UInt64(number)
        case .v6(let high, let low)?:
            raw.local_family = 6
            raw.local_high = high
            raw.local_low = low
        case nil: break
        }
        return DatagramPath(raw)
    }

    func isSame(as other: DatagramPath) -> Bool {
        raw.low == other.raw.low && raw.port == other.raw.port && raw.high == other.raw.high
            && raw.local_low == other.raw.local_low && raw.local_high == other.raw.local_high
    }
}
