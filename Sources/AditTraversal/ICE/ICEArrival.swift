// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditWire

/// Whose a STUN message is, where several agents share a socket.
package enum ICEArrival: Sendable, Equatable {
    /// A check for the agent with this username fragment.
    case check(ufrag: String)
    /// An answer to a check or to another request.
    case answer(STUNTransactionID)
    /// Neither.
    case other

    /// Looks at the header, and in a check at USERNAME; nothing is believed yet.
    package init(_ bytes: RawSpan) {
        self = .other
        guard STUNMessage.looksLikeSTUN(bytes) else { return }
        switch bytes.bigEndianUInt16(at: 0) {
        case 0x0001:
            var offset = STUNMessage.headerByteCount
            while offset + 4 <= bytes.byteCount {
                let byteCount = Int(bytes.bigEndianUInt16(at: offset + 2))
                let start = offset + 4
                guard start + byteCount <= bytes.byteCount else { return }
                if bytes.bigEndianUInt16(at: offset) == STUNAttributeType.username {
                    let name = bytes.copyBytes(in: start..<(start + min(byteCount, 257)))
                    guard let colon = name.firstIndex(of: UInt8(ascii: ":")) else { return }
                    self = .check(ufrag: String(decoding: name[..<colon], as: UTF8.self))
                    return
                }
                offset = start + (byteCount + 3) & ~3
            }
        case 0x0101, 0x0111:
            self = .answer(
                STUNTransactionID(high: bytes.bigEndianUInt32(at: 8), low: bytes.bigEndianUInt64(at: 12))
            )
        default: return
        }
    }
}
