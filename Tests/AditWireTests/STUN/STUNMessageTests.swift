// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct STUNMessageTests {
    private static let id = STUNTransactionID(high: 0x0102_0304, low: 0x0506_0708_090A_0B0C)
    private static let v4 = IPEndpoint(.v4(0xCB00_7107), 41641)
    private static let v6 = IPEndpoint(.v6(high: 0x2001_0DB8_0000_0001, low: 7), 3478)

    private static let everything: [STUNAttribute] = [
        .mappedAddress(v4), .xorMappedAddress(v6), .changeRequest(address: true, port: false), .responseOrigin(v4),
        .otherAddress(v6), .responsePort(4000), .padding(6), .software("adit 1"), .errorCode(420, reason: "no"),
        .unknownAttributes([1, 2, 3]), .username("me"), .realm("例.test"), .nonce("abc"),
        .userhash(Array(repeating: 7, count: 32)), .passwordAlgorithm(.sha256), .passwordAlgorithms([.md5, .sha256]),
        .alternateServer(v4), .alternateDomain("b.test"), .sourceAddress(v4), .changedAddress(v4), .reflectedFrom(v4),
        .priority(1_862_270_975), .useCandidate, .iceControlled(.max), .iceControlling(1), .channelNumber(0x4001),
        .lifetime(600), .xorPeerAddress(v4), .xorPeerAddress(v6), .data([1, 2, 3]), .xorRelayedAddress(v6),
        .requestedAddressFamily(.v6), .evenPort(reservesNext: true), .requestedTransport(17), .dontFragment,
        .reservationToken(0x0102_0304_0506_0708), .additionalAddressFamily(.v4),
        .addressErrorCode(.v6, 440, reason: "no"), .icmp(type: 3, code: 4, data: 1400),
        .alternatePort(3479), .other(type: 0x4321, [1]), .other(type: 0x9321, []),
        .messageIntegrity(Array(repeating: 1, count: 20)), .messageIntegritySHA256(Array(repeating: 2, count: 16)),
    ]

    @Test(arguments: [false, true])
    func everyAttributeComesBack(isClassic: Bool) throws {
        var message = STUNMessage(.error, STUNMethod(rawValue: 0xABC), transactionID: Self.id)
        message.attributes = Self.everything
        message.hasFingerprint = true
        if isClassic { message.cookie = 0x0101_0101 }
        var bytes: [UInt8] = [9]
        message.encode(into: &bytes)
        bytes.removeFirst()
        let again = try decode(bytes)
        #expect(again.isClassic == isClassic)
        if isClassic {
            // Reasons are padded with spaces and odd lists repeat their last type.
            #expect(again.attributes.contains(.errorCode(420, reason: "no  ")))
            #expect(again.attributes.contains(.unknownAttributes([1, 2, 3, 3])))
        } else {
            #expect(again == message)
            #expect(looksLikeSTUN(bytes))
        }
    }

    @Test func everyKindAndMethodComesBack() throws {
        for kind in STUNKind.allCases {
            for number: UInt16 in [0, 1, 2, 0xF, 0x10, 0x7F, 0x80, 0x123, 0xFFF] {
                let message = STUNMessage(kind, STUNMethod(rawValue: number), transactionID: Self.id)
                var bytes: [UInt8] = []
                message.encode(into: &bytes)
                #expect(try decode(bytes) == message)
            }
        }
        // RFC 8489 figure 3: a Binding response is 0x0101, an error 0x0111, an indication 0x0011.
        #expect(firstBytes(.success) == [1, 1])
        #expect(firstBytes(.error) == [1, 0x11])
        #expect(firstBytes(.indication) == [0, 0x11])
    }

    @Test func aMessageCutAnywhereIsRefused() {
        let bytes = encoded(Self.everything, fingerprint: true)
        for count in 0..<bytes.count {
            let part = Array(bytes.prefix(count))
            #expect(throws: STUNError.self) { try decode(part) }
            #expect(!looksLikeSTUN(part))
            // With a length that says so, it is still no whole message with a fingerprint, unless it ends before one.
            guard count >= 20 else { continue }
            var honest = part
            honest[2] = UInt8((count - 20) >> 8)
            honest[3] = UInt8((count - 20) & 255)
            if let message = try? decode(honest) { #expect(!message.hasFingerprint) }
        }
    }

    @Test func everyFlippedBitUnderAFingerprintIsNoticed() {
        let bytes = encoded([.software("adit"), .xorMappedAddress(Self.v4)], fingerprint: true)
        for bit in 0..<(bytes.count * 8) {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            // A fingerprint whose type changes is an attribute that nobody knows.
            guard let message = try? decode(changed) else { continue }
            #expect(!message.hasFingerprint, "bit \(bit)")
        }
    }

    @Test func theFirstOfTwoCounts() throws {
        let bytes = encoded([.software("first"), .software("second"), .responsePort(1), .responsePort(2)])
        let message = try decode(bytes)
        #expect(message.attributes == [.software("first"), .responsePort(1)])
    }

    @Test func whatFollowsTheIntegrityIsIgnored() throws {
        let sha1 = STUNAttribute.messageIntegrity(Array(repeating: 1, count: 20))
        let sha256 = STUNAttribute.messageIntegritySHA256(Array(repeating: 2, count: 32))
        let one = encoded([.username("a"), sha1, .changeRequest(address: true, port: true), sha256, .realm("x")])
        #expect(try decode(one).attributes == [.username("a"), sha1, sha256])
        // HMAC-SHA1 behind HMAC-SHA256 does not count.
        let other = encoded([.username("a"), sha256, sha1])
        #expect(try decode(other).attributes == [.username("a"), sha256])
        let covered = try STUNMessage.covered(by: .sha1, in: other.span.bytes)
        #expect(covered == nil)
    }

    @Test func aFingerprintThatIsNotLastIsRefused() {
        var bytes = encoded([.software("adit")], fingerprint: true)
        bytes += [0x80, 0x22, 0, 0]
        bytes[3] += 4
        #expect(throws: STUNError.invalidAttribute(0x8028)) { try decode(bytes) }
    }

    @Test func wrongValuesAreRefused() {
        let wrong: [(UInt16, [UInt8])] = [
            (0x0001, [0, 3, 0, 1, 1, 2, 3, 4]), (0x0001, [0, 1, 0, 1]), (0x0020, [0, 2, 0, 1, 1, 2, 3, 4]),
            (0x0001, []), (0x0003, [0, 0]), (0x0008, [1, 2, 3, 4]), (0x001C, Array(repeating: 0, count: 12)),
            (0x001C, Array(repeating: 0, count: 36)), (0x001C, Array(repeating: 0, count: 18)),
            (0x001E, Array(repeating: 0, count: 31)), (0x0009, [0, 0, 2, 0]), (0x0009, [0, 0, 7, 0]),
            (0x0009, [0, 0, 4, 100]), (0x0009, [0, 0]), (0x000A, [1]), (0x0006, [0xFF, 0xFE]),
            (0x0006, Array(repeating: 65, count: 514)), (0x0014, Array(repeating: 65, count: 764)),
            (0x8022, Array(repeating: 65, count: 764)), (0x001D, []), (0x001D, [0, 1, 0, 0, 0, 2, 0, 0]),
            (0x8002, [0, 1, 0, 9]), (0x0027, [1]), (0xFAD1, [1, 2]),
        ]
        for (type, value) in wrong {
            let bytes = encoded([.other(type: type, value)])
            #expect(throws: STUNError.invalidAttribute(type)) { try decode(bytes) }
        }
    }

    @Test func softwareThatIsNoTextIsKeptAsBytes() throws {
        let bytes = encoded([.other(type: 0x8022, [0xFF, 0xFE])])
        #expect(try decode(bytes).attributes == [.other(type: 0x8022, [0xFF, 0xFE])])
    }

    @Test func moreAttributesThanTheLimitAreRefused() {
        var bytes = encoded([])
        for _ in 0...STUNMessage.attributeLimit { bytes += [0x90, 0, 0, 0] }
        let length = bytes.count - 20
        bytes[2] = UInt8(length >> 8)
        bytes[3] = UInt8(length & 255)
        #expect(throws: STUNError.tooManyAttributes) { try decode(bytes) }
    }

    @Test func lengthsThatAreNoMultipleOfFourAreRefused() {
        var bytes = encoded([]) + [0, 0]
        bytes[3] = 2
        #expect(throws: STUNError.length(2)) { try decode(bytes) }
        #expect(throws: STUNError.notSTUN) { try decode(([0x40] + bytes.dropFirst())) }
    }

    @Test func theLengthOfAMessageInAStreamIsKnownAfterFourBytes() throws {
        let bytes = encoded([.software("adit")]) + [1, 2, 3]
        for count in 0..<4 {
            #expect(try byteCount(inStream: Array(bytes.prefix(count))) == nil)
        }
        #expect(try byteCount(inStream: bytes) == bytes.count - 3)
        #expect(throws: STUNError.notSTUN) { try byteCount(inStream: [0x80]) }
        #expect(throws: STUNError.length(3)) { try byteCount(inStream: [0, 1, 0, 3]) }
        #expect(throws: STUNError.length(0x1000)) {
            try byteCount(inStream: [0, 1, 0x10, 0], limit: 1024)
        }
    }

    @Test func aMessageStaysWithinItsLimits() throws {
        let long = String(repeating: "é", count: 2000)
        let huge = (0..<60).map { STUNAttribute.other(type: 0x9000 + $0, Array(repeating: 1, count: 2000)) }
        let bytes = encoded([.software(long), .username(long), .padding(70_000)] + huge, fingerprint: true)
        #expect(bytes.count <= STUNMessage.byteLimit)
        let message = try decode(bytes)
        #expect(message.attributes.first == .software(String(repeating: "é", count: 381)))
        #expect(message.hasFingerprint)
    }

    @Test func aRequestIsAsLongAsTheLongestResponse() {
        let count = { (message: STUNMessage) in
            var bytes: [UInt8] = []
            message.encode(into: &bytes)
            return bytes.count
        }
        let addresses: [STUNAttribute] = [
            .xorMappedAddress(Self.v4), .otherAddress(Self.v4), .responseOrigin(Self.v4), .mappedAddress(Self.v4),
        ]
        let response = STUNMessage(.success, transactionID: Self.id, attributes: addresses)
        #expect(count(.bindingRequest(Self.id)) >= count(response))
        let wide = addresses.map { _ in STUNAttribute.other(type: 1, Array(repeating: 0, count: 20)) }
        let responseV6 = STUNMessage(.success, transactionID: Self.id, attributes: wide)
        #expect(count(.bindingRequest(Self.id, isV6: true)) >= count(responseV6))
    }

    // A span cannot be a subexpression of an expectation.

    private func decode(_ bytes: [UInt8]) throws(STUNError) -> STUNMessage {
        try STUNMessage.decode(bytes.span.bytes)
    }

    private func looksLikeSTUN(_ bytes: [UInt8]) -> Bool {
        STUNMessage.looksLikeSTUN(bytes.span.bytes)
    }

    private func byteCount(
        inStream bytes: [UInt8],
        limit: Int = STUNMessage.byteLimit
    ) throws(STUNError) -> Int? {
        try STUNMessage.byteCount(inStream: bytes.span.bytes, limit: limit)
    }

    private func firstBytes(_ kind: STUNKind) -> [UInt8] {
        var bytes: [UInt8] = []
        STUNMessage(kind, transactionID: Self.id).encode(into: &bytes)
        return Array(bytes.prefix(2))
    }

    private func encoded(_ attributes: [STUNAttribute], fingerprint: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        STUNMessage(.request, transactionID: Self.id, attributes: attributes)
            .encode(into: &bytes, fingerprint: fingerprint)
        return bytes
    }
}
