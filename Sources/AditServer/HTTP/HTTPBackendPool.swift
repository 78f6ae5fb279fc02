// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore

/// The connections to apps that a visitor's connection keeps beyond one request.
///
/// They are never shared between visitors, so that an app may take a connection for a person. Each app has at most one
/// connection of HTTP/2, which carries any number of requests; of HTTP/1.1 some idle ones are kept.
final class HTTPBackendPool: HTTPBackendSink {
    private struct Key: Hashable {
        var name: String
        var id: UInt64
    }

    /// An idle connection of HTTP/1.1.
    private struct Idle {
        var key: Key
        var link: HTTPBackendLink
        var since: NIODeadline
    }

    /// Idle connections kept at most; the oldest goes first.
    private static let idleConnections = 8

    private let limits: HTTPLimits
    private let loop: any EventLoop
    private var idle: [Idle] = []
    private var apps: [Key: EventLoopFuture<HTTP2AppConnection>] = [:]
    private var isClosed = false

    init(limits: HTTPLimits, loop: any EventLoop) {
        self.limits = limits
        self.loop = loop
    }

    // MARK: HTTP/1.1

    /// Takes a kept connection to the very same opening of a tunnel.
    func take(_ route: HTTPRoute, isRepeatable: Bool) -> HTTPBackendLink? {
        let now = NIODeadline.now()
        let key = Key(name: route.tunnelName, id: route.id)
        idle.removeAll { entry in
            guard entry.since + limits.idle <= now else { return false }
            entry.link.abandon()
            return true
        }
        let found = idle.lastIndex { entry in
            entry.key == key && (isRepeatable || entry.since + limits.reuseForUnsafe > now)
        }
        return found.map { idle.remove(at: $0).link }
    }

    /// Keeps a connection on which nothing is under way.
    func keep(_ link: HTTPBackendLink, _ route: HTTPRoute) {
        guard !isClosed else {
            link.abandon()
            return
        }
        link.attach(self)
        idle.append(Idle(key: Key(name: route.tunnelName, id: route.id), link: link, since: .now()))
        if idle.count > Self.idleConnections { idle.removeFirst().link.abandon() }
    }

    func handle(_ event: HTTPBackendEvent, from link: HTTPBackendLink) {
        guard case .lost = event else { return }
        idle.removeAll { $0.link === link }
        link.abandon()
    }

    // MARK: HTTP/2

    /// The connection to an app of HTTP/2, opened now if there is none; whether it was there already.
    func app(
        _ route: HTTPRoute,
        open: () -> EventLoopFuture<any Channel>
    ) -> (connection: EventLoopFuture<HTTP2AppConnection>, isReused: Bool) {
        let key = Key(name: route.tunnelName, id: route.id)
        if let known = apps[key] { return (known, true) }
        let limits = limits
        let bound = NIOLoopBound(self, eventLoop: loop)
        let opened = open().hop(to: loop).map { channel in
            let connection = HTTP2AppConnection(channel, limits: limits) { connection in
                bound.eventLoop.execute { bound.value.retire(connection, key) }
            }
            connection.begin()
            if bound.value.isClosed { connection.close() }
            return connection
        }
        apps[key] = opened
        opened.whenFailure { _ in bound.value.apps[key] = nil }
        return (opened, false)
    }

    /// Opens no further stream on a connection.
    func retire(_ connection: HTTP2AppConnection, _ route: HTTPRoute) {
        retire(connection, Key(name: route.tunnelName, id: route.id))
    }

    private func retire(_ connection: HTTP2AppConnection, _ key: Key) {
        guard let known = apps[key] else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        known.whenSuccess { if $0 === connection { bound.value.apps[key] = nil } }
    }

    /// Closes everything that is kept.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for entry in idle { entry.link.abandon() }
        idle = []
        for app in apps.values { app.whenSuccess { $0.close() } }
        apps = [:]
    }
}
