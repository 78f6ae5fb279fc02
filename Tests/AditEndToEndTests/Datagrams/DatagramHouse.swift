// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTunnel
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server and a device with its real runtime, on loopback.
final class DatagramHouse: Sendable {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let server: AditServer
    let store: Store
    /// Shared and never shut down: a callback that comes late finds its event loop alive.
    let group = MultiThreadedEventLoopGroup.singleton
    private let events = NIOLockedValueBox<[DeviceEvent]>([])
    private let waiters = NIOLockedValueBox<[@Sendable (DeviceEvent) -> Bool]>([])
    private let running = NIOLockedValueBox<[DeviceRuntime]>([])

    private init(_ server: AditServer, _ store: Store) {
        self.server = server
        self.store = store
    }

    static func open(_ change: (inout ServerSetup) -> Void = { _ in }) async throws -> DatagramHouse {
        var setup = ServerSetup()
        setup.listen = .v4(0x7F00_0001)
        setup.tunnelListen = .v4(0x7F00_0001)
        setup.sessionPort = 0
        setup.httpPort = 0
        setup.httpsPort = nil
        setup.publicHost = "127.0.0.1"
        setup.allowedPorts = nil
        setup.token = "secret"
        setup.publicPorts = try await freePorts(16)
        change(&setup)
        let store = try Store.inMemory()
        let parts = AditServer.Parts(
            store: store,
            identity: try ServerIdentity.temporary(at: UnixTime(seconds: 1_700_000_000)),
            log: quiet,
            version: "0.0.0-test"
        )
        let group = MultiThreadedEventLoopGroup.singleton
        return DatagramHouse(try await AditServer.start(setup, parts: parts, group: group).get(), store)
    }

    /// Ports that are free for TCP and UDP at the moment.
    private static func freePorts(_ count: Int) async throws -> PortRangeList {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var channels: [any Channel] = []
        var ports: [ClosedRange<UInt16>] = []
        while ports.count < count {
            let tcp = try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
            channels.append(tcp)
            guard let port = tcp.localAddress?.port.flatMap(UInt16.init(exactly:)) else { continue }
            let same = try? await DatagramBootstrap(group: loop).bind(host: "127.0.0.1", port: Int(port)).get()
            guard let udp = same else { continue }
            channels.append(udp)
            ports.append(port...port)
        }
        for channel in channels { try await channel.close().get() }
        return PortRangeList(ports)
    }

    /// Starts a device with these tunnels.
    func device(_ orders: [TunnelOrder], key: DeviceKey? = nil) throws -> DeviceRuntime {
        let key = try key ?? DeviceKey(seed: RandomBytes.system(32))
        let loop = group.next()
        let runtime = DeviceRuntime(
            server: HostPort(host: "127.0.0.1", port: server.sessionPort),
            orders: orders,
            loop: loop
        ) { [events, waiters] event in
            events.withLockedValue { $0.append(event) }
            waiters.withLockedValue { $0.removeAll { $0(event) } }
        }
        var configuration = DeviceSessionConfiguration(
            server: HostPort(host: "127.0.0.1", port: server.sessionPort),
            credentials: .token("secret", key),
            serverTrust: .pinned(server.fingerprint)
        )
        configuration.deviceName = "laptop"
        runtime.start(
            DeviceSession(configuration: configuration, eventLoop: loop, delegate: runtime, logger: Self.quiet)
        )
        running.withLockedValue { $0.append(runtime) }
        return runtime
    }

    /// Waits for an event, also one of the past.
    func event<Value: Sendable>(_ match: @escaping @Sendable (DeviceEvent) -> Value?) async throws -> Value {
        let promise = group.any().makePromise(of: Value.self)
        let late = promise.futureResult.eventLoop.scheduleTask(in: .seconds(30)) {
            promise.fail(ChannelError.connectTimeout(.seconds(30)))
        }
        defer { late.cancel() }
        waiters.withLockedValue { waiters in
            for event in events.withLockedValue({ $0 }) {
                if let value = match(event) { return promise.succeed(value) }
            }
            waiters.append { event in
                guard let value = match(event) else { return false }
                promise.succeed(value)
                return true
            }
        }
        return try await promise.futureResult.get()
    }

    /// The public port of a tunnel, once it is open.
    func port(of name: String) async throws -> UInt16 {
        let address = try await event { event -> String? in
            if case .opened(let tunnel) = event, tunnel.name == name { tunnel.addresses.first } else { nil }
        }
        return HostPort(address)?.port ?? 0
    }

    /// What the server says about a tunnel.
    func status(of name: String) async throws -> ServerStatus.Tunnel? {
        let status = try await server.status(on: group.any()).get()
        return status.clients.flatMap(\.tunnels).first { $0.name == name }
    }

    func close() async throws {
        for runtime in running.withLockedValue({ $0 }) { await runtime.stop() }
        try await server.stop(within: .zero).get()
    }
}
