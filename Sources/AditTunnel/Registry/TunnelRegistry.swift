// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Who holds which proxy name, host and port on one server.
///
/// Two kinds of owner live under different rules. A *device* owns what it holds: when it claims the same thing again,
/// from the same session or from another, the earlier tunnel makes way at once. An *frp client* gets frps's rules:
/// first come, first served, and a second claim is an error even from the same client. Between owners nothing is ever
/// taken away, and a host that a device holds is wholly its own, while frp clients may share one by different
/// locations and users.
///
/// Reservations are leases of owners that may be offline: they keep others away and hold no tunnel.
package struct TunnelRegistry: Sendable {
    /// What a granted claim brings with it.
    package struct Grant: Equatable, Sendable {
        /// The new tunnel.
        package var tunnel: TunnelID
        /// Tunnels of the same owner that made way; their sessions are to be told, their listeners closed.
        package var displaced: [TunnelClaim]
    }

    private struct ProxyKey: Hashable, Sendable {
        var device: [UInt8]?
        var name: String

        init(_ owner: TunnelOwner, _ name: String) {
            if case .device(let key) = owner { device = key }
            self.name = name
        }
    }

    private struct PortKey: Hashable, Sendable {
        var kind: PortKind
        var port: UInt16
    }

    private let maximumTunnelsPerOwner: Int
    private var claims: [TunnelID: TunnelClaim] = [:]
    private var byProxy: [ProxyKey: TunnelID] = [:]
    private var byPort: [PortKey: TunnelID] = [:]
    private var bySession: [String: Set<TunnelID>] = [:]
    private var countByOwner: [TunnelOwner: Int] = [:]
    private var portReservations: [PortKey: TunnelOwner] = [:]
    private var hostReservations: [String: TunnelOwner] = [:]
    private var nextNumber: UInt64 = 1

    /// The routes of every HTTP tunnel that is open.
    package private(set) var routes = HostRoutes()
    /// The routes of every TLS tunnel that is open: hosts without locations and users.
    package private(set) var tlsRoutes = HostRoutes()

    /// Makes an empty registry.
    package init(maximumTunnelsPerOwner: Int = 256) {
        self.maximumTunnelsPerOwner = maximumTunnelsPerOwner
    }

    /// How many tunnels are open.
    package var count: Int { claims.count }

    /// The tunnel with this id.
    package subscript(id: TunnelID) -> TunnelClaim? { claims[id] }

    /// The tunnel that this owner has under the proxy name.
    package func tunnel(named name: String, of owner: TunnelOwner) -> TunnelID? {
        guard let id = byProxy[ProxyKey(owner, name)], claims[id]?.owner == owner else { return nil }
        return id
    }

    /// Opens a tunnel, taking over what the same device held before.
    ///
    /// - Parameter alternatives: proposes free hosts when a host is refused.
    /// - Throws: what stands in the way; nothing has changed then.
    package mutating func claim(
        _ claim: TunnelClaim,
        freePorts: (PortKind, UInt16) -> [UInt16] = { _, _ in [] },
        freeHosts: (HostName) -> [String] = { _ in [] }
    ) throws(TunnelConflict) -> Grant {
        var displaced: Set<TunnelID> = []
        if let holder = byProxy[ProxyKey(claim.owner, claim.proxyName)] {
            guard claim.owner.isDevice else { throw .proxyNameInUse(claim.proxyName) }
            displaced.insert(holder)
        }
        for resource in claim.resources {
            for holder in try obstacles(to: resource, claim.owner, freePorts, freeHosts) { displaced.insert(holder) }
        }
        guard countByOwner[claim.owner, default: 0] - displaced.count < maximumTunnelsPerOwner else {
            throw .limitReached(maximumTunnelsPerOwner)
        }
        let earlier = displaced.sorted { $0.number < $1.number }.compactMap { remove($0) }
        return Grant(tunnel: insert(claim), displaced: earlier)
    }

    /// Closes the tunnel that a session has under the proxy name; nil when it has none.
    package mutating func release(_ name: String, of owner: TunnelOwner, session: String) -> TunnelClaim? {
        guard let id = tunnel(named: name, of: owner), claims[id]?.session == session else { return nil }
        return remove(id)
    }

    /// Closes every tunnel of a session, oldest first.
    package mutating func releaseAll(ofSession session: String) -> [TunnelClaim] {
        (bySession[session] ?? []).sorted { $0.number < $1.number }.compactMap { remove($0) }
    }

    /// Keeps a port for its owner, whether or not a tunnel is open on it.
    package mutating func reserve(_ kind: PortKind, _ port: UInt16, for owner: TunnelOwner) {
        portReservations[PortKey(kind: kind, port: port)] = owner
    }

    /// Keeps a host for its owner, whether or not a tunnel is open on it.
    package mutating func reserve(_ host: HostName, for owner: TunnelOwner) {
        hostReservations[host.text] = owner
    }

    /// Ends the reservation of a port.
    package mutating func cancelReservation(_ kind: PortKind, _ port: UInt16) {
        portReservations[PortKey(kind: kind, port: port)] = nil
    }

    /// Ends the reservation of a host.
    package mutating func cancelReservation(_ host: HostName) {
        hostReservations[host.text] = nil
    }

    /// Whether `owner` could have the port: nobody else holds or reserves it, and no tunnel is open on it.
    package func isFree(_ kind: PortKind, _ port: UInt16, for owner: TunnelOwner) -> Bool {
        let key = PortKey(kind: kind, port: port)
        return byPort[key] == nil && (portReservations[key].map { $0 == owner } ?? true)
    }

    /// Whether `owner` could have the whole host: nobody else holds or reserves it, and no tunnel is open on it.
    package func isFree(_ host: HostName, for owner: TunnelOwner) -> Bool {
        routes.tunnels(on: host).isEmpty && tlsRoutes.tunnels(on: host).isEmpty
            && (hostReservations[host.text].map { $0 == owner } ?? true)
    }

    private func obstacles(
        to resource: TunnelResource,
        _ owner: TunnelOwner,
        _ freePorts: (PortKind, UInt16) -> [UInt16],
        _ freeHosts: (HostName) -> [String]
    ) throws(TunnelConflict) -> [TunnelID] {
        switch resource {
        case .port(let kind, let port):
            let key = PortKey(kind: kind, port: port)
            if let reserved = portReservations[key], reserved != owner {
                throw .portTaken(kind, port, alternatives: freePorts(kind, port))
            }
            guard let holder = byPort[key] else { return [] }
            guard owner.isDevice, claims[holder]?.owner == owner else {
                throw .portTaken(kind, port, alternatives: freePorts(kind, port))
            }
            return [holder]
        case .route(let route):
            return try obstacles(to: route, in: routes, beside: tlsRoutes, owner, freeHosts)
        case .tls(let host):
            return try obstacles(to: HostRoute(host: host), in: tlsRoutes, beside: routes, owner, freeHosts)
        }
    }

    /// What stands in the way of a route in its own table; the host's owner counts in the other table as well.
    private func obstacles(
        to route: HostRoute,
        in table: HostRoutes,
        beside other: HostRoutes,
        _ owner: TunnelOwner,
        _ freeHosts: (HostName) -> [String]
    ) throws(TunnelConflict) -> [TunnelID] {
        if let reserved = hostReservations[route.host.text], reserved != owner {
            throw .hostTaken(route, alternatives: freeHosts(route.host))
        }
        for holder in other.tunnels(on: route.host) {
            guard let neighbour = claims[holder]?.owner, neighbour != owner else { continue }
            if owner.isDevice || neighbour.isDevice {
                throw .hostTaken(route, alternatives: freeHosts(route.host))
            }
        }
        var makeWay: [TunnelID] = []
        for holder in table.tunnels(on: route.host) {
            guard let neighbour = claims[holder]?.owner else { continue }
            let isSameRoute = table[route] == holder
            if neighbour != owner, owner.isDevice || neighbour.isDevice || isSameRoute {
                throw .hostTaken(route, alternatives: freeHosts(route.host))
            }
            guard isSameRoute else { continue }
            guard owner.isDevice else { throw .hostTaken(route, alternatives: []) }
            makeWay.append(holder)
        }
        return makeWay
    }

    private mutating func insert(_ claim: TunnelClaim) -> TunnelID {
        let id = TunnelID(nextNumber)
        nextNumber += 1
        var kept = claim
        kept.resources = []
        for resource in claim.resources where !kept.resources.contains(resource) {
            kept.resources.append(resource)
            switch resource {
            case .port(let kind, let port): byPort[PortKey(kind: kind, port: port)] = id
            case .route(let route): _ = routes.insert(route, id)
            case .tls(let host): _ = tlsRoutes.insert(HostRoute(host: host), id)
            }
        }
        claims[id] = kept
        byProxy[ProxyKey(claim.owner, claim.proxyName)] = id
        bySession[claim.session, default: []].insert(id)
        countByOwner[claim.owner, default: 0] += 1
        return id
    }

    private mutating func remove(_ id: TunnelID) -> TunnelClaim? {
        guard let claim = claims.removeValue(forKey: id) else { return nil }
        byProxy[ProxyKey(claim.owner, claim.proxyName)] = nil
        for resource in claim.resources {
            switch resource {
            case .port(let kind, let port): byPort[PortKey(kind: kind, port: port)] = nil
            case .route(let route): routes.remove(route)
            case .tls(let host): tlsRoutes.remove(HostRoute(host: host))
            }
        }
        if bySession[claim.session]?.remove(id) != nil, bySession[claim.session]?.isEmpty == true {
            bySession[claim.session] = nil
        }
        let left = countByOwner[claim.owner, default: 1] - 1
        countByOwner[claim.owner] = left > 0 ? left : nil
        return claim
    }
}
