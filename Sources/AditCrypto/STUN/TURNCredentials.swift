// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// What a server and its relay make time-limited TURN credentials with, and check them by.
///
/// The form is the one that coturn calls `use-auth-secret`: the user is `EXPIRY:DEVICE`, the expiry in Unix seconds, and the
/// password the Base64 text of HMAC-SHA1 over the user. Whoever knows the secret needs no list of users.
package struct TURNSecret: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: SymmetricKey

    /// Makes a secret from at least 16 random bytes, or from a text that another server shares.
    package init(_ bytes: [UInt8]) {
        key = SymmetricKey(data: bytes)
    }

    /// The password of a user: 28 characters.
    package func password(for username: String) -> String {
        let code = HMAC<Insecure.SHA1>.authenticationCode(for: Array(username.utf8), using: key)
        // 20 bytes are 27 digits and one sign of padding.
        return Base64Digits.encode(Array(code)) + "="
    }

    /// Credentials for a device until `expiry`, in Unix seconds.
    package func credentials(device: String, expiry: Int64) -> TURNCredentials {
        let username = "\(expiry):\(device)"
        return TURNCredentials(username: username, password: password(for: username))
    }

    /// Says what it is without the secret.
    package var description: String { "TURN secret" }

    /// Shows nothing of the secret to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A user and a password for a TURN server.
package struct TURNCredentials: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The user, with the expiry in front when it is limited in time.
    package let username: String
    /// The password.
    package let password: String

    /// Makes it from its parts.
    package init(username: String, password: String) {
        self.username = username
        self.password = password
    }

    /// The two parts of a user that is limited in time; nil when it is none.
    package static func parts(of username: String) -> (expiry: Int64, device: String)? {
        guard let colon = username.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = username[..<colon]
        guard (1...18).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let expiry = Int64(digits)
        else { return nil }
        return (expiry, String(username[username.utf8.index(after: colon)...]))
    }

    /// Says the user alone.
    package var description: String { "TURN credentials of \(username)" }

    /// Shows nothing of the password to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: ["username": username]) }
}
