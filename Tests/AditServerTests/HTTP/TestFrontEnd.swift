// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A front end on a real socket, with the routes of a test.
final class TestFrontEnd: Sendable {
    /// On which event loop the connection to the app lives, seen from the visitor's.
    enum Placement: CaseIterable, Sendable {
        case sameLoop
        case otherLoop
    }

    struct Routes: HTTPRouteTable {
        let table: NIOLockedValueBox<[String: HTTPRoute]>
        let asked: NIOLockedValueBox<[String]>

        func route(host: String, path: String, user: String?) -> HTTPRouteLookup {
            asked.withLockedValue { $0.append("\(host) \(path) \(user ?? "-")") }
            return table.withLockedValue { table in
                if let user, let route = table["\(user)@\(host)"] { return .found(route) }
                return table[host].map { .found($0) } ?? .unknownName
            }
        }
    }

    let routes = Routes(table: NIOLockedValueBox([:]), asked: NIOLockedValueBox([]))
    let reports = NIOLockedValueBox<[AditRequestReport]>([])
    let frontEnd: HTTPFrontEnd
    private let source = NIOLockedValueBox<IPAddress?>(nil)
    private let channel = NIOLockedValueBox<(any Channel)?>(nil)

    init(
        limits: HTTPLimits = HTTPLimits(),
        page: [UInt8]? = nil,
        loopName: String? = nil,
        now: Int64? = nil,
        ownNames: Set<String>? = nil
    )
        async throws
    {
        let clock = now.map { now in HTTPWallClock { now } } ?? .system
        let frontEnd = HTTPFrontEnd(
            routes: routes,
            limits: limits,
            clock: clock,
            unknownNamePage: page,
            loopName: loopName,
            ownNames: ownNames
        )
        self.frontEnd = frontEnd
        let source = source
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 128)
            .childChannelInitializer { channel in
                let visitor = source.withLockedValue { $0 }.map { IPEndpoint($0, 4711) }
                return frontEnd.initialize(channel, visitor: visitor, isSecure: false)
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channel.withLockedValue { $0 = server }
    }

    deinit {
        channel.withLockedValue { $0 }?.close(promise: nil)
    }

    var port: Int { channel.withLockedValue { $0?.localAddress?.port ?? 0 } }

    /// Where the connections that come from now on seem to come from; nil for where they do.
    var visitor: IPAddress? {
        get { source.withLockedValue { $0 } }
        set { source.withLockedValue { $0 = newValue } }
    }

    func connect() async throws -> TestWire {
        try await TestWire.connect(port: port)
    }

    /// Adds a route to an app; `change` edits it.
    func add(
        _ host: String,
        _ app: TestApp,
        _ placement: Placement = .sameLoop,
        requestHeaders: [String: String] = [:],
        responseHeaders: [String: String] = [:],
        change: (inout HTTPRoute) -> Void = { _ in }
    ) {
        let port = app.port.withLockedValue { $0 }
        add(
            host,
            port: port,
            placement,
            requestHeaders: requestHeaders,
            responseHeaders: responseHeaders,
            change: change
        )
    }

    /// Adds a route to whatever listens on a port.
    func add(
        _ host: String,
        port: Int,
        _ placement: Placement = .sameLoop,
        requestHeaders: [String: String] = [:],
        responseHeaders: [String: String] = [:],
        change: (inout HTTPRoute) -> Void = { _ in }
    ) {
        let reports = reports
        var route = HTTPRoute(
            tunnelName: host.split(separator: ".").first.map(String.init) ?? host,
            deviceName: "mei-laptop",
            target: "http://localhost:3000",
            requestHeaders: requestHeaders,
            responseHeaders: responseHeaders,
            open: { _, loop in Self.open(port, placement == .sameLoop ? loop : Self.other(loop)) },
            report: { report in reports.withLockedValue { $0.append(report) } }
        )
        change(&route)
        routes.table.withLockedValue { $0[host] = route }
    }

    private static func other(_ loop: any EventLoop) -> any EventLoop {
        MultiThreadedEventLoopGroup.singleton.makeIterator().first { $0 !== loop } ?? loop
    }

    private static func open(_ port: Int, _ loop: any EventLoop) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EarlyDataHandler())
                }
            }
            .connect(host: "127.0.0.1", port: port)
    }
}
