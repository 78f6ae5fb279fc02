// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What stands before each datagram of a udp tunnel between Adit peers (docs/wire.md, Datagram frames).
///
/// The payload follows at once and is left where it is, so that a datagram is copied once on its way.
package struct DatagramHeader: Sendable, Hashable {
    /// The longest payload, in bytes: what fits into an IPv4 packet behind its headers (RFC 768).
    package static let payloadByteLimit = 65_507

    /// The length of the payload, in bytes: 0 to 65,507.
    package let payloadByteCount: Int
    /// The visitor that sent the datagram or is to get it.
    package let visitor: IPEndpoint

    /// Makes a header; throws `WireError.length` for a payload over the limit.
    package init(payloadByteCount: Int, visitor: IPEndpoint) throws(WireError) {
        guard (0...Self.payloadByteLimit).contains(payloadByteCount) else {
            throw .length(Int64(payloadByteCount), limit: Self.payloadByteLimit)
        }
        self.payloadByteCount = payloadByteCount
        self.visitor = visitor
    }

    /// The length of the header, in bytes: 9 with an IPv4 address, 21 with an IPv6 address.
    package var byteCount: Int {
        switch visitor.address {
        case .v4: 9
        case .v6: 21
        }
    }

    /// Reads the header at the start of `bytes`; nil when more bytes are needed.
    ///
    /// Throws `WireError.length` for a payload over the limit and `invalidField` for another family than 4 and 6.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> DatagramHeader? {
        guard bytes.byteCount >= 2 else { return nil }
        let payloadByteCount = Int(bytes.bigEndianUInt16(at: 0))
        guard payloadByteCount <= payloadByteLimit else {
            throw .length(Int64(payloadByteCount), limit: payloadByteLimit)
        }
        guard bytes.byteCount >= 3 else { return nil }
        switch bytes.byte(at: 2) {
        case 4:
            guard bytes.byteCount >= 9 else { return nil }
            let visitor = IPEndpoint(.v4(bytes.bigEndianUInt32(at: 3)), bytes.bigEndianUInt16(at: 7))
            return try DatagramHeader(payloadByteCount: payloadByteCount, visitor: visitor)
        case 6:
            guard bytes.byteCount >= 21 else { return nil }
            let address = IPAddress.v6(high: bytes.bigEndianUInt64(at: 3), low: bytes.bigEndianUInt64(at: 11))
            let visitor = IPEndpoint(address, bytes.bigEndianUInt16(at: 19))
            return try DatagramHeader(payloadByteCount: payloadByteCount, visitor: visitor)
        case let family:
            throw .invalidField(offset: 2, found: UInt64(family))
        }
    }

    /// Appends the header; the caller appends the payload behind it.
    package func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(UInt16(payloadByteCount))
        switch visitor.address {
        case .v4(let number):
            bytes.append(4)
            bytes.appendBigEndian(number)
        case .v6(let high, let low):
            bytes.append(6)
            bytes.appendBigEndian(high)
            bytes.appendBigEndian(low)
        }
        bytes.appendBigEndian(visitor.port)
    }
}
