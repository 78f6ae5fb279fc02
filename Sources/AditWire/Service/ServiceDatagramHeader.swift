// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What stands before a datagram that travels on the stream of its flow, because no packet takes it (docs/wire.md, Services).
package struct ServiceDatagramHeader: Sendable, Hashable {
    /// The longest payload, in bytes: what fits into an IPv4 packet behind its headers (RFC 768).
    package static let payloadByteLimit = 65_507
    /// The length of the header, in bytes.
    package static let byteCount = 2

    /// The length of the payload, in bytes: 0 to 65,507.
    package let payloadByteCount: Int

    /// Makes a header; throws `WireError.length` for a payload over the limit.
    package init(payloadByteCount: Int) throws(WireError) {
        guard (0...Self.payloadByteLimit).contains(payloadByteCount) else {
            throw .length(Int64(payloadByteCount), limit: Self.payloadByteLimit)
        }
        self.payloadByteCount = payloadByteCount
    }

    /// Reads the header at the start of `bytes`; nil when more bytes are needed.
    ///
    /// Throws `WireError.length` for a payload over the limit.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> ServiceDatagramHeader? {
        guard bytes.byteCount >= byteCount else { return nil }
        return try ServiceDatagramHeader(payloadByteCount: Int(bytes.bigEndianUInt16(at: 0)))
    }

    /// Appends the header; the caller appends the payload behind it.
    package func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(UInt16(payloadByteCount))
    }
}
