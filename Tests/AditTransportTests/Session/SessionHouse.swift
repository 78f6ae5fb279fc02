// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server's session port on loopback, and devices that come to it.
struct SessionHouse {
    let policy: TestPolicy
    let tls: ServerTLS
    let acceptor: SessionAcceptor
    let listener: any Channel
    let accepted: NIOLockedValueBox<[any Channel]>

    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    static let group = MultiThreadedEventLoopGroup.singleton

    static func open(
        policy: TestPolicy = TestPolicy(),
        tls: ServerTLS? = nil,
        port: UInt16 = 0,
        _ change: (inout SessionAcceptor.Configuration) -> Void = { _ in }
    ) async throws -> SessionHouse {
        let tls = try tls ?? ServerTLS(SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000))
        var configuration = SessionAcceptor.Configuration()
        change(&configuration)
        let acceptor = SessionAcceptor(configuration: configuration, policy: policy, tls: tls, logger: logger)
        let accepted = NIOLockedValueBox<[any Channel]>([])
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                accepted.withLockedValue { $0.append(channel) }
                return acceptor.initialize(channel)
            }
            .bind(host: "127.0.0.1", port: Int(port))
            .get()
        return SessionHouse(policy: policy, tls: tls, acceptor: acceptor, listener: listener, accepted: accepted)
    }

    var port: UInt16 { UInt16(listener.localAddress?.port ?? 0) }
    var address: HostPort { HostPort(host: "127.0.0.1", port: port) }
    /// Every connection that was ever accepted.
    var connections: [any Channel] { accepted.withLockedValue { $0 } }
    var loop: any EventLoop { listener.eventLoop }

    /// Closes the port and every connection.
    func close() async throws {
        try await listener.close().get()
        for channel in connections { try? await channel.close().get() }
    }

    func configuration(
        _ credentials: DeviceCredentials,
        trust: ServerTrust? = nil,
        over wireVersion: FRPWireVersion = .v2
    ) -> DeviceSessionConfiguration {
        var configuration = DeviceSessionConfiguration(
            server: address,
            credentials: credentials,
            serverTrust: trust ?? .pinned(tls.fingerprint)
        )
        configuration.deviceName = "laptop"
        configuration.wireVersion = wireVersion
        return configuration
    }
}

/// A device with a delegate that echoes.
struct TestDevice {
    let session: DeviceSession
    let delegate: EchoDelegate

    init(_ configuration: DeviceSessionConfiguration) {
        delegate = EchoDelegate()
        session = DeviceSession(
            configuration: configuration,
            eventLoop: SessionHouse.group.next(),
            delegate: delegate,
            logger: SessionHouse.logger
        )
    }

    /// Waits for an event; the limit is only there so that a failing test ends.
    func wait(_ condition: @escaping @Sendable ([DeviceSessionEvent]) -> Bool) async throws {
        try await delegate.wait(on: session.eventLoop, until: condition).orFail(after: .seconds(30)).get()
    }

    func waitForTunnel(_ name: String, times: Int = 1) async throws {
        try await wait { events in
            events.filter { if case .registered(let response) = $0 { response.proxyName == name } else { false } }
                .count >= times
        }
    }

    func waitForConnection(times: Int = 1) async throws {
        try await wait { events in
            events.filter { if case .connected = $0 { true } else { false } }.count >= times
        }
    }

    /// Waits until the session gives up for good, and returns why.
    func refusal() async throws -> AditError? {
        try await wait { $0.contains { if case .refused = $0 { true } else { false } } }
        return delegate.events.lazy.compactMap { if case .refused(let error) = $0 { error } else { nil } }.first
    }

    /// Waits for the first failure that will be tried again, and returns why.
    func disconnection() async throws -> AditError? {
        try await wait { $0.contains { if case .disconnected = $0 { true } else { false } } }
        return delegate.events.lazy.compactMap { if case .disconnected(let error, _) = $0 { error } else { nil } }.first
    }

    var connections: [DeviceConnection] {
        delegate.events.compactMap { if case .connected(let connection) = $0 { connection } else { nil } }
    }
}

struct TookTooLong: Error {}

extension EventLoopFuture where Value: Sendable {
    /// Fails when nothing happens for so long that the test has to end.
    func orFail(after time: TimeAmount) -> EventLoopFuture<Value> {
        let promise = eventLoop.makePromise(of: Value.self)
        let timer = eventLoop.scheduleTask(in: time) { promise.fail(TookTooLong()) }
        whenComplete { result in
            timer.cancel()
            promise.completeWith(result)
        }
        return promise.futureResult
    }
}

extension ServerSession {
    /// Sends bytes to a tunnel as a visitor and returns what comes back.
    func exchange(_ bytes: [UInt8], with tunnel: String) async throws -> [UInt8] {
        let visitor = IPEndpoint(.v4(0xC633_6407), 4711)
        let local = IPEndpoint(.v4(0xCB00_7101), 80)
        let channel = try await openWorkConnection(proxyName: tunnel, visitor: visitor, local: local)
            .orFail(after: .seconds(30)).get()
        let promise = channel.eventLoop.makePromise(of: [UInt8].self)
        try await channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(CollectHandler(count: bytes.count, promise: promise))
            try pipeline.handler(type: EarlyDataHandler.self).handOver()
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
        .get()
        let echoed = try await promise.futureResult.orFail(after: .seconds(30)).get()
        try? await channel.close().get()
        return echoed
    }
}
