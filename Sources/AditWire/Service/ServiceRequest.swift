// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What stands first in a stream to a service of another device: which service, and maybe a proof (docs/wire.md, Services).
///
/// Payload may follow at once, before the answer has come.
package struct ServiceRequest: Sendable, Hashable {
    /// The version that this codec speaks.
    package static let version: UInt8 = 1
    /// The longest name of a service, in bytes of UTF-8; the shortest is 1.
    package static let nameByteLimit = 64
    /// The length of a proof, in bytes.
    package static let proofByteCount = 32
    /// The longest request, in bytes.
    package static let byteLimit = 4 + nameByteLimit + proofByteCount

    /// What the stream carries.
    package let kind: ServiceKind
    /// The name of the service.
    package let name: String
    /// That the sender knows the service's secret, 32 bytes; empty for a service without one.
    package let proof: [UInt8]

    /// Makes a request; throws `WireError.length` or `invalidField` for a name or a proof that the wire cannot carry.
    package init(kind: ServiceKind, name: String, proof: [UInt8] = []) throws(WireError) {
        try Self.check(name)
        guard proof.isEmpty || proof.count == Self.proofByteCount else {
            throw .length(Int64(proof.count), limit: Self.proofByteCount)
        }
        self.kind = kind
        self.name = name
        self.proof = proof
    }

    /// Whether a service can be called so: 1 to 64 bytes without control characters.
    package static func isName(_ name: String) -> Bool {
        (try? check(name)) != nil
    }

    /// The length of the request, in bytes: 5 to 100.
    package var byteCount: Int { 4 + name.utf8.count + proof.count }

    /// Reads the request at the start of `bytes`; nil when more bytes are needed.
    ///
    /// Throws `WireError.invalidField` at offset 0 for another version and elsewhere for another kind or a control character,
    /// `length` for a name or a proof of a wrong length.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> ServiceRequest? {
        guard bytes.byteCount >= 1 else { return nil }
        guard bytes.byte(at: 0) == version else { throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0))) }
        guard bytes.byteCount >= 2 else { return nil }
        guard let kind = ServiceKind(rawValue: bytes.byte(at: 1)) else {
            throw .invalidField(offset: 1, found: UInt64(bytes.byte(at: 1)))
        }
        guard bytes.byteCount >= 3 else { return nil }
        let nameCount = Int(bytes.byte(at: 2))
        guard (1...nameByteLimit).contains(nameCount) else { throw .length(Int64(nameCount), limit: nameByteLimit) }
        guard bytes.byteCount >= 4 + nameCount else { return nil }
        let proofCount = Int(bytes.byte(at: 3 + nameCount))
        guard proofCount == 0 || proofCount == proofByteCount else {
            throw .length(Int64(proofCount), limit: proofByteCount)
        }
        guard bytes.byteCount >= 4 + nameCount + proofCount else { return nil }
        guard let name = String(validating: bytes.copyBytes(in: 3..<3 + nameCount), as: UTF8.self) else {
            throw .invalidField(offset: 3, found: UInt64(bytes.byte(at: 3)))
        }
        let proof = bytes.copyBytes(in: 4 + nameCount..<4 + nameCount + proofCount)
        return try ServiceRequest(kind: kind, name: name, proof: proof)
    }

    /// Appends the request; payload may follow.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(Self.version)
        bytes.append(kind.rawValue)
        bytes.append(UInt8(name.utf8.count))
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(proof.count))
        bytes.append(contentsOf: proof)
    }

    private static func check(_ name: String) throws(WireError) {
        let count = name.utf8.count
        guard (1...nameByteLimit).contains(count) else { throw .length(Int64(count), limit: nameByteLimit) }
        var offset = 3
        for byte in name.utf8 {
            guard byte >= 0x20, byte != 0x7F else { throw .invalidField(offset: offset, found: UInt64(byte)) }
            offset += 1
        }
    }
}
