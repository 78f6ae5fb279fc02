// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@Suite struct ServiceProofTests {
    private static let material = [UInt8](repeating: 7, count: 32)
    private static let visitor = KeyFingerprint(of: [UInt8](repeating: 1, count: 32))
    private static let proof = ServiceProof(keyingMaterial: material, visitor: visitor)

    @Test func `is the one that another implementation makes`() {
        // Python's hmac over the bytes that docs/wire.md names.
        let expected = bytes("4e889c3764b7a8e7a4a091db2252a52f28364bc55249a80384a5a566851f3646")
        #expect(Self.proof.bytes(secret: "secret", kind: 1, name: "ssh") == expected)
        #expect(Self.proof.accepts(expected, secret: "secret", kind: 1, name: "ssh"))
    }

    @Test func `the answer is another proof, and neither stands for the other`() {
        let expected = bytes("8c17cce991afda8da068073a2797551b55bc71413d819d184c35a7eed013b32c")
        #expect(Self.proof.answer(secret: "secret", kind: 1, name: "ssh") == expected)
        #expect(Self.proof.accepts(answer: expected, secret: "secret", kind: 1, name: "ssh"))
        let asked = Self.proof.bytes(secret: "secret", kind: 1, name: "ssh")
        #expect(!Self.proof.accepts(answer: asked, secret: "secret", kind: 1, name: "ssh"))
        #expect(!Self.proof.accepts(expected, secret: "secret", kind: 1, name: "ssh"))
        #expect(!Self.proof.accepts(answer: expected, secret: "other", kind: 1, name: "ssh"))
        let elsewhere = ServiceProof(keyingMaterial: [UInt8](repeating: 8, count: 32), visitor: Self.visitor)
        #expect(!elsewhere.accepts(answer: expected, secret: "secret", kind: 1, name: "ssh"))
        let empty = Self.proof.answer(secret: "", kind: 1, name: "ssh")
        #expect(!Self.proof.accepts(answer: empty, secret: "", kind: 1, name: "ssh"))
    }

    @Test func `is good for one secret, service, kind, connection and direction`() {
        let made = Self.proof.bytes(secret: "secret", kind: 1, name: "ssh")
        #expect(!Self.proof.accepts(made, secret: "Secret", kind: 1, name: "ssh"))
        #expect(!Self.proof.accepts(made, secret: "secret", kind: 2, name: "ssh"))
        #expect(!Self.proof.accepts(made, secret: "secret", kind: 1, name: "sshd"))
        let elsewhere = ServiceProof(keyingMaterial: [UInt8](repeating: 8, count: 32), visitor: Self.visitor)
        #expect(!elsewhere.accepts(made, secret: "secret", kind: 1, name: "ssh"))
        let back = ServiceProof(keyingMaterial: Self.material, visitor: KeyFingerprint(of: [2]))
        #expect(!back.accepts(made, secret: "secret", kind: 1, name: "ssh"))
    }

    @Test func `an empty secret accepts nothing`() {
        let made = Self.proof.bytes(secret: "", kind: 1, name: "ssh")
        #expect(!Self.proof.accepts(made, secret: "", kind: 1, name: "ssh"))
        #expect(!Self.proof.accepts([], secret: "secret", kind: 1, name: "ssh"))
    }
}
