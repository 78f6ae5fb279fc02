// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers

/// Everything the server holds in memory about sessions, tunnels and leases, behind one lock.
///
/// Each call is short and waits for nothing. What has to be written to disk or bound to a port happens outside, between
/// the claim, which reserves, and `OpenTunnel.open`, which lets visitors in.
package final class TunnelTable: Sendable {
    struct State {
        var registry: TunnelRegistry
        var pool: PortPool
        var generator: SeededGenerator
        var names: NameGenerator
        var tunnels: [TunnelID: OpenTunnel] = [:]
        var ids: [OpenTunnel.Key: TunnelID] = [:]
        var sessions: [String: ServerSession] = [:]
        var nameLeases: [String: NameLease] = [:]
        var portLeases: [PublicPort: PortLease] = [:]
        var ceilings: [TunnelOwner: DeviceCeiling] = [:]
        var domain: String?
    }

    /// A tunnel that was claimed, and those that made way for it.
    struct Claimed {
        var tunnel: OpenTunnel
        var displaced: [OpenTunnel]
    }

    let box: NIOLockedValueBox<State>
    private let clock: UnixClock
    private let visitorLimit: Int
    private let ceilingTerms: DeviceCeiling.Terms?
    private let log: Logger

    init(_ setup: ServerSetup, seed: UInt64, clock: UnixClock, log: Logger) {
        self.clock = clock
        self.log = log
        visitorLimit = setup.maximumVisitorsPerTunnel
        let terms = DeviceCeiling.Terms(
            maximumConnections: setup.maximumConnectionsPerDevice,
            bandwidth: setup.bandwidthPerDevice
        )
        ceilingTerms = terms == DeviceCeiling.Terms() ? nil : terms
        box = NIOLockedValueBox(
            State(
                registry: TunnelRegistry(maximumTunnelsPerOwner: setup.maximumTunnels),
                pool: PortPool(ranges: setup.publicPorts.ranges),
                generator: SeededGenerator(seed: seed),
                names: NameGenerator(seed: seed),
                domain: setup.domain
            )
        )
    }

    // MARK: Sessions

    /// The sessions that are open.
    var sessions: [ServerSession] { box.withLockedValue { Array($0.sessions.values) } }

    /// The tunnels that are open, oldest first.
    package var tunnels: [OpenTunnel] {
        box.withLockedValue { $0.tunnels.values.sorted { $0.id.number < $1.id.number } }
    }

    func insert(_ session: ServerSession) {
        box.withLockedValue { state in
            state.sessions[session.runID] = session
            if let ceilingTerms, state.ceilings[session.owner] == nil {
                state.ceilings[session.owner] = DeviceCeiling(ceilingTerms, on: session.eventLoop)
            }
        }
    }

    /// What the owner lets the device of a session use; nil for no limits.
    func ceiling(of session: ServerSession) -> DeviceCeiling? {
        box.withLockedValue { $0.ceilings[session.owner] }
    }

    /// Forgets a session and returns the tunnels it held.
    func remove(_ session: ServerSession) -> [OpenTunnel] {
        box.withLockedValue { state in
            // A newer session may have taken this run id over.
            if state.sessions[session.runID] === session { state.sessions[session.runID] = nil }
            if !state.sessions.values.contains(where: { $0.owner == session.owner }) {
                state.ceilings[session.owner] = nil
            }
            let held = state.tunnels.values.filter { $0.session === session }
            return held.compactMap { Self.remove($0.key, from: &state, at: clock.now()) }
        }
    }

    // MARK: Tunnels

    /// Takes a tunnel out; nil when it is not there.
    func remove(_ tunnel: OpenTunnel) -> OpenTunnel? {
        box.withLockedValue { state in
            guard state.tunnels[tunnel.id] === tunnel else { return nil }
            return Self.remove(tunnel.key, from: &state, at: clock.now())
        }
    }

    /// The tunnel of a session under a proxy name.
    func tunnel(named proxyName: String, of session: ServerSession) -> OpenTunnel? {
        box.withLockedValue { state in
            state.ids[OpenTunnel.Key(session: session.runID, proxyName: proxyName)].flatMap { state.tunnels[$0] }
        }
    }

    /// Enters a claim into the registry; throws what stands in the way.
    static func insert(
        _ resources: [TunnelResource],
        hosts: [HostChoice.Host],
        port: UInt16,
        request: FRPNewProxy,
        terms: TunnelTerms,
        session: ServerSession,
        visitorLimit: Int,
        log: Logger,
        into state: inout State,
        at now: UnixTime
    ) throws(TunnelConflict) -> Claimed {
        let owner = session.identity.owner(runID: session.runID)
        let claim = TunnelClaim(
            owner: owner,
            session: session.runID,
            proxyName: request.proxyName,
            resources: resources
        )
        let grant = try state.registry.claim(claim)
        var displaced: [OpenTunnel] = []
        for earlier in grant.displaced {
            let key = OpenTunnel.Key(session: earlier.session, proxyName: earlier.proxyName)
            guard let id = state.ids.removeValue(forKey: key), let tunnel = state.tunnels.removeValue(forKey: id) else {
                continue
            }
            displaced.append(tunnel)
        }
        let tunnel = OpenTunnel(
            id: grant.tunnel,
            session: session,
            request: request,
            terms: terms,
            hosts: hosts,
            port: port,
            openedAt: now,
            visitorLimit: visitorLimit,
            ceiling: state.ceilings[owner],
            log: log
        )
        state.tunnels[tunnel.id] = tunnel
        state.ids[tunnel.key] = tunnel.id
        return Claimed(tunnel: tunnel, displaced: displaced)
    }

    /// Claims hosts for an http tunnel; one that asks for none gets its earlier name, or a new one.
    func claimHosts(
        _ choice: HostChoice,
        sticky: [String],
        request: FRPNewProxy,
        terms: TunnelTerms,
        session: ServerSession
    ) throws(TunnelConflict) -> Claimed {
        let now = clock.now()
        let limit = visitorLimit
        return try locked { state throws(TunnelConflict) -> Claimed in
            let hosts = choice.hosts.isEmpty ? Self.chooseHost(sticky, request, session, &state) : choice.hosts
            let locations = request.locations.isEmpty ? [""] : request.locations
            let resources = hosts.flatMap { host -> [TunnelResource] in
                // TLS shows neither path nor user.
                if terms.kind == .https { return [.tls(host.host)] }
                return locations.map { location in
                    TunnelResource.route(
                        HostRoute(host: host.host, location: location, user: request.routeByHTTPUser)
                    )
                }
            }
            return try Self.insert(
                resources,
                hosts: hosts,
                port: 0,
                request: request,
                terms: terms,
                session: session,
                visitorLimit: limit,
                log: log,
                into: &state,
                at: now
            )
        }
    }

    /// Claims the given port, in every transport that the tunnel has.
    func claimPort(
        _ port: UInt16,
        request: FRPNewProxy,
        terms: TunnelTerms,
        session: ServerSession
    ) throws(TunnelConflict) -> Claimed {
        let now = clock.now()
        let limit = visitorLimit
        return try locked { state throws(TunnelConflict) -> Claimed in
            try Self.insert(
                terms.kind.portKinds.map { .port($0, port) },
                hosts: [],
                port: port,
                request: request,
                terms: terms,
                session: session,
                visitorLimit: limit,
                log: log,
                into: &state,
                at: now
            )
        }
    }

    /// The lock, for a body that throws only conflicts.
    private func locked(_ body: (inout State) throws(TunnelConflict) -> Claimed) throws(TunnelConflict) -> Claimed {
        try box.withLockedValue { state -> Result<Claimed, TunnelConflict> in
            do throws(TunnelConflict) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    static func remove(_ key: OpenTunnel.Key, from state: inout State, at now: UnixTime) -> OpenTunnel? {
        guard let id = state.ids.removeValue(forKey: key), let tunnel = state.tunnels.removeValue(forKey: id) else {
            return nil
        }
        let owner = tunnel.session.identity.owner(runID: tunnel.session.runID)
        _ = state.registry.release(key.proxyName, of: owner, session: key.session)
        for host in tunnel.hosts { state.nameLeases[host.leaseName]?.lastUsed = now }
        return tunnel
    }

    /// The earlier names of this device and target that are free or held by the very tunnel that comes back, else a new name.
    private static func chooseHost(
        _ sticky: [String],
        _ request: FRPNewProxy,
        _ session: ServerSession,
        _ state: inout State
    ) -> [HostChoice.Host] {
        guard let domain = state.domain else { return [] }
        let owner = session.identity.owner(runID: session.runID)
        let registry = state.registry
        let own = registry.tunnel(named: request.proxyName, of: owner)
        for name in sticky {
            guard let host = HostName(name + "." + domain) else { continue }
            let holders = registry.routes.tunnels(on: host) + registry.tlsRoutes.tunnels(on: host)
            if registry.isFree(host, for: owner) || (own.map { holders == [$0] } ?? false) {
                return [HostChoice.Host(host: host, leaseName: name)]
            }
        }
        var names = state.names
        defer { state.names = names }
        let free = names.next { name in
            guard let host = HostName(name + "." + domain) else { return false }
            return registry.isFree(host, for: owner)
        }
        guard let free, let host = HostName(free + "." + domain) else { return [] }
        return [HostChoice.Host(host: host, leaseName: free)]
    }
}
