// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import Crypto

/// What shows that a device knows the secret of another device's service (docs/wire.md, Services).
///
/// The keying material ties it to one connection, the visitor's key to one direction of it.
package struct ServiceProof: Sendable, Hashable {
    /// The label under which the keying material is exported (RFC 8446 section 7.5).
    package static let exporterLabel = "EXPORTER-adit-service"

    private let keyingMaterial: [UInt8]
    private let visitor: KeyFingerprint

    /// Ties a proof to a connection and to the end of it that opens the stream.
    package init(keyingMaterial: [UInt8], visitor: KeyFingerprint) {
        self.keyingMaterial = keyingMaterial
        self.visitor = visitor
    }

    /// The visitor's proof for a service: HMAC-SHA256 (RFC 2104), 32 bytes.
    package func bytes(secret: String, kind: UInt8, name: String) -> [UInt8] {
        code("adit service v1", secret, kind, name)
    }

    /// The proof with which the service's end answers, 32 bytes; nobody can make it from the visitor's.
    package func answer(secret: String, kind: UInt8, name: String) -> [UInt8] {
        code("adit service answer v1", secret, kind, name)
    }

    /// Whether the visitor's proof was made with the secret; an empty secret is never accepted.
    package func accepts(_ proof: [UInt8], secret: String, kind: UInt8, name: String) -> Bool {
        !secret.isEmpty && ConstantTime.equal(proof, bytes(secret: secret, kind: kind, name: name))
    }

    /// Whether the service's end made its proof with the secret; an empty secret is never accepted.
    package func accepts(answer: [UInt8], secret: String, kind: UInt8, name: String) -> Bool {
        !secret.isEmpty && ConstantTime.equal(answer, self.answer(secret: secret, kind: kind, name: name))
    }

    private func code(_ label: String, _ secret: String, _ kind: UInt8, _ name: String) -> [UInt8] {
        var message = Array(label.utf8) + [0] + keyingMaterial + visitor.bytes
        message.append(kind)
        message += Array(name.utf8)
        return Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: Array(secret.utf8))))
    }
}
