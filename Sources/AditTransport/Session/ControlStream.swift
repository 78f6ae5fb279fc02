// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditTunnel
import AditWire
import NIOCore

/// Frames on a control stream: clear at first, encrypted from a point on that both sides know.
///
/// What lies behind that point in the same read is still unread then, so bytes are decrypted only when they are reached.
final class ControlStream {
    private enum Layer {
        case clear
        case cfb
        case aead
    }

    /// Which end of the stream this is.
    enum Role {
        case client
        case server
    }

    private let version: FRPWireVersion
    private let role: Role
    private let random: RandomBytes
    private var layer = Layer.clear
    private var cipherKey: [UInt8] = []
    private var cfbIn: AES128CFBStream?
    private var cfbOut: AES128CFBStream?
    private var opener: FRPControlOpener?
    private var sealer: FRPControlSealer?
    /// Bytes as they came, not yet decrypted.
    private var raw: [UInt8] = []
    /// Decrypted bytes, of which those before `head` are used.
    private var plain: [UInt8] = []
    private var head = 0

    init(version: FRPWireVersion, role: Role, random: RandomBytes) {
        self.version = version
        self.role = role
        self.random = random
    }

    func receive(_ buffer: ByteBuffer) {
        raw.append(contentsOf: buffer.readableBytesView)
    }

    /// The next whole frame; nil when more bytes are needed.
    ///
    /// - Throws: `WireError` for what is no frame, `CryptoError` for a record that is not authentic.
    func nextFrame() throws -> FRPFrame? {
        try decrypt()
        let bytes = plain
        let unread = bytes.span.bytes.extracting(head..<bytes.count)
        guard let (frame, count) = try FRPFrame.decode(unread, version: version) else {
            if head > 0 {
                plain.removeFirst(head)
                head = 0
            }
            return nil
        }
        head += count
        return frame
    }

    /// The bytes of a frame, encrypted when the stream is.
    ///
    /// - Throws: `WireError` for a frame that this version does not have or that is too long.
    func encode(_ frame: FRPFrame) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try frame.encode(version: version, into: &bytes)
        switch layer {
        case .clear: return bytes
        case .cfb:
            var prefix: [UInt8] = []
            if cfbOut == nil {
                prefix = random(AES128CFBStream.keyByteCount)
                cfbOut = AES128CFBStream(key: cipherKey, iv: prefix)
            }
            cfbOut?.encrypt(&bytes)
            return prefix + bytes
        case .aead:
            var sealed: [UInt8] = []
            try sealer?.seal(bytes.span.bytes, into: &sealed)
            return sealed
        }
    }

    /// Encrypts both directions from here on.
    func secure(_ security: ControlSecurity) {
        switch security {
        case .none: return
        case .cfb(let token):
            layer = .cfb
            cipherKey = FRPTokenKey(token: token).cipherKey
        case .aead(let cipher, let token, let transcript):
            layer = .aead
            let secret = Array(token.utf8)
            let incoming: FRPControlDirection = role == .server ? .clientToServer : .serverToClient
            let outgoing: FRPControlDirection = role == .server ? .serverToClient : .clientToServer
            opener = FRPControlOpener(
                cipher: cipher,
                key: transcript.key(token: secret, cipher: cipher, direction: incoming)
            )
            sealer = FRPControlSealer(
                cipher: cipher,
                key: transcript.key(token: secret, cipher: cipher, direction: outgoing),
                startNonce: random(cipher.nonceByteCount)
            )
        }
        // What was read beyond the last clear frame is ciphertext.
        raw = Array(plain[head...]) + raw
        plain = []
        head = 0
    }

    private func decrypt() throws {
        guard !raw.isEmpty else { return }
        switch layer {
        case .clear:
            plain.append(contentsOf: raw)
            raw = []
        case .cfb:
            if cfbIn == nil {
                guard raw.count >= AES128CFBStream.keyByteCount else { return }
                cfbIn = AES128CFBStream(key: cipherKey, iv: Array(raw.prefix(AES128CFBStream.keyByteCount)))
                raw.removeFirst(AES128CFBStream.keyByteCount)
            }
            cfbIn?.decrypt(&raw)
            plain.append(contentsOf: raw)
            raw = []
        case .aead:
            let used = try opener?.open(raw.span.bytes, into: &plain) ?? 0
            raw.removeFirst(used)
        }
    }
}
