// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension STUNMessage {
    /// Appends the message.
    ///
    /// Text beyond an attribute's limit is cut there, and attributes that would not fit into a message are left out.
    ///
    /// - Parameter fingerprint: whether FINGERPRINT is to end it; it does too when `hasFingerprint` says so.
    package func encode(into bytes: inout [UInt8], fingerprint: Bool = false) {
        encode(into: &bytes, fingerprint: fingerprint, integrity: nil) { _ in [] }
    }

    /// Appends the message with an attribute that protects it, before FINGERPRINT.
    ///
    /// - Parameter code: gives the code for the bytes that it covers (see `covered(by:in:)`).
    package func encode(
        into bytes: inout [UInt8],
        fingerprint: Bool = false,
        integrity: STUNIntegrity?,
        code: (_ covered: [UInt8]) -> [UInt8]
    ) {
        let start = bytes.count
        let kindBits = UInt16(kind.rawValue & 2) << 7 | UInt16(kind.rawValue & 1) << 4
        let number = method.rawValue
        bytes.appendBigEndian(kindBits | number & 0xF | (number & 0x70) << 1 | (number & 0xF80) << 2)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(cookie)
        bytes.appendBigEndian(transactionID.high)
        bytes.appendBigEndian(transactionID.low)
        let hasFingerprint = fingerprint || hasFingerprint
        let reserved = (integrity == nil ? 0 : 36) + (hasFingerprint ? 8 : 0)
        let count = Self.attributeLimit - (integrity == nil ? 0 : 1) - (hasFingerprint ? 1 : 0)
        for attribute in attributes.prefix(count) {
            let before = bytes.count
            attribute.encode(into: &bytes, cookie: cookie, transactionID: transactionID)
            if bytes.count - start + reserved > Self.byteLimit { bytes.removeSubrange(before...) }
        }
        if let integrity {
            setLength(of: &bytes, from: start, adding: 4 + integrity.byteCount)
            let value = code(Array(bytes[start...]))
            STUNAttribute.encode(type: integrity.type, value.prefix(integrity.byteCount), into: &bytes)
        }
        if hasFingerprint {
            setLength(of: &bytes, from: start, adding: 8)
            let value = unsafe STUNFingerprint.value(of: bytes.span.bytes.extracting(start..<bytes.count))
            bytes.appendBigEndian(STUNAttributeType.fingerprint)
            bytes.appendBigEndian(UInt16(4))
            bytes.appendBigEndian(value)
        }
        setLength(of: &bytes, from: start, adding: 0)
    }

    private func setLength(of bytes: inout [UInt8], from start: Int, adding more: Int) {
        let length = bytes.count - start - Self.headerByteCount + more
        bytes[start + 2] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[start + 3] = UInt8(truncatingIfNeeded: length)
    }
}

extension STUNAttribute {
    /// Appends an attribute with its padding.
    static func encode(type: UInt16, _ value: some Collection<UInt8>, into bytes: inout [UInt8]) {
        bytes.appendBigEndian(type)
        bytes.appendBigEndian(UInt16(value.count))
        bytes.append(contentsOf: value)
        bytes.append(contentsOf: repeatElement(0, count: -value.count & 3))
    }

