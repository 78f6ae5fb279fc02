// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An invitation to join a server: its address, a one-time secret and the beginning of its key's fingerprint.
///
/// It is written `host[:port]/XXXX-XXXX-…`: 29 characters of Crockford's base 32 that hold a version bit, 64 bits of
/// secret and 80 bits of fingerprint (docs/wire.md, Invites).
package struct InviteCode: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The port of a server when an invite names none.
    package static let defaultPort: UInt16 = 7000
    /// The length of the secret, in bytes.
    package static let secretByteCount = 8
    private static let characterCount = 29
    private static let textLimit = 400

    /// Where the server is.
    package let server: HostPort
    /// The one-time secret, 8 bytes.
    package let secret: [UInt8]
    /// The first 10 bytes of the server's key fingerprint.
    package let fingerprintPrefix: [UInt8]

    /// Makes an invite; `secret` is 8 random bytes.
    package init(server: HostPort, secret: [UInt8], fingerprint: KeyFingerprint) {
        precondition(secret.count == Self.secretByteCount, "8 bytes of secret")
        self.server = server
        self.secret = secret
        fingerprintPrefix = fingerprint.prefix80
    }

    /// Reads an invite as a person pasted it: case, hyphens and surrounding space do not matter.
    package init(_ text: String) throws(InviteFault) {
        guard text.utf8.count <= Self.textLimit else { throw .codeLength(text.utf8.count) }
        let trimmed = text.drop(while: \.isWhitespace)
        let pasted = trimmed[..<(trimmed.lastIndex { !$0.isWhitespace }.map(trimmed.index(after:)) ?? trimmed.endIndex)]
        guard !pasted.isEmpty else { throw .empty }
        guard let slash = pasted.firstIndex(of: "/") else { throw .noSlash }
        let address = String(pasted[..<slash])
        guard let server = HostPort(address, defaultPort: Self.defaultPort) else { throw .address(address) }
        var values: [UInt8] = []
        for character in pasted[pasted.index(after: slash)...] where character != "-" {
            guard let value = CrockfordBase32.value(character) else { throw .character(character) }
            values.append(value)
        }
        guard values.count == Self.characterCount else { throw .codeLength(values.count) }
        guard values[0] >> 4 == 0 else { throw .newerVersion }
        let bytes = Self.bytes(values)
        self.server = server
        secret = Array(bytes[..<Self.secretByteCount])
        fingerprintPrefix = Array(bytes[Self.secretByteCount...])
    }

    /// The invite as it is handed over, with the secret in it.
    package var text: String {
        let host = server.host.contains(":") ? "[\(server.host)]" : server.host
        let address = server.port == Self.defaultPort ? host : "\(host):\(server.port)"
        let characters = Self.values(secret + fingerprintPrefix).map(CrockfordBase32.character)
        let groups = stride(from: 0, to: characters.count, by: 4).map {
            String(characters[$0..<min($0 + 4, characters.count)])
        }
        return address + "/" + groups.joined(separator: "-")
    }

    /// Names the server only; the code is a secret.
    package var description: String { "invite to \(server)" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: ["server": server]) }

    /// The 144 bits behind the version bit.
    private static func bytes(_ values: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var pending = UInt32(values[0] & 15)
        var bits = 4
        for value in values.dropFirst() {
            pending = (pending << 5 | UInt32(value)) & 0xFFFF
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
        }
        return bytes
    }

    private static func values(_ bytes: [UInt8]) -> [UInt8] {
        var values: [UInt8] = []
        var pending: UInt32 = 0
        // The version bit is 0 and comes first.
        var bits = 1
        for byte in bytes {
            pending = (pending << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 5 {
                bits -= 5
                values.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits) & 31))
            }
        }
        return values
    }
}
