// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// TCP connections, each of which is a base of its own (RFC 6544), and bases that are gone.
extension ICEAgent {
    mutating func openStream(_ id: ICEBaseID, local: IPEndpoint, remote: IPEndpoint) {
        let local = IPEndpoint(local.address.unmapped, local.port)
        let remote = IPEndpoint(remote.address.unmapped, remote.port)
        guard baseIndex[id] == nil, bases.count < Self.baseLimit else { return }
        switch filter.refusal(of: remote, over: .tcp) {
        case nil, .port: break
        default:
            counters.refused += 1
            return
        }
        var candidate = localStreamCandidate(at: local)
        if candidate == nil {
            let preference = ICECandidate.localPreference(.host, .active, other: 0)
            candidate = ICECandidate(
                foundation: "t\(id.number)",
                transport: .tcp,
                priority: ICECandidate.priority(typePreference: 90, localPreference: preference),
                endpoint: local,
                type: .host,
                tcpType: .active
            )
        }
        let base = store(ICEBase(id: id, transport: .tcp, isV6: remote.address.isV6, isStream: true))
        bases[base].remote = remote
        if let candidate { bases[base].candidates = [candidate] }
        for index in pairs.indices where pairs[index].isConnecting && pairs[index].key.endpoint == remote {
            fail(index)
        }
        pairStream(base)
    }

    private mutating func pairStream(_ base: Int) {
        guard let remote = bases[base].remote, let place = learn(remote, .tcp, priority: nil) else { return }
        _ = insertPair(base: base, remote: place)
    }

    /// Checks the connections that are still open after a restart: an end that gave one up may be alone with that, and the other
    /// one makes no new connection while it has this.
    mutating func pairOpenStreams() {
        for base in bases.indices where bases[base].isStream && !bases[base].isLost { pairStream(base) }
    }

    /// The TCP candidate that has the endpoint, or for a connection from a port of its own the address (RFC 6544
    /// section 4.5).
    func localStreamCandidate(at endpoint: IPEndpoint) -> ICECandidate? {
        var active: ICECandidate?
        for base in bases where base.transport == .tcp && !base.isStream && !base.isLost {
            for candidate in base.candidates {
                if candidate.endpoint == endpoint { return candidate }
                if candidate.tcpType == .active, candidate.endpoint.address == endpoint.address { active = candidate }
            }
        }
        return active
    }

    /// Forgets a base with its candidates and pairs.
    mutating func lose(_ id: ICEBaseID, at now: Instant) {
        guard let base = baseIndex.removeValue(forKey: id) else { return }
        var lost: Int?
        var freed: Set<Int> = []
        for index in pairs.indices where pairs[index].base == base && pairs[index].state != .removed {
            freed.insert(pairs[index].remote)
            if index == selected { lost = index } else { removePair(index) }
        }
        if let lost {
            endPath(lost, at: now)
            removePair(lost)
        }
        if bases[base].isStream {
            // The other end of a connection leads nowhere without it.
            let used = Set(pairs.filter { $0.state != .removed }.map(\.remote))
            for place in freed where remotes[place].state == .learned && !used.contains(place) {
                forget(remote: place)
            }
        }
        bases[base].candidates = []
        bases[base].isLost = true
    }
}
