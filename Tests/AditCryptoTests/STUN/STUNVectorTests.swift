// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditWire
import Testing

/// The samples of RFC 5769, which are messages of independent programs.
@Suite struct STUNVectorTests {
    private static let shortTerm = STUNIntegrityKey(password: "VOkJxbRl1RmTxUk/WvJxBt")
    private static let transaction = STUNTransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)

    /// Section 2.1.
    static let request = bytes(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932f"
            + "f9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a"
            + "3bcf"
    )
    /// Section 2.2.
    static let responseV4 = bytes(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91"
            + "f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
    )
    /// Section 2.3.
    static let responseV6 = bytes(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25"
            + "f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
    )
    /// Section 2.4.
    static let longTerm = bytes(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f343939"
            + "6b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8"
            + "e0712e85c9a28ca89666"
    )

    @Test func theSampleRequestIsRead() throws {
        let message = try STUNMessage.decode(Self.request.span.bytes)
        #expect(message.kind == .request)
        #expect(message.method == .binding)
        #expect(message.transactionID == Self.transaction)
        #expect(message.hasFingerprint)
        #expect(message.attributes.first == .software("STUN test client"))
        #expect(message.attributes.contains(.username("evtj:h6vY")))
        #expect(message.attributes.contains(.priority(0x6E00_01FF)))
        #expect(message.unknownRequiredTypes.isEmpty)
        try expectIntegrity(of: Self.request, key: Self.shortTerm)
    }

    @Test func theSampleResponsesAreRead() throws {
        let v4 = try STUNMessage.decode(Self.responseV4.span.bytes)
        #expect(v4.kind == .success)
        #expect(v4.mappedEndpoint?.description == "192.0.2.1:32853")
        #expect(v4.attributes.first == .software("test vector"))
        try expectIntegrity(of: Self.responseV4, key: Self.shortTerm)
        let v6 = try STUNMessage.decode(Self.responseV6.span.bytes)
        #expect(v6.mappedEndpoint?.description == "[2001:db8:1234:5678:11:2233:4455:6677]:32853")
        try expectIntegrity(of: Self.responseV6, key: Self.shortTerm)
    }

    @Test func theSampleWithALongTermCredentialIsReadAndWrittenAgain() throws {
        let message = try STUNMessage.decode(Self.longTerm.span.bytes)
        let username = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}"
        #expect(message.attributes.first == .username(username))
        #expect(message.attributes.contains(.realm("example.org")))
        #expect(message.attributes.contains(.nonce("f//499k954d6OL34oL9FSTvy64sA")))
        let key = STUNIntegrityKey(username: username, realm: "example.org", password: "TheMatrIX")
        try expectIntegrity(of: Self.longTerm, key: key)
        var again = message
        again.attributes.removeLast()
        var written: [UInt8] = []
        again.encode(into: &written, integrity: .sha1) { key.sha1Code(of: $0) }
        #expect(written == Self.longTerm)
    }

    @Test(arguments: [STUNIntegrity.sha1, .sha256], [false, true])
    func aProtectedMessageIsAcceptedAndEveryFlippedBitIsNoticed(integrity: STUNIntegrity, fingerprint: Bool) throws {
        let key = STUNIntegrityKey(username: "u", realm: "r", password: "p", algorithm: .sha256)
        let message = STUNMessage(.request, transactionID: Self.transaction, attributes: [.username("u"), .realm("r")])
        var bytes: [UInt8] = []
        message.encode(into: &bytes, fingerprint: fingerprint, integrity: integrity) {
            integrity == .sha1 ? key.sha1Code(of: $0) : key.sha256Code(of: $0)
        }
        #expect(accepts(bytes, integrity, key))
        #expect(!accepts(bytes, integrity, STUNIntegrityKey(password: "p")))
        let end = bytes.count - (fingerprint ? 8 : 0)
        for bit in 0..<(end * 8) {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            // What cannot be read at all is noticed too.
            #expect(!accepts(changed, integrity, key), "bit \(bit)")
        }
    }

    @Test func aTruncatedCodeIsAcceptedOnlyWhereItIsAllowed() {
        let key = STUNIntegrityKey(password: "p")
        let whole = key.sha256Code(of: [1, 2, 3])
        #expect(key.acceptsSHA256(code: whole, of: [1, 2, 3]))
        let cut = Array(whole.prefix(20))
        #expect(!key.acceptsSHA256(code: cut, of: [1, 2, 3]))
        #expect(key.acceptsSHA256(code: cut, of: [1, 2, 3], minimumByteCount: 16))
        #expect(!key.acceptsSHA256(code: Array(whole.prefix(18)), of: [1, 2, 3], minimumByteCount: 16))
        #expect(!key.acceptsSHA256(code: Array(whole.prefix(12)), of: [1, 2, 3], minimumByteCount: 0))
        #expect(!key.acceptsSHA256(code: [], of: [1, 2, 3], minimumByteCount: 0))
    }

    @Test func theKeyShowsNothingOfItself() {
        let key = STUNIntegrityKey(password: "secret-password")
        #expect(!"\(key)".contains("secret"))
        #expect(!String(reflecting: key).contains("secret"))
    }

    private func expectIntegrity(of bytes: [UInt8], key: STUNIntegrityKey) throws {
        let found = try STUNMessage.covered(by: .sha1, in: bytes.span.bytes)
        let (covered, code) = try #require(found)
        #expect(key.acceptsSHA1(code: code, of: covered))
        #expect(!key.acceptsSHA1(code: code, of: covered + [0]))
    }

    private func accepts(_ bytes: [UInt8], _ integrity: STUNIntegrity, _ key: STUNIntegrityKey) -> Bool {
        guard (try? STUNMessage.decode(bytes.span.bytes)) != nil,
            let (covered, code) = (try? STUNMessage.covered(by: integrity, in: bytes.span.bytes)).flatMap({ $0 })
        else { return false }
        return integrity == .sha1
            ? key.acceptsSHA1(code: code, of: covered) : key.acceptsSHA256(code: code, of: covered)
    }
}
