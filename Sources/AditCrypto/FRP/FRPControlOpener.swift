// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Decrypts one direction of a wire v2 control stream.
///
/// Once it has thrown it throws for ever: nothing behind a record that is not authentic is let through.
package struct FRPControlOpener: ~Copyable {
    private let context: AEADContext
    private let cipher: FRPControlCipher
    private var nonce: FRPRecordNonce?
    private var failure: CryptoError?

    /// Prepares to read a stream that the peer writes in `direction`.
    package init(
        cipher: FRPControlCipher,
        token: [UInt8],
        transcript: FRPControlTranscript,
        direction: FRPControlDirection
    ) {
        self.init(cipher: cipher, key: transcript.key(token: token, cipher: cipher, direction: direction))
    }

    /// Prepares to read a stream with a key that is already derived.
    package init(cipher: FRPControlCipher, key: [UInt8]) {
        context = AEADContext(cipher, key: key)
        self.cipher = cipher
    }

    /// Opens every whole record at the start of `bytes`, appends their text and returns how many bytes were used.
    ///
    /// The caller keeps the rest and offers it again with more behind it: at most a record's length field, 65,536 bytes
    /// and a tag. Throws `recordLength`, `notAuthentic` or `recordLimit`.
    package mutating func open(_ bytes: RawSpan, into plaintext: inout [UInt8]) throws(CryptoError) -> Int {
        if let failure { throw failure }
        do throws(CryptoError) {
            return try openRecords(bytes, into: &plaintext)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func openRecords(
        _ bytes: RawSpan,
        into plaintext: inout [UInt8]
    ) throws(CryptoError) -> Int {
        var offset = 0
        if nonce == nil {
            guard bytes.byteCount >= cipher.nonceByteCount else { return 0 }
            offset = cipher.nonceByteCount
            nonce = FRPRecordNonce(start: bytes.copyBytes(in: 0..<offset))
        }
        while bytes.byteCount - offset >= 4 {
            let length = bytes.bigEndianUInt32(at: offset)
            let tag = UInt32(AEADContext.tagByteCount)
            guard length >= tag, length <= UInt32(FRPControlSealer.recordByteLimit) + tag else {
                throw .recordLength(length)
            }
            let end = offset + 4 + Int(length)
            guard bytes.byteCount >= end, var counter = nonce else { break }
            let recordNonce = try counter.advance()
            let authentic = context.open(
                bytes.extracting((offset + 4)..<end),
                nonce: recordNonce,
                additionalData: counter.additionalData(length: length),
                appendingTo: &plaintext
            )
            guard authentic else { throw .notAuthentic }
            nonce = counter
            offset = end
        }
        return offset
    }
}
