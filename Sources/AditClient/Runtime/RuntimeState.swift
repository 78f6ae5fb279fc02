// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore

/// What a runtime knows, behind its lock: each change answers with what has to be done outside of the lock.
struct RuntimeState: Sendable {
    /// One tunnel.
    struct Tunnel: Sendable {
        var order: TunnelOrder
        var status: DeviceStatus.Tunnel
        var health = TargetHealth.unknown
        var lastProbe: ProbeResult?
        var isProbing = false
        var rewrite: String?
        var hasCheckedHost = false
        var treatment: VisitorTreatment?
        let tally: DatagramTally?
        /// Counts the orders of this name, so that a probe of an earlier one is not taken for this one's.
        var generation: Int

        init(_ order: TunnelOrder, generation: Int) {
            self.order = order
            self.generation = generation
            tally = order.kind.hasDatagrams ? DatagramTally() : nil
            status = DeviceStatus.Tunnel(
                name: order.name,
                kind: order.kind.rawValue,
                target: order.target.description
            )
        }

        /// The status with what passed as datagrams.
        var statusNow: DeviceStatus.Tunnel {
            guard let figures = tally?.current else { return status }
            var now = status
            now.datagramsIn = figures.datagramsIn
            now.datagramsOut = figures.datagramsOut
            now.droppedDatagrams = figures.drops
            now.bytesIn &+= figures.bytesIn
            now.bytesOut &+= figures.bytesOut
            now.visitorsNow += figures.visitorsNow
            now.visitorsTotal &+= figures.visitorsTotal
            return now
        }
    }

    var status: DeviceStatus
    var tunnels: [String: Tunnel] = [:]
    var names: [String] = []
    var paths: [PathPeerID: DeviceStatus.Path] = [:]
    var facts: SessionFacts?
    var isEnded = false
    private var generations = 0

    init(status: DeviceStatus, orders: [TunnelOrder]) {
        self.status = status
        for order in orders { add(order) }
    }

    /// The status with the tunnels in the order in which they were asked for.
    var snapshot: DeviceStatus {
        var snapshot = status
        snapshot.paths = paths.values.sorted { $0.peer < $1.peer }
        snapshot.tunnels = names.compactMap { tunnels[$0]?.statusNow }
        return snapshot
    }

    mutating func add(_ order: TunnelOrder) {
        generations += 1
        if tunnels[order.name] == nil { names.append(order.name) }
        tunnels[order.name] = Tunnel(order, generation: generations)
    }

    mutating func remove(_ name: String) {
        tunnels[name] = nil
        names.removeAll { $0 == name }
    }

    /// What changes when these orders take the place of the present ones: unchanged ones are left alone.
    mutating func replace(with orders: [TunnelOrder]) -> (removed: [String], added: [TunnelOrder]) {
        let wanted = Dictionary(orders.map { ($0.name, $0) }) { first, _ in first }
        let removed = names.filter { wanted[$0] == nil }
        let added = orders.filter { tunnels[$0.name]?.order != $0 }
        for name in removed { remove(name) }
        for order in added { add(order) }
        names = orders.map(\.name)
        return (removed, added)
    }

    /// Takes note of a path, or that there is none any longer.
    mutating func took(_ news: PathNews, at seconds: Int64) {
        forgetOldPaths(at: seconds)
        switch news {
        case .changed(let peer, let report), .roundTrip(let peer, _, let report):
            let before = paths[peer.id]
            var path = DeviceStatus.Path(peer.name, report, own: facts?.deviceName ?? "", at: seconds)
            if let before, before.endedAt == nil, before.kind == path.kind, before.transport == path.transport {
                path.since = before.since
            }
            paths[peer.id] = path
        case .ended(let peer, _):
            if paths[peer.id]?.endedAt == nil { paths[peer.id]?.endedAt = seconds }
        case .opened, .received, .trace, .problem: break
        }
    }

    /// Paths that were given up are of interest for some minutes, and there is room for so many.
    mutating func forgetOldPaths(at seconds: Int64) {
        paths = paths.filter { $0.value.endedAt.map { seconds - $0 < 300 } ?? true }
        while paths.count > 1024,
            let oldest = paths.min(by: {
                ($0.value.endedAt ?? .max, $0.value.since) < ($1.value.endedAt ?? .max, $1.value.since)
            })
        {
            paths[oldest.key] = nil
        }
    }

    // MARK: The session

    mutating func connected(_ facts: SessionFacts, at seconds: Int64) {
        self.facts = facts
        status.isConnected = true
        status.connectedAt = seconds
        status.problem = nil
        status.stun = facts.stun
    }

    mutating func disconnected(_ error: AditError?) {
        status.isConnected = false
        status.connectedAt = nil
        status.problem = error?.description
        for name in names where tunnels[name]?.status.state == .open || tunnels[name]?.status.state == .held {
            tunnels[name]?.status.state = .waiting
        }
    }

    // MARK: Tunnels

    mutating func opened(_ tunnel: OpenTunnel) {
        tunnels[tunnel.name]?.status.addresses = tunnel.addresses
        tunnels[tunnel.name]?.status.expiresAt = tunnel.expiresAt
        tunnels[tunnel.name]?.status.state = .open
        settle(tunnel.name)
    }

    mutating func failed(_ name: String, _ error: AditError, state: DeviceStatus.Tunnel.State) {
        tunnels[name]?.status.state = state
        tunnels[name]?.status.code = error.code.description
        tunnels[name]?.status.problem = error.description
    }

    /// Takes note of a target's health; whether it is news.
    mutating func noteHealth(_ name: String, _ health: TargetHealth) -> Bool {
        guard let before = tunnels[name]?.health else { return false }
        tunnels[name]?.health = health
        settle(name)
        switch (before, health) {
        case (.answers, .answers): return false
        default: return before != health
        }
    }

    private mutating func settle(_ name: String) {
        guard let tunnel = tunnels[name], tunnel.status.state == .open || tunnel.status.state == .held else { return }
        if case .fails(let error) = tunnel.health {
            failed(name, error, state: .held)
        } else {
            tunnels[name]?.status.state = .open
            tunnels[name]?.status.code = nil
            tunnels[name]?.status.problem = nil
        }
    }

    // MARK: Visits

    /// What is done with the visitors of a tunnel, the same for all of them; nil when that is nothing.
    mutating func treatment(_ name: String, on loop: any EventLoop) -> VisitorTreatment? {
        guard let tunnel = tunnels[name] else { return nil }
        if let known = tunnel.treatment { return known }
        guard tunnel.order.limits.bandwidth != nil || tunnel.order.proxyProtocol != nil else { return nil }
        let treatment = VisitorTreatment(
            bandwidth: tunnel.order.limits.bandwidth,
            proxyProtocol: tunnel.order.proxyProtocol,
            on: loop
        )
        tunnels[name]?.treatment = treatment
        return treatment
    }

    mutating func visitBegan(_ name: String) {
        tunnels[name]?.status.visitorsNow += 1
        tunnels[name]?.status.visitorsTotal += 1
    }

    mutating func visitEnded(_ name: String, generation: Int, _ statistics: VisitStatistics?) {
        guard let tunnel = tunnels[name], tunnel.generation == generation else { return }
        tunnels[name]?.status.visitorsNow = max(0, tunnel.status.visitorsNow - 1)
        tunnels[name]?.status.bytesIn &+= statistics?.bytesIn ?? 0
        tunnels[name]?.status.bytesOut &+= statistics?.bytesOut ?? 0
    }
}
