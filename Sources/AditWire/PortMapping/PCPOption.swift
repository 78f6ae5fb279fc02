// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An option of PCP's MAP (RFC 6887 sections 7.3 and 13).
package enum PCPOption: Sendable, Hashable {
    /// On behalf of another host (section 13.1). Adit never sends it and refuses it.
    case thirdParty(IPAddress)
    /// Another external port than the suggested one is worse than none (section 13.2).
    case preferFailure
    /// Any other, with its data.
    case other(code: UInt8, [UInt8])

    /// Codes from 128 on may be skipped by who does not know them.
    package static func isOptional(_ code: UInt8) -> Bool { code >= 128 }

    /// The code on the wire.
    package var code: UInt8 {
        switch self {
        case .thirdParty: 1
        case .preferFailure: 2
        case .other(let code, _): code
        }
    }

    /// Reads the options that fill the rest of a message.
    static func decodeAll(_ bytes: RawSpan, from start: Int) throws(WireError) -> [PCPOption] {
        var options: [PCPOption] = []
        var offset = start
        while offset < bytes.byteCount {
            guard offset + 4 <= bytes.byteCount else {
                throw .truncated(expected: offset + 4, found: bytes.byteCount)
            }
            guard options.count < PCPMessage.optionLimit else {
                throw .tooManyElements(options.count + 1, limit: PCPMessage.optionLimit)
            }
            let code = bytes.byte(at: offset)
            let length = Int(bytes.bigEndianUInt16(at: offset + 2))
            let padded = (length + 3) / 4 * 4
            guard offset + 4 + padded <= bytes.byteCount else {
                throw .truncated(expected: offset + 4 + padded, found: bytes.byteCount)
            }
            options.append(try option(code, bytes, offset + 4, length))
            offset += 4 + padded
        }
        return options
    }

    private static func option(
        _ code: UInt8,
        _ bytes: RawSpan,
        _ offset: Int,
        _ length: Int
    ) throws(WireError) -> PCPOption {
        switch code {
        case 1:
            guard length == 16 else { throw .length(Int64(length), limit: 16) }
            return .thirdParty(PCPAddress.decode(bytes, at: offset))
        case 2:
            guard length == 0 else { throw .length(Int64(length), limit: 0) }
            return .preferFailure
        default:
            return .other(code: code, bytes.copyBytes(in: offset..<offset + length))
        }
    }

    func encode(into bytes: inout [UInt8]) {
        let data: [UInt8] =
            switch self {
            case .thirdParty(let address): PCPAddress.encode(address)
            case .preferFailure: []
            case .other(_, let data): Array(data.prefix(PCPMessage.byteLimit))
            }
        bytes.append(code)
        bytes.append(0)
        bytes.appendBigEndian(UInt16(data.count))
        bytes += data
        bytes += Array(repeating: 0, count: (4 - data.count % 4) % 4)
    }
}

/// Addresses as PCP writes them: 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 6887 section 5).
enum PCPAddress {
    static func decode(_ bytes: RawSpan, at offset: Int) -> IPAddress {
        IPAddress.v6(high: bytes.bigEndianUInt64(at: offset), low: bytes.bigEndianUInt64(at: offset + 8)).unmapped
    }

    static func encode(_ address: IPAddress) -> [UInt8] {
        switch address {
        case .v4(let number):
            IPAddress.v6(high: 0, low: 0xFFFF_0000_0000 | UInt64(number)).bytes
        case .v6: address.bytes
        }
    }
}
