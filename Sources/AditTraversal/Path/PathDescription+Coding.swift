// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

extension PathDescription {
    private enum Tag {
        static let credentials: UInt8 = 1
        static let candidate: UInt8 = 2
        static let flags: UInt8 = 3
        static let policy: UInt8 = 4
        static let nat: UInt8 = 5
        static let openers: UInt8 = 6
        static let tcp: UInt8 = 7
        static let search: UInt8 = 8
        static let reason: UInt8 = 9
        static let relay: UInt8 = 10
    }

    private enum Flag {
        static let isComplete: UInt8 = 1
        static let isQuiet: UInt8 = 2
    }

    func encode(into bytes: inout [UInt8]) {
        var credential = [UInt8(truncatingIfNeeded: credentials.ufrag.utf8.count)]
        credential += Array(credentials.ufrag.utf8) + Array(credentials.password.utf8)
        bytes.appendLongField(Tag.credentials, credential)
        for candidate in candidates.prefix(Self.candidateLimit) {
            bytes.appendLongField(Tag.candidate, PathCandidateCoding.encode(candidate))
        }
        bytes.appendLongField(Tag.flags, [(isComplete ? Flag.isComplete : 0) | (isQuiet ? Flag.isQuiet : 0)])
        bytes.appendLongField(Tag.policy, [PathPolicyCoding.code(policy)])
        bytes.appendLongField(Tag.relay, [PathPolicyCoding.code(relay)])
        var value: [UInt8] = []
        nat.encode(into: &value)
        bytes.appendLongField(Tag.nat, value)
        if let openers { bytes.appendLongField(Tag.openers, openers.encoded) }
        if let tcp { bytes.appendLongField(Tag.tcp, tcp.encoded) }
        if let search { bytes.appendLongField(Tag.search, search.encoded) }
        if let reason {
            value.removeAll()
            reason.encode(into: &value)
            bytes.appendLongField(Tag.reason, value)
        }
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathDescription {
        var found: PathDescription?
        var rest: [(tag: UInt8, value: Range<Int>)] = []
        var fields = PathLongFields(byteCount: bytes.byteCount)
        while let field = try fields.next(in: bytes) {
            if field.tag == Tag.credentials {
                guard found == nil else {
                    throw .invalidField(offset: field.value.lowerBound, found: UInt64(field.tag))
                }
                found = PathDescription(credentials: try credentials(bytes.extracting(field.value)))
            } else {
                rest.append((field.tag, field.value))
            }
        }
        guard var description = found else { throw .truncated(expected: 1, found: 0) }
        for field in rest {
            let value = bytes.extracting(field.value)
            switch field.tag {
            case Tag.candidate:
                guard description.candidates.count < candidateLimit else { continue }
                if let candidate = try PathCandidateCoding.decode(value) { description.candidates.append(candidate) }
            case Tag.flags:
                let flags = try value.number()
                description.isComplete = flags & Flag.isComplete != 0
                description.isQuiet = flags & Flag.isQuiet != 0
            case Tag.policy: description.policy = PathPolicyCoding.policy(try value.number()) ?? .automatic
            case Tag.relay: description.relay = PathPolicyCoding.relay(try value.number())
            case Tag.nat: description.nat = try PathNAT.decode(value)
            case Tag.openers: description.openers = try PathOpenersOffer.decode(value)
            case Tag.tcp: description.tcp = try PathTCPOffer.decode(value)
            case Tag.search: description.search = try PathSearchOffer.decode(value)
            case Tag.reason: description.reason = try PathReason.decode(value)
            default: break
            }
        }
        return description
    }

    private static func credentials(_ bytes: RawSpan) throws(WireError) -> ICECredentials {
        let length = Int(try bytes.number())
        try bytes.need(1 + length)
        let text = bytes.copyBytes(in: 1..<bytes.byteCount)
        guard
            let credentials = ICECredentials(
                ufrag: String(decoding: text[..<length], as: UTF8.self),
                password: String(decoding: text[length...], as: UTF8.self)
            )
        else { throw .length(Int64(bytes.byteCount), limit: 512) }
        return credentials
    }
}

/// The numbers of policies and transports on the wire.
enum PathPolicyCoding {
    static func code(_ policy: PathPolicy) -> UInt8 {
        switch policy {
        case .automatic: 0
        case .directOnly: 1
        case .relayOnly: 2
        }
    }

    static func code(_ relay: PathRelayTransport) -> UInt8 {
        switch relay {
        case .udp: 0
        case .tcp: 1
        // Whoever has only the session's relay has none that a description could tell of.
        case .tls, .session: 2
        }
    }

    /// How a relay is reached; over TLS for one of a later version.
    static func relay(_ code: UInt8) -> PathRelayTransport {
        switch code {
        case 0: .udp
        case 1: .tcp
        default: .tls
        }
    }

    static func policy(_ code: UInt8) -> PathPolicy? {
        switch code {
        case 0: .automatic
        case 1: .directOnly
        case 2: .relayOnly
        default: nil
        }
    }
}
