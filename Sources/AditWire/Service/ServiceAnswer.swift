// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What a device answers to a `ServiceRequest`, once it knows (docs/wire.md, Services).
///
/// After `accepted` and `proven` comes payload, after every other answer the end of the stream.
package enum ServiceAnswer: Sendable, Hashable {
    /// Payload passes in both directions.
    case accepted
    /// The same for a service with a secret, with the proof that this end knows it too: 32 bytes.
    case proven([UInt8])
    /// There is no such service, or not for this device: nobody can tell which.
    case refused
    /// The machine of the service refused the connection: nothing listens there.
    case targetRefuses
    /// The machine of the service cannot be reached, or may not be led to.
    case targetUnreachable
    /// The machine of the service did not answer in time.
    case targetSilent
    /// The device has as many streams as it takes.
    case busy
    /// The service is of the other kind.
    case wrongKind
    /// The device does not speak this version of the request.
    case unsupportedVersion

    /// The shortest answer, in bytes; all but `proven` are as long.
    package static let byteCount = 3
    /// The longest answer, in bytes.
    package static let byteLimit = byteCount + ServiceRequest.proofByteCount
    /// All answers that carry nothing.
    package static let plain: [ServiceAnswer] = [
        .accepted, .refused, .targetRefuses, .targetUnreachable, .targetSilent, .busy, .wrongKind, .unsupportedVersion,
    ]
    private static let version: UInt8 = 1
    private static let provenDetail: UInt8 = 1

    /// Whether payload follows.
    package var isYes: Bool {
        switch self {
        case .accepted, .proven: true
        default: false
        }
    }

    /// The length of the answer, in bytes.
    package var byteCount: Int {
        if case .proven(let proof) = self { Self.byteCount + proof.count } else { Self.byteCount }
    }

    /// Status and detail as they are on the wire.
    private var bytes: (status: UInt8, detail: UInt8) {
        switch self {
        case .accepted: (0, 0)
        case .proven: (0, Self.provenDetail)
        case .refused: (1, 0)
        case .targetRefuses: (2, 1)
        case .targetUnreachable: (2, 2)
        case .targetSilent: (2, 3)
        case .busy: (3, 0)
        case .wrongKind: (4, 0)
        case .unsupportedVersion: (5, 0)
        }
    }

    /// Reads the answer at the start of `bytes`; nil when more bytes are needed.
    ///
    /// Throws `WireError.invalidField` for another version, status or detail.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> ServiceAnswer? {
        guard bytes.byteCount >= 1 else { return nil }
        guard bytes.byte(at: 0) == version else { throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0))) }
        guard bytes.byteCount >= 2 else { return nil }
        let status = bytes.byte(at: 1)
        let known = plain.filter { $0.bytes.status == status }
        guard !known.isEmpty else { throw .invalidField(offset: 1, found: UInt64(status)) }
        guard bytes.byteCount >= byteCount else { return nil }
        let detail = bytes.byte(at: 2)
        if status == 0, detail == provenDetail {
            return bytes.byteCount < byteLimit ? nil : .proven(bytes.copyBytes(in: byteCount..<byteLimit))
        }
        guard let answer = known.first(where: { $0.bytes.detail == detail }) else {
            throw .invalidField(offset: 2, found: UInt64(detail))
        }
        return answer
    }

    /// Appends the answer.
    package func encode(into bytes: inout [UInt8]) {
        bytes += [Self.version, self.bytes.status, self.bytes.detail]
        if case .proven(let proof) = self {
            precondition(proof.count == ServiceRequest.proofByteCount, "a proof has 32 bytes")
            bytes += proof
        }
    }
}
