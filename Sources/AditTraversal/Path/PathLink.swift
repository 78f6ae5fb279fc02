// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// A UDP socket on one address of this machine, which all peers share.
struct PathLink: Sendable {
    /// What packets from it leave from, for the agents.
    let base: ICEBaseID
    let socket: SocketID
    /// The address it is bound to.
    let address: IPAddress
    /// Its place in the order in which addresses are preferred, from 0.
    let rank: Int
    /// Where it is bound; nil until it is open.
    var local: IPEndpoint?
    /// As what servers see it.
    var gathering: PathGathering
    /// Where a router forwards to it.
    var mapped: IPEndpoint?
    /// When the NAT began to map it as it does now; nil until it is open.
    var mappedSince: Instant?
    /// When something came last.
    var heardAt: Instant?
    /// How old its mappings become.
    var age = PathMappingAge()
    /// Whether the system gave no socket.
    var isClosed = false

    var isV6: Bool {
        if case .v6 = address.unmapped { return true }
        return false
    }

    /// Its candidates: the address itself, what the router promised, and what the server that was asked first saw.
    var candidates: [ICECandidate] {
        guard let local, !isClosed else { return [] }
        var candidates = [candidate(.host, local, preference: 65_535, letter: "h")]
        if let mapped, mapped != local {
            var promised = candidate(.serverReflexive, mapped, preference: 65_535, letter: "m")
            promised.isPortMapped = true
            promised.related = local
            candidates.append(promised)
        }
        if let seen = gathering.answers.first, seen != local, seen != mapped {
            var reflexive = candidate(.serverReflexive, seen, preference: 49_152, letter: "s")
            reflexive.related = local
            candidates.append(reflexive)
        }
        return candidates
    }

    private func candidate(
        _ type: ICECandidateType,
        _ endpoint: IPEndpoint,
        preference: UInt16,
        letter: String
    ) -> ICECandidate {
        ICECandidate(
            foundation: "\(letter)\(base.number)",
            priority: ICECandidate.priority(
                typePreference: type.preference,
                localPreference: preference - UInt16(min(rank, 15)) * 1024
            ),
            endpoint: endpoint,
            type: type
        )
    }

    /// The addresses that are worth a socket, best first: that of the IPv4 default route, that of IPv6, then other interfaces.
    static func addresses(of network: LocalNetwork) -> [IPAddress] {
        var addresses: [IPAddress] = []
        for address in [network.address, network.addressV6] {
            if let address, !addresses.contains(address) { addresses.append(address) }
        }
        for interface in network.interfaces where !interface.isVirtual {
            for address in interface.addresses.prefix(4)
            where !address.isLoopback && !address.isLinkLocal && !address.isUnspecified
                && !addresses.contains(address)
            {
                addresses.append(address)
            }
        }
        if addresses.isEmpty { addresses = [.v4(0)] }
        return Array(addresses.prefix(limit))
    }

    /// So many sockets are shared.
    static let limit = 4
}
