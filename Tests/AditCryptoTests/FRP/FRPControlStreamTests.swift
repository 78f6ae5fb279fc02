// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import Testing

/// Vectors of this suite were made with Python's `cryptography` package, an implementation of its own.
@Suite struct FRPControlStreamTests {
    private static let clientHello = Array(
        (#"{"bootstrap":{"transport":"tcp"},"capabilities":{"message":{"codecs":["json"]},"crypto":{"algorithms":"#
            + #"["aes-256-gcm","xchacha20-poly1305"],"clientRandom":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}}"#)
            .utf8
    )
    private static let serverHello = Array(
        (#"{"selected":{"message":{"codec":"json"},"crypto":{"algorithm":"aes-256-gcm","#
            + #""serverRandom":"Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="}}}"#).utf8
    )
    static let transcript = FRPControlTranscript(clientHello: clientHello, serverHello: serverHello)

    struct Stream: Sendable {
        let cipher: FRPControlCipher
        let direction: FRPControlDirection
        let key: String
        let bytes: String
    }

    private static let streams = [
        Stream(
            cipher: .aes256GCM,
            direction: .clientToServer,
            key: "8c7cbc2ecbb10d38cd540c512701942e09c65775b935764a2ecb7a0064c37adb",
            bytes:
                "a0a1a2a3a4a5a6a7a8a9fffe0000001534d655f5ad1daeee4fc6ead9b8a2406d66b6635d260000001d0d1feb83b2561a6825"
                + "a8d68945ceb08c2bae688d3057abbbd2940935ab00000015d6df49fd672baadf90bc6ab943048f3339f841246b"
        ),
        Stream(
            cipher: .aes256GCM,
            direction: .serverToClient,
            key: "005878097805f4c8e2d9a431b33a66306207c8d72aad2bf46fb2c2b4413d78f1",
            bytes:
                "a0a1a2a3a4a5a6a7a8a9fffe000000151cfef6cff4cc0f6a4c1b0c92d44b76a8f7f15f62830000001db374b470e25398b634"
                + "4131ff7aa85d1abf460b81d9022d76a0cbf31a05000000155668f9e567007d9f0b5ce864f94da1acc778bed39a"
        ),
        Stream(
            cipher: .xchacha20Poly1305,
            direction: .clientToServer,
            key: "9e9c70844dd86d1d07d70a1ea60c862054a860bd634c8efaa5b484204d901e3a",
            bytes:
                "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5fffe00000015eab8c61e591056c7ef40824d496dcd6f7616a17dfb00"
                + "00001d9144d8cbf081411ca8d47c36d89f713b3c018a922f954c93e88346f6d6000000154e6ab4407ca9ddb01d92b03842e0"
                + "ec7dd77814910f"
        ),
        Stream(
            cipher: .xchacha20Poly1305,
            direction: .serverToClient,
            key: "5c5dc56575bc8904d50185a2a05fa1cc1091626103b5e2302001ed9c29bf6880",
            bytes:
                "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5fffe0000001584117b524b70b4f523f109cddfd9bf891946f90bd600"
                + "00001deac5372f723ac9c1828275c932ca29a249954df27746d03bc9e1ca4f62000000154299630175e0e064d13d39a240bb"
                + "03d13da0ba380c"
        ),
    ]
    private static let records = ["first", "second record", "third"].map { Array($0.utf8) }
    private let token = Array("secret token".utf8)

    @Test func `hashes both hellos with labels and lengths`() {
        #expect(
            Self.transcript.hash == bytes("36787cdbe1e22dbe42ea5172217720cf180ac587a2a830427f91a53250944ade")
        )
        #expect(
            FRPControlTranscript(clientHello: Self.clientHello + [0], serverHello: Self.serverHello)
                != Self.transcript
        )
    }

    @Test(arguments: streams) func `derives a key for each cipher and direction`(stream: Stream) {
        let key = Self.transcript.key(token: token, cipher: stream.cipher, direction: stream.direction)
        #expect(key == bytes(stream.key))
    }

    @Test func `derives a key also from an empty token`() {
        let key = Self.transcript.key(token: [], cipher: .aes256GCM, direction: .clientToServer)
        #expect(key == bytes("cfc10f47840ad92c8be962a18a9938227433486f6026bebdc82f31b0ae3d872b"))
    }

    @Test(arguments: streams) func `seals as another implementation does`(stream: Stream) throws {
        var sealer = sealer(of: stream)
        var output: [UInt8] = []
        for record in Self.records { try sealer.seal(record, into: &output) }
        #expect(output == bytes(stream.bytes))
    }

    @Test(arguments: streams) func `opens what another implementation sealed, at every cut`(stream: Stream) throws {
        let sealed = bytes(stream.bytes)
        for cut in 0...sealed.count {
            var opener = opener(of: stream)
            var plaintext: [UInt8] = []
            let used = try opener.open(Array(sealed[..<cut]), into: &plaintext)
            let rest = try opener.open(Array(sealed[used...]), into: &plaintext)
            #expect(used + rest == sealed.count)
            #expect(plaintext == Self.records.flatMap { $0 })
        }
    }

    @Test(arguments: streams) func `opens a stream that arrives byte by byte`(stream: Stream) throws {
        var opener = opener(of: stream)
        var pending: [UInt8] = []
        var plaintext: [UInt8] = []
        for byte in bytes(stream.bytes) {
            pending.append(byte)
            pending.removeFirst(try opener.open(pending, into: &plaintext))
        }
        #expect(pending.isEmpty)
        #expect(plaintext == Self.records.flatMap { $0 })
    }

