// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import Testing

@Suite struct AES128CFBStreamTests {
    private let key = bytes("2b7e151628aed2a6abf7158809cf4f3c")
    private let iv = bytes("000102030405060708090a0b0c0d0e0f")
    private let plaintext = bytes(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
            + "f69f2445df4f9b17ad2b417be66c3710"
    )
    private let ciphertext = bytes(
        "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b26751f67a3cbb140b1808cf187a4f4df"
            + "c04b05357c5d1c0eeac4c66f9ff7f2e6"
    )

    @Test func `encrypts the example of SP 800-38A F_3_13`() {
        var stream = AES128CFBStream(key: key, iv: iv)
        var text = plaintext
        stream.encrypt(&text)
        #expect(text == ciphertext)
    }

    @Test func `decrypts the example of SP 800-38A F_3_14`() {
        var stream = AES128CFBStream(key: key, iv: iv)
        var text = ciphertext
        stream.decrypt(&text)
        #expect(text == plaintext)
    }

    @Test func `agrees with another implementation over a thousand bytes`() {
        var stream = AES128CFBStream(key: Array(0..<16), iv: Array(16..<32))
        var text = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        stream.encrypt(&text)
        #expect(
            SHA256Digest(of: text).description == "eb4ce711bc4621706eddab00daf612ce05cf0d8c07aea4291426a867980dec75"
        )
    }

    @Test func `gives the same bytes however the stream is cut`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<50 {
            var encryptor = AES128CFBStream(key: key, iv: iv)
            var decryptor = AES128CFBStream(key: key, iv: iv)
            var sealed: [UInt8] = []
            var opened: [UInt8] = []
            var offset = 0
            while offset < plaintext.count {
                let end = min(plaintext.count, offset + Int.random(in: 0...19, using: &generator))
                var piece = Array(plaintext[offset..<end])
                encryptor.encrypt(&piece)
                sealed += piece
                decryptor.decrypt(&piece)
                opened += piece
                offset = end
            }
            #expect(sealed == ciphertext)
            #expect(opened == plaintext)
        }
    }
}
