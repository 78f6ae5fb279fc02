// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// Puts together what is known of the path, and tells it where it is not what was told before.
    mutating func updateReport(at now: Instant) {
        var new = report
        let kind = pathKind
        if kind != report.kind || endpoints(of: selected) != [report.localEndpoint, report.remoteEndpoint] {
            new.since = now
            new.roundTrip = selected?.roundTrip
        }
        new.kind = kind
        new.localType = selected?.local.type
        new.remoteType = selected?.remote.type
        new.localEndpoint = selected?.local.endpoint
        new.remoteEndpoint = selected?.remote.endpoint
        new.tactic = isDirect ? tactic ?? .plain : nil
        if kind != .none, new.timeToPath == nil { new.timeToPath = now - begunAt }
        if kind.isDirect, new.timeToDirect == nil { new.timeToDirect = now - begunAt }
        new.packetsSpent = packetsSpent
        new.local = nat
        new.remote = remote?.nat ?? .unknown
        if leads {
            let facts = facts(kind, since: new.since, at: now)
            // Until the relay has had its time there is no path yet, rather than none for a reason.
            let isEarly = kind == .none && facts.relayLack == nil && !isAttemptOver
            new.reason = isEarly ? .searching(a: facts.a.udp.kind, b: facts.b.udp.kind) : facts.reason
        } else if let reason = remote?.reason {
            new.reason = reason
        }
        let hasChanged =
            new.kind != report.kind || new.reason != report.reason || new.remoteEndpoint != report.remoteEndpoint
            || new.localEndpoint != report.localEndpoint || new.local != report.local || new.remote != report.remote
        let tellsReason = new.reason != report.reason
        report = new
        guard hasChanged else { return }
        output(.event(.changed(report, of: id)))
        if leads, tellsReason { tellSoon(at: now) }
    }

    private func endpoints(of pair: ICEPair?) -> [IPEndpoint?] { [pair?.local.endpoint, pair?.remote.endpoint] }

    private var pathKind: PathKind {
        guard let selected else { return .none }
        if selected.isRelayed {
            // The slower of both ways to the relay, so that both ends say the same.
            let order: [PathRelayTransport] = [.tls, .tcp]
            let used = [relayTransport, remote?.relay ?? .udp]
            return .relayed(order.first { used.contains($0) } ?? .udp)
        }
        return .direct(selected.local.transport)
    }

    private func facts(_ kind: PathKind, since: Instant, at now: Instant) -> PathFacts {
        var facts = PathFacts(kind: kind, a: nat, b: remote?.nat ?? .unknown)
        facts.pair = selected
        facts.tactic = tactic
        facts.relayOnly = PathSides(a: world.policy == .relayOnly, b: remote?.policy == .relayOnly)
        if let sides = PathSides(a: world.policy == .directOnly, b: remote?.policy == .directOnly) {
            facts.relayLack = .directOnly(sides)
        } else {
            switch world.relayLack {
            case .notOffered: facts.relayLack = .notOffered
            case .silent: facts.relayLack = .silent
            case nil: break
            }
        }
        facts.search = search?.isRunning == true ? .running : searchEnd
        if case .foundNothing = facts.search { facts.search = .foundNothing(probes: probedCount(until: now)) }
        facts.sockets = searchSockets
        facts.probes = probedCount(until: kind.isDirect ? since : now)
        facts.tried = attemptAt.map { now - $0 } ?? (now - begunAt)
        facts.isOver = isAttemptOver
        let isSearching = search?.isRunning == true || tcp?.isSearching == true
        facts.isLate = attemptAt != nil && facts.tried >= world.timing.verdict && !isSearching
        facts.isSignallingLost = exchange.isUnanswered
        return facts
    }
}
