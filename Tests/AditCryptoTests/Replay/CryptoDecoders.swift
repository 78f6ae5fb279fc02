// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto

/// What the fuzzer and the replay of its corpus feed to the decoders of this room.
///
/// Each takes any bytes and traps when a decoder breaks a promise; that it throws is fine.
enum CryptoDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "ControlStream": controlStream,
        "Invite": invite,
    ]

    private static let key = [UInt8](repeating: 7, count: 32)

    /// The first byte picks the cipher; the rest is a stream, and also a text that is sealed and opened again.
    static func controlStream(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let cipher = first & 1 == 0 ? FRPControlCipher.aes256GCM : .xchacha20Poly1305
        let stream = Array(bytes.dropFirst())
        var opener = FRPControlOpener(cipher: cipher, key: key)
        var text: [UInt8] = []
        if let used = try? opener.open(stream.span.bytes, into: &text) {
            precondition(used <= stream.count && text.count <= used, "no more comes out than went in")
        } else {
            precondition((try? opener.open(stream.span.bytes, into: &text)) == nil, "a stream that failed stays failed")
        }
        let nonce = [UInt8](repeating: first, count: cipher.nonceByteCount)
        var sealer = FRPControlSealer(cipher: cipher, key: key, startNonce: nonce)
        var sealed: [UInt8] = []
        guard (try? sealer.seal(stream.span.bytes, into: &sealed)) != nil else { return }
        var reader = FRPControlOpener(cipher: cipher, key: key)
        var again: [UInt8] = []
        let used = try? reader.open(sealed.span.bytes, into: &again)
        precondition(used == sealed.count && again == stream, "what is sealed is opened")
    }

    static func invite(_ bytes: [UInt8]) {
        guard let invite = try? InviteCode(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition(invite.secret.count == InviteCode.secretByteCount && invite.fingerprintPrefix.count == 10)
        let again = try? InviteCode(invite.text)
        precondition(again == invite, "an invite is read as it was written")
        precondition(!"\(invite)".contains(invite.text.split(separator: "/").last ?? ""), "a description has no secret")
    }
}
