// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How a server calls a guest: frp's user, `@`, and the fingerprint of the key that the guest has proven.
///
/// It is longer than a device's name may be, so that none of the two is ever taken for the other. The user is the guest's own word.
package struct FRPGuestName: Sendable, Hashable, CustomStringConvertible {
    /// The longest user, in bytes.
    package static let userByteLimit = 128
    private static let mark: Character = "@"
    private static let fingerprintPrefix = "SHA256:"

    /// frp's user; empty for none.
    package let user: String
    /// `SHA256:` and 43 characters of base 64.
    package let fingerprint: String

    /// Makes a name; nil for a user that is too long or has control characters.
    package init?(user: String, fingerprint: String) {
        guard user.utf8.count <= Self.userByteLimit, user.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
            fingerprint.hasPrefix(Self.fingerprintPrefix), fingerprint.utf8.count == 50
        else { return nil }
        self.user = user
        self.fingerprint = fingerprint
    }

    /// Reads a name; nil for one that is no guest's.
    package init?(_ text: String) {
        guard let mark = text.lastIndex(of: Self.mark) else { return nil }
        self.init(user: String(text[..<mark]), fingerprint: String(text[text.index(after: mark)...]))
    }

    /// `alice@SHA256:…`, at most 179 bytes.
    package var description: String { "\(user)\(Self.mark)\(fingerprint)" }
}
