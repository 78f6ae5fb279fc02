// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// The key that protects STUN messages: MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 9, 14.5, 14.6).
///
/// Text goes in as PRECIS' OpaqueString leaves it (RFC 8265 section 4); nothing is prepared here.
package struct STUNIntegrityKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// How a long-term key is made from a password.
    package enum Algorithm: Sendable, Hashable {
        /// PASSWORD-ALGORITHM 1, and the only one before RFC 8489.
        case md5
        /// PASSWORD-ALGORITHM 2.
        case sha256
    }

    private let bytes: [UInt8]
    /// HMAC-SHA1 with the key in it already: half the work for a message of ICE or TURN.
    private let keyed: HMAC<Insecure.SHA1>

    /// Makes the key of a short-term credential: the password itself (section 9.1.1).
    package init(password: String) {
        self.init(Array(password.utf8))
    }

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
        keyed = HMAC(key: SymmetricKey(data: bytes))
    }

    /// Makes the key of a long-term credential: a hash of `username:realm:password` (section 9.2.2).
    package init(username: String, realm: String, password: String, algorithm: Algorithm = .md5) {
        let text = Array("\(username):\(realm):\(password)".utf8)
        switch algorithm {
        case .md5: self.init(Array(Insecure.MD5.hash(data: text)))
        case .sha256: self.init(Array(SHA256.hash(data: text)))
        }
    }

    /// What USERHASH holds, 32 bytes: the SHA-256 hash of `username:realm` (section 14.4).
    package static func userhash(username: String, realm: String) -> [UInt8] {
        Array(SHA256.hash(data: Array("\(username):\(realm)".utf8)))
    }

    /// The code of MESSAGE-INTEGRITY for the bytes that it covers: HMAC-SHA1, 20 bytes.
    package func sha1Code(of covered: [UInt8]) -> [UInt8] {
        var code = keyed
        code.update(data: covered)
        return Array(code.finalize())
    }

    /// The code of MESSAGE-INTEGRITY-SHA256 for the bytes that it covers: HMAC-SHA256, 32 bytes.
    package func sha256Code(of covered: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: covered, using: SymmetricKey(data: bytes)))
    }

    /// Whether the code of MESSAGE-INTEGRITY is right.
    package func acceptsSHA1(code: [UInt8], of covered: [UInt8]) -> Bool {
        ConstantTime.equal(code, sha1Code(of: covered))
    }

    /// Whether the code of MESSAGE-INTEGRITY-SHA256 is right.
    ///
    /// - Parameter minimumByteCount: how short a truncated code the usage allows, 16 to 32. A code is a multiple of 4 long.
    package func acceptsSHA256(code: [UInt8], of covered: [UInt8], minimumByteCount: Int = 32) -> Bool {
        guard (max(minimumByteCount, 16)...32).contains(code.count), code.count & 3 == 0 else { return false }
        return ConstantTime.equal(code, Array(sha256Code(of: covered).prefix(code.count)))
    }

    /// Says what it is without the secret.
    package var description: String { "STUN key" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
