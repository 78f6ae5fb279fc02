// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What ICE's checks are protected by: short-term credentials (RFC 8445 section 5.3), new with each restart.
package struct ICECredentials: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The username fragment, 4 to 256 letters, digits, `+` and `/`.
    package let ufrag: String
    /// The password, 22 to 256 letters, digits, `+` and `/`.
    package let password: String

    /// Takes credentials that a peer told; nil when they are not as RFC 8839 section 5.4 demands.
    package init?(ufrag: String, password: String) {
        guard (4...256).contains(ufrag.utf8.count), (22...256).contains(password.utf8.count),
            ufrag.utf8.allSatisfy(Self.isICECharacter), password.utf8.allSatisfy(Self.isICECharacter)
        else { return nil }
        self.ufrag = ufrag
        self.password = password
    }

    /// Makes new ones with 48 and 144 random bits; the generator has to be one that others cannot predict, except in a
    /// simulation.
    package init(using generator: inout some RandomNumberGenerator) {
        ufrag = Self.text(8, using: &generator)
        password = Self.text(24, using: &generator)
    }

    /// Compares without telling by time where passwords differ.
    package static func == (left: ICECredentials, right: ICECredentials) -> Bool {
        left.ufrag == right.ufrag && ConstantTime.equal(left.password, right.password)
    }

    /// Says whose they are without the password.
    package var description: String { "credentials of \(ufrag)" }

    /// Shows nothing of the password to a debugger's or a log's mirror.
    package var customMirror: Mirror { Mirror(self, children: ["ufrag": ufrag]) }

    /// Whether a byte is an ice-char of RFC 8839 section 5.1.
    static func isICECharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func text(_ count: Int, using generator: inout some RandomNumberGenerator) -> String {
        var bytes: [UInt8] = []
        var bits: UInt64 = 0
        for index in 0..<count {
            if index % 10 == 0 { bits = generator.next() }
            bytes.append(alphabet[Int(bits & 63)])
            bits >>= 6
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