    func encode(into bytes: inout [UInt8], cookie: UInt32, transactionID: STUNTransactionID) {
        switch self {
        case .mappedAddress(let endpoint), .sourceAddress(let endpoint), .changedAddress(let endpoint),
            .reflectedFrom(let endpoint), .alternateServer(let endpoint), .responseOrigin(let endpoint),
            .otherAddress(let endpoint):
            Self.encode(type: type, endpoint, into: &bytes)
        case .xorMappedAddress(let endpoint), .xorPeerAddress(let endpoint), .xorRelayedAddress(let endpoint):
            Self.encode(type: type, endpoint.masked(cookie: cookie, transactionID: transactionID), into: &bytes)
        case .changeRequest(let address, let port):
            Self.encode(type: type, [0, 0, 0, (address ? 4 : 0) | (port ? 2 : 0)], into: &bytes)
        case .responsePort(let port), .alternatePort(let port):
            Self.encode(type: type, [UInt8(port >> 8), UInt8(port & 255), 0, 0], into: &bytes)
        case .padding(let count):
            Self.encode(type: type, repeatElement(0, count: min(max(count, 0), 0xFFF8)), into: &bytes)
        case .software(let text), .realm(let text), .nonce(let text):
            Self.encode(type: type, Self.cut(text, to: Self.textByteLimit), into: &bytes)
        case .username(let text):
            Self.encode(type: type, Self.cut(text, to: Self.usernameByteLimit), into: &bytes)
        case .alternateDomain(let text):
            Self.encode(type: type, Self.cut(text, to: Self.domainByteLimit), into: &bytes)
        case .errorCode(let number, let reason):
            var text = Self.cut(reason, to: Self.textByteLimit)
            // RFC 3489 section 11.2.9 knows no padding: the phrase itself is a multiple of 4 bytes long.
            if cookie != STUNMessage.magicCookie {
                text = Self.cut(reason, to: Self.textByteLimit & ~3)
                text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: -text.count & 3))
            }
            Self.encode(type: type, [0, 0] + Self.code(number) + text, into: &bytes)
        case .unknownAttributes(let types):
            var types = types.prefix(STUNMessage.attributeLimit)
            // RFC 3489 section 11.2.10: an odd list repeats one.
            if cookie != STUNMessage.magicCookie, types.count & 1 == 1, let last = types.last { types.append(last) }
            Self.encode(type: type, types.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }, into: &bytes)
        case .userhash(let value), .messageIntegrity(let value), .messageIntegritySHA256(let value),
            .other(_, let value):
            Self.encode(type: type, value.prefix(0xFFFC), into: &bytes)
        case .passwordAlgorithm(let algorithm): Self.encode(type: type, algorithm.bytes, into: &bytes)
        case .passwordAlgorithms(let algorithms):
            Self.encode(type: type, algorithms.prefix(Self.algorithmLimit).flatMap(\.bytes), into: &bytes)
        case .data(let value): Self.encode(type: type, value.prefix(0xFFDC), into: &bytes)
        case .channelNumber(let number): Self.encode(type: type, number: UInt32(number) << 16, into: &bytes)
        case .lifetime(let number), .priority(let number): Self.encode(type: type, number: number, into: &bytes)
        case .requestedAddressFamily(let family), .additionalAddressFamily(let family):
            Self.encode(type: type, number: UInt32(family.rawValue) << 24, into: &bytes)
        case .requestedTransport(let number): Self.encode(type: type, number: UInt32(number) << 24, into: &bytes)
        case .evenPort(let reservesNext): Self.encode(type: type, [reservesNext ? 0x80 : 0], into: &bytes)
        case .dontFragment, .useCandidate: Self.encode(type: type, [], into: &bytes)
        case .reservationToken(let number), .iceControlled(let number), .iceControlling(let number):
            bytes.appendBigEndian(type)
            bytes.appendBigEndian(UInt16(8))
            bytes.appendBigEndian(number)
        case .addressErrorCode(let family, let number, let reason):
            let text = Self.cut(reason, to: Self.textByteLimit)
            Self.encode(type: type, [family.rawValue, 0] + Self.code(number) + text, into: &bytes)
        case .icmp(let icmpType, let icmpCode, let data):
            bytes.appendBigEndian(type)
            bytes.appendBigEndian(UInt16(8))
            bytes.appendBigEndian(UInt32(icmpType) << 8 | UInt32(icmpCode))
            bytes.appendBigEndian(data)
        }
    }

    /// The class and the number of an error, 300 to 699.
    private static func code(_ number: Int) -> [UInt8] {
        let code = min(max(number, 300), 699)
        return [UInt8(code / 100), UInt8(code % 100)]
    }

    private static func encode(type: UInt16, number: UInt32, into bytes: inout [UInt8]) {
        bytes.appendBigEndian(type)
        bytes.appendBigEndian(UInt16(4))
        bytes.appendBigEndian(number)
    }

    private static func encode(type: UInt16, _ endpoint: IPEndpoint, into bytes: inout [UInt8]) {
        bytes.appendBigEndian(type)
        switch endpoint.address {
        case .v4(let number):
            bytes.appendBigEndian(UInt32(8) << 16 | 1)
            bytes.appendBigEndian(endpoint.port)
            bytes.appendBigEndian(number)
        case .v6(let high, let low):
            bytes.appendBigEndian(UInt32(20) << 16 | 2)
            bytes.appendBigEndian(endpoint.port)
            bytes.appendBigEndian(high)
            bytes.appendBigEndian(low)
        }
    }

    /// The text's bytes without a character that the limit would divide.
    private static func cut(_ text: String, to limit: Int) -> [UInt8] {
        if text.utf8.count <= limit { return Array(text.utf8) }
        var bytes = text.utf8.prefix(limit)
        while String(validating: bytes, as: UTF8.self) == nil { bytes.removeLast() }
        return Array(bytes)
    }
}

extension STUNPasswordAlgorithm {
    fileprivate var bytes: [UInt8] {
        var bytes: [UInt8] = []
        STUNAttribute.encode(type: number, parameters.prefix(256), into: &bytes)
        return bytes
    }
}
