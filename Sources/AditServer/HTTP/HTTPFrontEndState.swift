// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import Synchronization

/// A visitor's connection, as the front end ends it.
protocol HTTPFrontEndConnection: AnyObject {
    /// Ends the connection after what is on it.
    func drain()

    /// Closes the connection at once.
    func close()
}

/// What all visitor connections of a front end share, on whatever event loop they live.
final class HTTPFrontEndState: Sendable {
    /// A connection that can be told to end.
    struct Connection: Sendable {
        let loop: any EventLoop
        let connection: NIOLoopBound<any HTTPFrontEndConnection>
    }

    private struct Tables {
        var connections: [ObjectIdentifier: Connection] = [:]
        var connectionsOfTunnel: [String: Int] = [:]
        /// Since when the app behind each of these tunnels does not answer.
        var failing: [String: (id: UInt64, since: UnixTime)] = [:]
        var whenEmpty: [EventLoopPromise<Void>] = []
    }

    /// Tunnels beyond this number are not remembered as failing; their pages say that it began now.
    private static let failingTunnels = 10_000

    let routes: any HTTPRouteTable
    let limits: HTTPLimits
    let clock: HTTPWallClock
    let loopName: String?
    let secureAuthority: (@Sendable (String) -> String?)?
    let ownNames: Set<String>?
    private let replacement: Mutex<[UInt8]?>
    private let tables = Mutex(Tables())
    private let sources: Mutex<HTTPSources>
    private let open = Atomic<Int>(0)
    private let streams = Atomic<Int>(0)
    private let accepted = Atomic<Int>(0)
    private let overLimit = Atomic<Int>(0)
    private let requests = Atomic<Int>(0)
    private let refusals = Atomic<Int>(0)
    private let failures = Atomic<Int>(0)
    private let upgraded = Atomic<Int>(0)
    private let backendConnections = Atomic<Int>(0)
    private let failingCount = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    init(
        routes: any HTTPRouteTable,
        limits: HTTPLimits,
        clock: HTTPWallClock,
        loopName: String?,
        page: [UInt8]?,
        secureAuthority: (@Sendable (String) -> String?)?,
        ownNames: Set<String>?
    ) {
        self.routes = routes
        self.limits = limits
        self.clock = clock
        self.loopName = loopName
        self.secureAuthority = secureAuthority
        self.ownNames = ownNames
        replacement = Mutex(page)
        sources = Mutex(HTTPSources(limits))
    }

    var isDraining: Bool { draining.load(ordering: .relaxed) }

    var unknownNamePage: [UInt8]? {
        get { replacement.withLock { $0 } }
        set { replacement.withLock { $0 = newValue } }
    }

    var counters: HTTPFrontEndCounters {
        HTTPFrontEndCounters(
            connections: open.load(ordering: .relaxed),
            acceptedConnections: accepted.load(ordering: .relaxed),
            refusedConnections: overLimit.load(ordering: .relaxed),
            requests: requests.load(ordering: .relaxed),
            refusedRequests: refusals.load(ordering: .relaxed),
            failedRequests: failures.load(ordering: .relaxed),
            upgradedConnections: upgraded.load(ordering: .relaxed),
            openedAppConnections: backendConnections.load(ordering: .relaxed)
        )
    }

    // MARK: Connections

    /// Takes one of the places for connections; nil when none is left, for all or for this address, or when the front
    /// end drains.
    func reserve(_ address: IPAddress) -> HTTPPlace? {
        guard !isDraining else { return nil }
        if open.wrappingAdd(1, ordering: .relaxed).newValue <= limits.connections,
            let place = sources.withLock({ $0.enter(address) })
        {
            accepted.wrappingAdd(1, ordering: .relaxed)
            return place
        }
        open.wrappingSubtract(1, ordering: .relaxed)
        overLimit.wrappingAdd(1, ordering: .relaxed)
        return nil
    }

