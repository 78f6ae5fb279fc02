// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Encrypts one direction of a wire v2 control stream: the start nonce once, then records with a length and a tag.
package struct FRPControlSealer: ~Copyable {
    /// The longest plaintext of one record, in bytes.
    package static let recordByteLimit = 65_536

    private let context: AEADContext
    private var nonce: FRPRecordNonce
    private var isStartSent = false

    /// Starts a stream; `startNonce` is random and has the cipher's nonce length.
    package init(
        cipher: FRPControlCipher,
        token: [UInt8],
        transcript: FRPControlTranscript,
        direction: FRPControlDirection,
        startNonce: [UInt8]
    ) {
        self.init(
            cipher: cipher,
            key: transcript.key(token: token, cipher: cipher, direction: direction),
            startNonce: startNonce
        )
    }

    /// Starts a stream with a key that is already derived; `sealedRecords` is other than 0 only in tests.
    package init(cipher: FRPControlCipher, key: [UInt8], startNonce: [UInt8], sealedRecords: UInt64 = 0) {
        precondition(startNonce.count == cipher.nonceByteCount, "the start nonce has the cipher's nonce length")
        context = AEADContext(cipher, key: key)
        nonce = FRPRecordNonce(start: startNonce, records: sealedRecords)
    }

    /// Appends the records that carry `plaintext`; nothing for an empty one.
    ///
    /// Throws `recordLimit` when the key is used up.
    package mutating func seal(_ plaintext: RawSpan, into output: inout [UInt8]) throws(CryptoError) {
        var offset = 0
        while offset < plaintext.byteCount {
            let end = min(offset + Self.recordByteLimit, plaintext.byteCount)
            let recordNonce = try nonce.advance()
            if !isStartSent {
                isStartSent = true
                output.append(contentsOf: nonce.start)
            }
            let length = UInt32(end - offset + AEADContext.tagByteCount)
            output.appendBigEndian(length)
            let sealed = context.seal(
                plaintext.extracting(offset..<end),
                nonce: recordNonce,
                additionalData: nonce.additionalData(length: length),
                appendingTo: &output
            )
            precondition(sealed, "sealing fails only for lengths that are checked above")
            offset = end
        }
    }
}
