// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
import AditServer
import AditTransport
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server on loopback with ports that the system chose, a store in memory and a clock that the test moves.
final class TestServer: Sendable {
    let server: AditServer
    let store: Store
    let time: NIOLockedValueBox<Int64>
    /// Shared and never shut down: a callback that comes late finds its event loop alive.
    let group = MultiThreadedEventLoopGroup.singleton

    /// Starts a server; `change` sees a setup that gives every tunnel a free port of the system's choice.
    static func start(
        store: Store? = nil,
        identity: ServerIdentity? = nil,
        commands: ServerCommands? = nil,
        _ change: (inout ServerSetup) -> Void = { _ in },
        parts changeParts: (inout AditServer.Parts) -> Void = { _ in }
    ) async throws -> TestServer {
        var setup = ServerSetup()
        setup.listen = .v4(0x7F00_0001)
        setup.tunnelListen = .v4(0x7F00_0001)
        setup.sessionPort = 0
        setup.httpPort = 0
        setup.publicHost = "127.0.0.1"
        setup.publicPorts = try await FreePorts.range(8)
        setup.allowedPorts = nil
        setup.drain = .seconds(5)
        change(&setup)
        let time = NIOLockedValueBox<Int64>(1_800_000_000)
        let memory = try store ?? Store.inMemory()
        var parts = AditServer.Parts(
            store: memory,
            identity: try identity ?? ServerIdentity.temporary(at: UnixTime(seconds: 1_700_000_000)),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            version: "0.0.0-test"
        )
        parts.unixClock = UnixClock { UnixTime(seconds: time.withLockedValue { $0 }) }
        changeParts(&parts)
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await AditServer.start(setup, parts: parts, group: group, commands: commands).get()
        return TestServer(server, memory, time)
    }

    private init(_ server: AditServer, _ store: Store, _ time: NIOLockedValueBox<Int64>) {
        self.server = server
        self.store = store
        self.time = time
    }

    var now: UnixTime { UnixTime(seconds: time.withLockedValue { $0 }) }

    /// Makes an invite and returns its secret.
    func invite(uses: Int = 1) throws -> [UInt8] {
        let secret = RandomBytes.system(8)
        try store.addInvite(
            digest: SHA256Digest(of: secret).description,
            label: "",
            expires: now + .seconds(1800),
            usesAllowed: uses,
            at: now
        )
        return secret
    }

    func stop() async throws {
        try await server.stop(within: .zero).get()
    }
}

/// Ports that nobody uses at the moment, so that tests need no fixed ones.
enum FreePorts {
    static func range(_ count: Int) async throws -> PortRangeList {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var channels: [any Channel] = []
        for _ in 0..<count {
            channels.append(try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get())
        }
        let ports = channels.compactMap { $0.localAddress?.port.flatMap(UInt16.init(exactly:)) }
        for channel in channels { try await channel.close().get() }
        return PortRangeList(ports.map { $0...$0 })
    }
}
