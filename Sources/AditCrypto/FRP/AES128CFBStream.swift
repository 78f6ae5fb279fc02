// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import CAditCrypto

/// AES-128 in CFB mode (NIST SP 800-38A section 6.3): the cipher of frp's v1 control stream and of encrypted proxies.
///
/// One value serves one direction of one stream: either all bytes are encrypted or all are decrypted. The mode keeps
/// secrets from a listener but does not notice changed bytes.
@safe
package struct AES128CFBStream: ~Copyable {
    /// The length of the key and of the initialisation vector, in bytes.
    package static let keyByteCount = 16

    private let stream: OpaquePointer

    /// Starts a stream; `key` and `iv` are 16 bytes each.
    package init(key: [UInt8], iv: [UInt8]) {
        precondition(key.count == Self.keyByteCount && iv.count == Self.keyByteCount, "16 bytes of key and of IV")
        guard let stream = unsafe adit_cfb_new(key, iv) else { preconditionFailure("no memory for a cipher") }
        unsafe self.stream = stream
    }

    deinit {
        unsafe adit_cfb_free(stream)
    }

    /// Encrypts the next bytes of the stream in place.
    package mutating func encrypt(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        unsafe adit_cfb_encrypt(stream, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Decrypts the next bytes of the stream in place.
    package mutating func decrypt(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        unsafe adit_cfb_decrypt(stream, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Encrypts the next bytes of the stream in place.
    package mutating func encrypt(_ bytes: inout [UInt8]) {
        unsafe bytes.withUnsafeMutableBytes { unsafe encrypt($0) }
    }

    /// Decrypts the next bytes of the stream in place.
    package mutating func decrypt(_ bytes: inout [UInt8]) {
        unsafe bytes.withUnsafeMutableBytes { unsafe decrypt($0) }
    }
}
