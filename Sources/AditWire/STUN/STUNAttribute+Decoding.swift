// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension STUNAttribute {
    /// The longest text of each kind, in bytes (RFC 8489 section 14; the limits of RFC 5389 where they are wider).
    static let usernameByteLimit = 513
    static let textByteLimit = 763
    static let domainByteLimit = 255
    static let algorithmLimit = 16

    /// Reads the value of one attribute.
    static func decode(
        _ field: STUNAttributeField,
        in bytes: RawSpan,
        cookie: UInt32,
        transactionID: STUNTransactionID
    ) throws(STUNError) -> STUNAttribute {
        switch field.type {
        case STUNAttributeType.mappedAddress: return .mappedAddress(try endpoint(field, in: bytes))
        case STUNAttributeType.sourceAddress: return .sourceAddress(try endpoint(field, in: bytes))
        case STUNAttributeType.changedAddress: return .changedAddress(try endpoint(field, in: bytes))
        case STUNAttributeType.reflectedFrom: return .reflectedFrom(try endpoint(field, in: bytes))
        case STUNAttributeType.alternateServer: return .alternateServer(try endpoint(field, in: bytes))
        case STUNAttributeType.responseOrigin: return .responseOrigin(try endpoint(field, in: bytes))
        case STUNAttributeType.otherAddress: return .otherAddress(try endpoint(field, in: bytes))
        case STUNAttributeType.xorMappedAddress:
            return .xorMappedAddress(
                try endpoint(field, in: bytes).masked(cookie: cookie, transactionID: transactionID)
            )
        case STUNAttributeType.changeRequest:
            try expect(field.byteCount == 4, field)
            let flags = bytes.bigEndianUInt32(at: field.offset)
            return .changeRequest(address: flags & 4 != 0, port: flags & 2 != 0)
        case STUNAttributeType.responsePort:
            // 16 bits and two bytes of padding, which some count into the length.
            try expect(field.byteCount == 4 || field.byteCount == 2, field)
            return .responsePort(bytes.bigEndianUInt16(at: field.offset))
        case STUNAttributeType.alternatePort:
            try expect(field.byteCount == 4, field)
            return .alternatePort(bytes.bigEndianUInt16(at: field.offset))
        case STUNAttributeType.padding: return .padding(field.byteCount)
        case STUNAttributeType.errorCode:
            let (number, reason) = try error(field, in: bytes)
            return .errorCode(number, reason: reason)
        case STUNAttributeType.unknownAttributes:
            try expect(field.byteCount & 1 == 0 && field.byteCount <= 2 * STUNMessage.attributeLimit, field)
            return .unknownAttributes(
                (0..<field.byteCount / 2).map { bytes.bigEndianUInt16(at: field.offset + 2 * $0) }
            )
        case STUNAttributeType.username:
            return .username(try text(field, in: bytes, limit: usernameByteLimit))
        case STUNAttributeType.realm: return .realm(try text(field, in: bytes, limit: textByteLimit))
        case STUNAttributeType.nonce: return .nonce(try text(field, in: bytes, limit: textByteLimit))
        case STUNAttributeType.alternateDomain:
            return .alternateDomain(try text(field, in: bytes, limit: domainByteLimit))
        case STUNAttributeType.software:
            try expect(field.byteCount <= textByteLimit, field)
            let value = bytes.copyBytes(in: field.range)
            return String(validating: value, as: UTF8.self).map { .software($0) } ?? .other(type: field.type, value)
        case STUNAttributeType.userhash:
            try expect(field.byteCount == 32, field)
            return .userhash(bytes.copyBytes(in: field.range))
        case STUNAttributeType.messageIntegrity:
            try expect(field.byteCount == 20, field)
            return .messageIntegrity(bytes.copyBytes(in: field.range))
        case STUNAttributeType.messageIntegritySHA256:
            try expect((16...32).contains(field.byteCount) && field.byteCount & 3 == 0, field)
            return .messageIntegritySHA256(bytes.copyBytes(in: field.range))
        case STUNAttributeType.passwordAlgorithm:
            let algorithms = try algorithms(field, in: bytes)
            guard algorithms.count == 1, let algorithm = algorithms.first else {
                throw .invalidAttribute(field.type)
            }
            return .passwordAlgorithm(algorithm)
        case STUNAttributeType.passwordAlgorithms: return .passwordAlgorithms(try algorithms(field, in: bytes))
        default:
            return try relayed(field, in: bytes, cookie: cookie, transactionID: transactionID)
                ?? .other(type: field.type, bytes.copyBytes(in: field.range))
        }
    }

    /// Reads an attribute of ICE or TURN; nil for others.
    private static func relayed(
        _ field: STUNAttributeField,
        in bytes: RawSpan,
        cookie: UInt32,
        transactionID: STUNTransactionID
    ) throws(STUNError) -> STUNAttribute? {
        switch field.type {
        case STUNAttributeType.xorPeerAddress:
            return .xorPeerAddress(
                try endpoint(field, in: bytes).masked(cookie: cookie, transactionID: transactionID)
            )
        case STUNAttributeType.xorRelayedAddress:
            return .xorRelayedAddress(
                try endpoint(field, in: bytes).masked(cookie: cookie, transactionID: transactionID)
            )
        case STUNAttributeType.data: return .data(bytes.copyBytes(in: field.range))
        case STUNAttributeType.channelNumber:
            try expect(field.byteCount == 4, field)
            return .channelNumber(bytes.bigEndianUInt16(at: field.offset))
        case STUNAttributeType.lifetime:
            try expect(field.byteCount == 4, field)
            return .lifetime(bytes.bigEndianUInt32(at: field.offset))
        case STUNAttributeType.priority:
            try expect(field.byteCount == 4, field)
            return .priority(bytes.bigEndianUInt32(at: field.offset))
        case STUNAttributeType.requestedAddressFamily:
            try expect(field.byteCount == 4, field)
            return .requestedAddressFamily(STUNAddressFamily(rawValue: bytes.byte(at: field.offset)))
        case STUNAttributeType.additionalAddressFamily:
            try expect(field.byteCount == 4, field)
            return .additionalAddressFamily(STUNAddressFamily(rawValue: bytes.byte(at: field.offset)))
        case STUNAttributeType.requestedTransport:
            try expect(field.byteCount == 4, field)
            return .requestedTransport(bytes.byte(at: field.offset))
        case STUNAttributeType.evenPort:
            try expect(field.byteCount == 1, field)
            return .evenPort(reservesNext: bytes.byte(at: field.offset) & 0x80 != 0)
        case STUNAttributeType.dontFragment:
            try expect(field.byteCount == 0, field)
            return .dontFragment
        case STUNAttributeType.useCandidate:
            try expect(field.byteCount == 0, field)
            return .useCandidate
        case STUNAttributeType.reservationToken:
            try expect(field.byteCount == 8, field)
            return .reservationToken(bytes.bigEndianUInt64(at: field.offset))
        case STUNAttributeType.iceControlled:
            try expect(field.byteCount == 8, field)
            return .iceControlled(bytes.bigEndianUInt64(at: field.offset))
        case STUNAttributeType.iceControlling:
            try expect(field.byteCount == 8, field)
            return .iceControlling(bytes.bigEndianUInt64(at: field.offset))
        case STUNAttributeType.addressErrorCode:
            let (number, reason) = try error(field, in: bytes)
            let family = STUNAddressFamily(rawValue: bytes.byte(at: field.offset))
            return .addressErrorCode(family, number, reason: reason)
        case STUNAttributeType.icmp:
            try expect(field.byteCount == 8, field)
            return .icmp(
                type: bytes.byte(at: field.offset + 2),
                code: bytes.byte(at: field.offset + 3),
                data: bytes.bigEndianUInt32(at: field.offset + 4)
            )
        default: return nil
        }
    }

    private static func expect(_ condition: Bool, _ field: STUNAttributeField) throws(STUNError) {
        guard condition else { throw .invalidAttribute(field.type) }
    }

    /// The first byte of the value is to be ignored (section 14.1).
    private static func endpoint(_ field: STUNAttributeField, in bytes: RawSpan) throws(STUNError) -> IPEndpoint {
        try expect(field.byteCount >= 4, field)
        let port = bytes.bigEndianUInt16(at: field.offset + 2)
        switch (bytes.byte(at: field.offset + 1), field.byteCount) {
        case (1, 8): return IPEndpoint(.v4(bytes.bigEndianUInt32(at: field.offset + 4)), port)
        case (2, 20):
            let high = bytes.bigEndianUInt64(at: field.offset + 4)
            return IPEndpoint(.v6(high: high, low: bytes.bigEndianUInt64(at: field.offset + 12)), port)
        default: throw .invalidAttribute(field.type)
        }
    }

    private static func error(
        _ field: STUNAttributeField,
        in bytes: RawSpan
    ) throws(STUNError) -> (number: Int, reason: String) {
        try expect(field.byteCount >= 4 && field.byteCount <= 4 + textByteLimit, field)
        let hundreds = Int(bytes.byte(at: field.offset + 2) & 7)
        let units = Int(bytes.byte(at: field.offset + 3))
        try expect((3...6).contains(hundreds) && units <= 99, field)
        let reason = bytes.copyBytes(in: (field.offset + 4)..<(field.offset + field.byteCount))
        return (hundreds * 100 + units, String(validating: reason, as: UTF8.self) ?? "")
    }

    private static func text(
        _ field: STUNAttributeField,
        in bytes: RawSpan,
        limit: Int
    ) throws(STUNError) -> String {
        try expect(field.byteCount <= limit, field)
        guard let text = String(validating: bytes.copyBytes(in: field.range), as: UTF8.self) else {
            throw .invalidAttribute(field.type)
        }
        return text
    }

    /// Each algorithm is a number, a length and parameters that are padded to a multiple of 4 (section 14.11).
    private static func algorithms(
        _ field: STUNAttributeField,
        in bytes: RawSpan
    ) throws(STUNError) -> [STUNPasswordAlgorithm] {
        var algorithms: [STUNPasswordAlgorithm] = []
        var offset = field.offset
        let end = field.offset + field.byteCount
        while offset < end {
            try expect(end - offset >= 4 && algorithms.count < algorithmLimit, field)
            let length = Int(bytes.bigEndianUInt16(at: offset + 2))
            let start = offset + 4
            try expect(length <= end - start, field)
            algorithms.append(
                STUNPasswordAlgorithm(
                    number: bytes.bigEndianUInt16(at: offset),
                    parameters: bytes.copyBytes(in: start..<(start + length))
                )
            )
            offset = start + (length + 3) & ~3
        }
        return algorithms
    }
}

extension STUNAttributeField {
    /// Where the value is.
    package var range: Range<Int> { offset..<(offset + byteCount) }
}

extension IPEndpoint {
    /// The endpoint XOR cookie and transaction id (RFC 8489 section 14.2); twice gives the endpoint again.
    package func masked(cookie: UInt32, transactionID: STUNTransactionID) -> IPEndpoint {
        let port = port ^ UInt16(truncatingIfNeeded: cookie >> 16)
        switch address {
        case .v4(let number): return IPEndpoint(.v4(number ^ cookie), port)
        case .v6(let high, let low):
            let mask = UInt64(cookie) << 32 | UInt64(transactionID.high)
            return IPEndpoint(.v6(high: high ^ mask, low: low ^ transactionID.low), port)
        }
    }
}
