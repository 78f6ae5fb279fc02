// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// Whether a protocol is there.
enum PortMappingDoor: Sendable {
    case unknown, present, absent
}

/// The socket to a router's port for NAT-PMP and PCP, and the requests that wait for an answer there.
struct PortControl: Sendable {
    /// What a request asks; at most one of each kind waits.
    enum Purpose: Hashable, Sendable {
        case announce
        case externalAddress
        case map(lease: Int, PortMappingProtocol)
        case remove(lease: Int, PortMappingProtocol)

        var `protocol`: PortMappingProtocol {
            switch self {
            case .announce: .pcp
            case .externalAddress: .natPMP
            case .map(_, let name), .remove(_, let name): name
            }
        }
    }

    /// A request that is sent again after 250 ms, doubling (RFC 6886 section 3.1).
    struct Exchange: Sendable {
        let purpose: Purpose
        let bytes: [UInt8]
        var triesLeft: Int
        var delay: Duration
        var nextAt: Instant
    }

    let socket: SocketID
    let router: IPEndpoint
    let isIPv6: Bool
    var local: IPAddress
    var isOpen = false
    var pcp = PortMappingDoor.unknown
    var natPMP = PortMappingDoor.unknown
    var pcpEpoch = PortMappingEpoch()
    var natPMPEpoch = PortMappingEpoch()
    var externalAddress: IPAddress?
    var exchanges: [Exchange] = []

    /// The wait before a request is sent for the second time.
    static var firstDelay: Duration { .milliseconds(250) }

    var nextDeadline: Instant? { active.map { exchanges[$0].nextAt }.min() }

    /// The requests that may be sent: those by NAT-PMP wait for each other, as its errors do not say what they are about,
    /// and a port is asked for by PCP when its removal is over, lest that be sent again afterwards.
    private var active: [Int] {
        var hasNATPMP = false
        return exchanges.indices.filter { index in
            if case .map(let lease, .pcp) = exchanges[index].purpose {
                return !exchanges.contains { $0.purpose == .remove(lease: lease, .pcp) }
            }
            guard exchanges[index].purpose.protocol == .natPMP else { return true }
            defer { hasNATPMP = true }
            return !hasNATPMP
        }
    }

    /// Adds a request, in place of one for the same purpose; it is sent at once, and up to `tries` times in all.
    mutating func ask(_ purpose: Purpose, _ bytes: [UInt8], tries: Int, at now: Instant) {
        exchanges.removeAll { $0.purpose == purpose }
        exchanges.append(
            Exchange(purpose: purpose, bytes: bytes, triesLeft: tries, delay: Self.firstDelay, nextAt: now)
        )
    }

    /// Whether such a request waits; it then waits no more.
    mutating func finish(_ purpose: Purpose) -> Bool {
        guard let index = exchanges.firstIndex(where: { $0.purpose == purpose }) else { return false }
        exchanges.remove(at: index)
        return true
    }

    /// What is due: bytes to send, or a request that nobody answered.
    mutating func due(at now: Instant) -> (send: [UInt8]?, expired: Purpose?)? {
        guard isOpen, let index = active.first(where: { exchanges[$0].nextAt <= now }) else { return nil }
        guard exchanges[index].triesLeft > 0 else { return (nil, exchanges.remove(at: index).purpose) }
        exchanges[index].triesLeft -= 1
        exchanges[index].nextAt = now + exchanges[index].delay
        exchanges[index].delay *= 2
        return (exchanges[index].bytes, nil)
    }
}
