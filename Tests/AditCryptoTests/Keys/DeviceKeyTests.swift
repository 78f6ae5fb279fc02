// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import Testing

@Suite struct DeviceKeyTests {
    struct Example: Sendable {
        let seed: String
        let publicKey: String
        let message: String
        let signature: String
    }

    private static let examples = [
        Example(
            seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            message: "",
            signature:
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                + "d25bf5f0595bbe24655141438e7a100b"
        ),
        Example(
            seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            message: "72",
            signature:
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                + "387b2eaeb4302aeeb00d291612bb0c00"
        ),
        Example(
            seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            message: "af82",
            signature:
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
                + "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]

    @Test(arguments: examples) func `signs and verifies the examples of RFC 8032 7_1`(example: Example) throws {
        let key = try DeviceKey(seed: bytes(example.seed))
        #expect(key.publicKey.bytes == bytes(example.publicKey))
        #expect(try key.sign(bytes(example.message)) == bytes(example.signature))
        #expect(key.publicKey.verify(signature: bytes(example.signature), of: bytes(example.message)))
    }

    @Test func `refuses a signature with any bit changed`() throws {
        let example = Self.examples[1]
        let key = try DevicePublicKey(bytes: bytes(example.publicKey))
        withEachBitFlipped(bytes(example.signature)) { signature in
            #expect(!key.verify(signature: signature, of: bytes(example.message)))
        }
        #expect(!key.verify(signature: bytes(example.signature), of: [0x73]))
        #expect(!key.verify(signature: [], of: [0x72]))
    }

    @Test(arguments: [0, 31, 33, 64]) func `refuses keys of another length`(count: Int) {
        let wrong = [UInt8](repeating: 9, count: count)
        #expect(throws: CryptoError.length(expected: 32, found: count)) { try DeviceKey(seed: wrong) }
        #expect(throws: CryptoError.length(expected: 32, found: count)) { try DevicePublicKey(bytes: wrong) }
        #expect(throws: CryptoError.length(expected: 32, found: count)) { try KeyFingerprint(bytes: wrong) }
    }

    @Test func `writes fingerprints as OpenSSH does`() throws {
        let key = try DeviceKey(seed: Array(0..<32))
        #expect(key.publicKey.fingerprint == "SHA256:Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw")
    }

    @Test func `does not show the seed`() throws {
        let key = try DeviceKey(seed: [UInt8](repeating: 0xEE, count: 32))
        var shown = "\(key)" + String(reflecting: key)
        dump(key, to: &shown)
        #expect(!shown.contains("238"))
        #expect(shown.contains("device key SHA256:"))
    }

    @Test func `reads fingerprints in both spellings`() throws {
        let fingerprint = KeyFingerprint(of: Array("server public key".utf8))
        #expect(fingerprint.description == "SHA256:TRhowlb5C4pYYv7SqdtIDvNFI+OhPZ2G0NfaPjlI/fg")
        #expect(KeyFingerprint(fingerprint.description) == fingerprint)
        #expect(KeyFingerprint(Hexadecimal.encode(fingerprint.bytes)) == fingerprint)
        for wrong in ["", "SHA256:", "SHA256:TRho", "SHA1:TRhowlb5C4pYYv7SqdtIDvNFI+OhPZ2G0NfaPjlI/fg", "4d18"] {
            #expect(KeyFingerprint(wrong) == nil)
        }
        // The last digit holds two bits that belong to no byte.
        #expect(KeyFingerprint("SHA256:TRhowlb5C4pYYv7SqdtIDvNFI+OhPZ2G0NfaPjlI/fh") == nil)
        #expect(KeyFingerprint("SHA256:TRhowlb5C4pYYv7SqdtIDvNFI+OhPZ2G0NfaPjlI/fg=") == nil)
    }

    @Test func `matches the beginning that an invite carries`() {
        let fingerprint = KeyFingerprint(of: [1])
        #expect(fingerprint.matches(prefix80: fingerprint.prefix80))
        #expect(!fingerprint.matches(prefix80: KeyFingerprint(of: [2]).prefix80))
        #expect(!fingerprint.matches(prefix80: Array(fingerprint.bytes.prefix(9))))
        #expect(!fingerprint.matches(prefix80: []))
        #expect(!fingerprint.matches(prefix80: fingerprint.bytes))
    }
}