    @Test(arguments: streams) func `never lets a changed record through`(stream: Stream) {
        let sealed = bytes(stream.bytes)
        withEachBitFlipped(sealed) { changed in
            var opener = opener(of: stream)
            var plaintext: [UInt8] = []
            let used = try? opener.open(changed, into: &plaintext)
            #expect(plaintext != Self.records.flatMap { $0 })
            #expect(used != sealed.count)
            #expect(Self.records.flatMap { $0 }.starts(with: plaintext))
        }
    }

    @Test func `refuses records in another order and stays refused`() throws {
        let stream = Self.streams[0]
        let sealed = bytes(stream.bytes)
        let nonceEnd = 12
        let firstEnd = nonceEnd + 4 + 21
        let secondEnd = firstEnd + 4 + 29
        let swapped = sealed[..<nonceEnd] + sealed[firstEnd..<secondEnd] + sealed[nonceEnd..<firstEnd]
        var opener = opener(of: stream)
        var plaintext: [UInt8] = []
        #expect(throws: CryptoError.notAuthentic) { _ = try opener.open(Array(swapped), into: &plaintext) }
        #expect(throws: CryptoError.notAuthentic) {
            _ = try opener.open(Array(sealed[nonceEnd..<firstEnd]), into: &plaintext)
        }
        #expect(plaintext.isEmpty)
    }

    @Test(arguments: [0, 15, 65_553, UInt32.max]) func `refuses a record length at once`(length: UInt32) {
        var sealed = bytes("a0a1a2a3a4a5a6a7a8a9fffe")
        sealed.appendBigEndian(length)
        var opener = FRPControlOpener(cipher: .aes256GCM, key: Array(repeating: 7, count: 32))
        var plaintext: [UInt8] = []
        #expect(throws: CryptoError.recordLength(length)) {
            _ = try opener.open(sealed, into: &plaintext)
        }
    }

    @Test(arguments: FRPControlCipher.allCases) func `cuts long text into records of 64 KiB`(
        cipher: FRPControlCipher
    ) throws {
        var generator = SeededGenerator(seed: 2)
        let key = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for length in [1, 65_535, 65_536, 65_537, 200_000] {
            let start = (0..<cipher.nonceByteCount).map { _ in UInt8.random(in: 0...127, using: &generator) }
            let text = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            var sealer = FRPControlSealer(cipher: cipher, key: key, startNonce: start)
            var sealed: [UInt8] = []
            try sealer.seal(text, into: &sealed)
            #expect(sealed.count == start.count + length + (length + 65_535) / 65_536 * 20)
            var opener = FRPControlOpener(cipher: cipher, key: key)
            var opened: [UInt8] = []
            let used = try opener.open(sealed, into: &opened)
            #expect(used == sealed.count)
            #expect(opened == text)
        }
    }

    @Test func `writes nothing for nothing`() throws {
        var sealer = FRPControlSealer(cipher: .aes256GCM, key: [UInt8](repeating: 1, count: 32), startNonce: .zeros(12))
        var sealed: [UInt8] = []
        try sealer.seal([], into: &sealed)
        #expect(sealed.isEmpty)
    }

    @Test func `stops when a key has sealed its last record`() throws {
        let key = [UInt8](repeating: 1, count: 32)
        var sealer = FRPControlSealer(
            cipher: .aes256GCM,
            key: key,
            startNonce: .zeros(12),
            sealedRecords: (1 << 32) - 1
        )
        var sealed: [UInt8] = []
        try sealer.seal([1], into: &sealed)
        #expect(throws: CryptoError.recordLimit) { try sealer.seal([2], into: &sealed) }
    }

    @Test func `stops before the nonce wraps`() throws {
        let key = [UInt8](repeating: 1, count: 32)
        var sealer = FRPControlSealer(cipher: .aes256GCM, key: key, startNonce: [UInt8](repeating: 255, count: 12))
        var sealed: [UInt8] = []
        try sealer.seal([1], into: &sealed)
        #expect(throws: CryptoError.recordLimit) { try sealer.seal([2], into: &sealed) }
    }

    @Test func `takes the first cipher that it knows`() {
        #expect(FRPControlCipher.select(from: ["rot13", "xchacha20-poly1305", "aes-256-gcm"]) == .xchacha20Poly1305)
        #expect(FRPControlCipher.select(from: ["AES-256-GCM"]) == nil)
        #expect(FRPControlCipher.select(from: []) == nil)
    }

    private func sealer(of stream: Stream) -> FRPControlSealer {
        FRPControlSealer(
            cipher: stream.cipher,
            token: token,
            transcript: Self.transcript,
            direction: stream.direction,
            startNonce: Array(bytes(stream.bytes).prefix(stream.cipher.nonceByteCount))
        )
    }

    private func opener(of stream: Stream) -> FRPControlOpener {
        FRPControlOpener(
            cipher: stream.cipher,
            token: token,
            transcript: Self.transcript,
            direction: stream.direction
        )
    }
}

extension [UInt8] {
    fileprivate static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}

extension FRPControlSealer {
    fileprivate mutating func seal(_ plaintext: [UInt8], into output: inout [UInt8]) throws(CryptoError) {
        try seal(plaintext.span.bytes, into: &output)
    }
}

extension FRPControlOpener {
    fileprivate mutating func open(_ bytes: [UInt8], into plaintext: inout [UInt8]) throws(CryptoError) -> Int {
        try open(bytes.span.bytes, into: &plaintext)
    }
}
