// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import CAditCrypto

/// An authenticated cipher with a fixed key; the tag is the 16 bytes behind the ciphertext.
@safe
struct AEADContext: ~Copyable {
    static let tagByteCount = 16

    private let context: OpaquePointer

    init(_ cipher: FRPControlCipher, key: [UInt8]) {
        precondition(key.count == 32, "32 bytes of key")
        let made =
            switch cipher {
            case .aes256GCM: unsafe adit_aead_new_aes_256_gcm(key)
            case .xchacha20Poly1305: unsafe adit_aead_new_xchacha20_poly1305(key)
            }
        guard let made = unsafe made else { preconditionFailure("no memory for a cipher") }
        unsafe context = made
    }

    deinit {
        unsafe adit_aead_free(context)
    }

    /// Appends ciphertext and tag of `plaintext[range]`.
    func seal(
        _ plaintext: RawSpan,
        nonce: [UInt8],
        additionalData: [UInt8],
        appendingTo output: inout [UInt8]
    ) -> Bool {
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: plaintext.byteCount + Self.tagByteCount))
        return unsafe output.withUnsafeMutableBufferPointer { output in
            unsafe plaintext.withUnsafeBytes { input in
                guard let base = output.baseAddress else { return false }
                return unsafe adit_aead_seal(
                    context,
                    base + start,
                    nonce,
                    nonce.count,
                    input.bindMemory(to: UInt8.self).baseAddress,
                    input.count,
                    additionalData,
                    additionalData.count
                ) == 1
            }
        }
    }

    /// Appends the plaintext of ciphertext and tag; false, and nothing appended, when they are not authentic.
    func open(
        _ ciphertext: RawSpan,
        nonce: [UInt8],
        additionalData: [UInt8],
        appendingTo output: inout [UInt8]
    ) -> Bool {
        guard ciphertext.byteCount >= Self.tagByteCount else { return false }
        let start = output.count
        // The tag's room keeps the address valid for an empty plaintext; it is given back below.
        output.append(contentsOf: repeatElement(0, count: ciphertext.byteCount))
        let authentic = unsafe output.withUnsafeMutableBufferPointer { output in
            unsafe ciphertext.withUnsafeBytes { input in
                guard let base = output.baseAddress else { return false }
                return unsafe adit_aead_open(
                    context,
                    base + start,
                    nonce,
                    nonce.count,
                    input.bindMemory(to: UInt8.self).baseAddress,
                    input.count,
                    additionalData,
                    additionalData.count
                ) == 1
            }
        }
        output.removeLast(authentic ? Self.tagByteCount : ciphertext.byteCount)
        return authentic
    }
}
