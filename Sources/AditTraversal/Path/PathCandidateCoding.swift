// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// A candidate as bytes: type, transport, flags, priority, endpoint, related endpoint, foundation.
enum PathCandidateCoding {
    private enum Flag {
        static let isPortMapped: UInt8 = 1
        static let hasRelated: UInt8 = 2
    }

    static func encode(_ candidate: ICECandidate) -> [UInt8] {
        var bytes: [UInt8] = [code(candidate.type), code(candidate.transport, candidate.tcpType)]
        bytes.append(
            (candidate.isPortMapped ? Flag.isPortMapped : 0) | (candidate.related == nil ? 0 : Flag.hasRelated)
        )
        bytes.appendBigEndian(candidate.priority)
        bytes.appendEndpoint(candidate.endpoint)
        if let related = candidate.related { bytes.appendEndpoint(related) }
        bytes += Array(candidate.foundation.utf8.prefix(32))
        return bytes
    }

    /// The candidate; nil for one of a type or transport of a later version.
    static func decode(_ bytes: RawSpan) throws(WireError) -> ICECandidate? {
        try bytes.need(7)
        let flags = bytes.byte(at: 2)
        let (endpoint, end) = try bytes.endpoint(at: 7)
        var next = end
        var related: IPEndpoint?
        if flags & Flag.hasRelated != 0 {
            let (endpoint, end) = try bytes.endpoint(at: next)
            related = endpoint
            next = end
        }
        guard let type = type(bytes.byte(at: 0)), let (transport, tcpType) = transport(bytes.byte(at: 1)) else {
            return nil
        }
        let foundation = bytes.copyBytes(in: next..<bytes.byteCount)
        guard (1...32).contains(foundation.count) else { throw .length(Int64(foundation.count), limit: 32) }
        for (index, byte) in foundation.enumerated() where !ICECredentials.isICECharacter(byte) {
            throw .invalidField(offset: next + index, found: UInt64(byte))
        }
        let priority = bytes.bigEndianUInt32(at: 3)
        guard (1...0x7FFF_FFFF).contains(priority) else { throw .invalidField(offset: 3, found: UInt64(priority)) }
        return ICECandidate(
            foundation: String(decoding: foundation, as: UTF8.self),
            transport: transport,
            priority: priority,
            endpoint: endpoint,
            type: type,
            related: related,
            tcpType: tcpType,
            isPortMapped: flags & Flag.isPortMapped != 0
        )
    }

    private static func code(_ type: ICECandidateType) -> UInt8 {
        switch type {
        case .host: 0
        case .serverReflexive: 1
        case .peerReflexive: 2
        case .relayed: 3
        }
    }

    private static func type(_ code: UInt8) -> ICECandidateType? {
        switch code {
        case 0: .host
        case 1: .serverReflexive
        case 2: .peerReflexive
        case 3: .relayed
        default: nil
        }
    }

    private static func code(_ transport: ICETransport, _ tcpType: ICETCPType?) -> UInt8 {
        switch (transport, tcpType) {
        case (.udp, _): 0
        case (.tcp, .active), (.tcp, nil): 1
        case (.tcp, .passive): 2
        case (.tcp, .simultaneousOpen): 3
        }
    }

    private static func transport(_ code: UInt8) -> (ICETransport, ICETCPType?)? {
        switch code {
        case 0: (.udp, nil)
        case 1: (.tcp, .active)
        case 2: (.tcp, .passive)
        case 3: (.tcp, .simultaneousOpen)
        default: nil
        }
    }
}
