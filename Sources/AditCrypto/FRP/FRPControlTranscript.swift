// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// The hash over both hello frames of wire v2, which ties keys and proofs to this one connection.
package struct FRPControlTranscript: Sendable, Hashable {
    /// SHA-256 over labels, lengths and payloads, 32 bytes.
    package let hash: [UInt8]

    /// Hashes the payloads of both hellos, exactly as they were sent.
    package init(clientHello: [UInt8], serverHello: [UInt8]) {
        var bytes = Array("frp wire v2 crypto transcript".utf8)
        for (label, payload) in [("client hello", clientHello), ("server hello", serverHello)] {
            bytes.append(0)
            bytes.append(contentsOf: label.utf8)
            bytes.append(0)
            bytes.appendBigEndian(UInt64(payload.count))
            bytes.append(contentsOf: payload)
        }
        hash = Array(SHA256.hash(data: bytes))
    }

    /// The 32-byte key of one direction: HKDF-SHA256 (RFC 5869) of the token with the transcript as salt.
    package func key(token: [UInt8], cipher: FRPControlCipher, direction: FRPControlDirection) -> [UInt8] {
        let info = "frp wire v2 control aead \(cipher.rawValue) \(direction.rawValue)"
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: token),
            salt: hash,
            info: Array(info.utf8),
            outputByteCount: 32
        )
        return unsafe key.withUnsafeBytes { unsafe Array($0) }
    }
}