    /// Notes that a whole head of a request came on a connection; may be called for each.
    func settle(_ place: inout HTTPPlace) {
        guard place.isSilent else { return }
        place = sources.withLock { sources in
            var settled = place
            sources.settle(&settled)
            return settled
        }
    }

    /// Gives a place back; once.
    func release(_ place: HTTPPlace) {
        if place.source != nil { sources.withLock { $0.leave(place) } }
        open.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Takes one of the places for requests over HTTP/2; false when none is left.
    func reserveStream() -> Bool {
        guard streams.wrappingAdd(1, ordering: .relaxed).newValue <= limits.streams else {
            streams.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    func releaseStream() {
        streams.wrappingSubtract(1, ordering: .relaxed)
    }

    func add(_ connection: Connection, id: ObjectIdentifier) {
        tables.withLock { $0.connections[id] = connection }
    }

    func remove(id: ObjectIdentifier) {
        let waiting = tables.withLock { tables -> [EventLoopPromise<Void>] in
            tables.connections[id] = nil
            guard tables.connections.isEmpty else { return [] }
            defer { tables.whenEmpty = [] }
            return tables.whenEmpty
        }
        for promise in waiting { promise.succeed() }
    }

    /// Asks every connection to end after its present response; the promise is kept when all have ended.
    func drain(_ promise: EventLoopPromise<Void>) {
        draining.store(true, ordering: .relaxed)
        let connections = tables.withLock { tables -> [Connection] in
            if !tables.connections.isEmpty { tables.whenEmpty.append(promise) }
            return Array(tables.connections.values)
        }
        if connections.isEmpty { promise.succeed() }
        for entry in connections { entry.loop.execute { entry.connection.value.drain() } }
    }

    func closeAll() {
        draining.store(true, ordering: .relaxed)
        let connections = tables.withLock { Array($0.connections.values) }
        for entry in connections { entry.loop.execute { entry.connection.value.close() } }
    }

    // MARK: Tunnels

    /// Moves a connection from one tunnel's count to another's; false, and nothing moved, when that is full.
    func move(from old: String?, to new: String) -> Bool {
        tables.withLock { tables in
            let count = tables.connectionsOfTunnel[new, default: 0]
            guard count < limits.connectionsPerTunnel else { return false }
            tables.connectionsOfTunnel[new] = count + 1
            if let old { Self.leave(old, &tables) }
            return true
        }
    }

    func leave(_ tunnel: String) {
        tables.withLock { Self.leave(tunnel, &$0) }
    }

    private static func leave(_ tunnel: String, _ tables: inout Tables) {
        let count = tables.connectionsOfTunnel[tunnel, default: 1] - 1
        tables.connectionsOfTunnel[tunnel] = count == 0 ? nil : count
    }

    /// Notes that the app behind a tunnel did not answer, and since when that is so.
    func appFailed(_ route: HTTPRoute) -> UnixTime {
        let now = clock.now()
        return tables.withLock { tables in
            let known = tables.failing[route.tunnelName]
            if let known, known.id == route.id { return known.since }
            guard known != nil || tables.failing.count < Self.failingTunnels else { return now }
            tables.failing[route.tunnelName] = (route.id, now)
            failingCount.store(tables.failing.count, ordering: .relaxed)
            return now
        }
    }

    /// Notes that the app behind a tunnel answered.
    func appAnswered(_ route: HTTPRoute) {
        guard failingCount.load(ordering: .relaxed) > 0 else { return }
        tables.withLock { tables in
            tables.failing[route.tunnelName] = nil
            failingCount.store(tables.failing.count, ordering: .relaxed)
        }
    }

    // MARK: Counting

    func countRequest() { requests.wrappingAdd(1, ordering: .relaxed) }
    func countRefusal() { refusals.wrappingAdd(1, ordering: .relaxed) }
    func countFailure() { failures.wrappingAdd(1, ordering: .relaxed) }
    func countBackendConnection() { backendConnections.wrappingAdd(1, ordering: .relaxed) }
    func countUpgrade(_ change: Int) { upgraded.wrappingAdd(change, ordering: .relaxed) }
}
