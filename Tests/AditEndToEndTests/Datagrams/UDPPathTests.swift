// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTunnel
import NIOCore
import NIOPosix
import Testing

@Suite("Tunnels of UDP over IPv6 and across restarts")
struct UDPPathTests {
    /// Whether this machine has ::1.
    private static func hasIPv6() async -> Bool {
        guard let peer = try? await UDPPeer.open(host: "::1") else { return false }
        await peer.close()
        return true
    }

    private func order(_ host: String, _ port: UInt16) -> TunnelOrder {
        TunnelOrder(kind: .udp, target: TunnelTarget(scheme: .tcp, host: host, port: port), name: "t")
    }

    @Test("visitors of both families reach a target of either, on one port", arguments: ["::1", "127.0.0.1"])
    func families(_ target: String) async throws {
        guard await Self.hasIPv6() else { return }
        let house = try await DatagramHouse.open { $0.tunnelListen = .v6(high: 0, low: 0) }
        let service = try await UDPPeer.open(echoes: true, host: target)
        _ = try house.device([order(target, service.port)])
        let port = try await house.port(of: "t")
        for (index, host) in ["::1", "127.0.0.1"].enumerated() {
            let visitor = try await UDPPeer.open(host: host)
            for size in [1, 1200, 65_507] {
                let bytes = [UInt8](repeating: UInt8(index + size % 7), count: size)
                #expect(try await visitor.ask(bytes, of: port), "\(host) with \(size) bytes")
            }
            await visitor.close()
        }
        #expect(Set(service.received.map(\.port)).count == 2)
        let figures = try #require(try await house.status(of: "t"))
        #expect(figures.openVisitors == 2)
        await service.close()
        try await house.close()
    }

    @Test("a visitor goes on after the server was restarted, on the port and with the service's session that it had")
    func restart() async throws {
        var setup = ServerSetup()
        setup.listen = .v4(0x7F00_0001)
        setup.tunnelListen = .v4(0x7F00_0001)
        setup.sessionPort = 0
        setup.httpPort = 0
        setup.httpsPort = nil
        setup.publicHost = "127.0.0.1"
        setup.allowedPorts = nil
        setup.token = "secret"
        let place = try await UDPPeer.open()
        let port = place.port
        setup.publicPorts = PortRangeList([port...port])
        await place.close()
        let parts = AditServer.Parts(
            store: try Store.inMemory(),
            identity: try ServerIdentity.temporary(at: UnixTime(seconds: 1_700_000_000)),
            log: DatagramHouse.quiet,
            version: "0.0.0-test"
        )
        let group = MultiThreadedEventLoopGroup.singleton
        let first = try await AditServer.start(setup, parts: parts, group: group).get()
        setup.sessionPort = first.sessionPort
        let service = try await UDPPeer.open(echoes: true)
        let loop = group.next()
        let runtime = DeviceRuntime(
            server: HostPort(host: "127.0.0.1", port: setup.sessionPort),
            orders: [order("localhost", service.port)],
            loop: loop
        ) { _ in }
        let configuration = DeviceSessionConfiguration(
            server: HostPort(host: "127.0.0.1", port: setup.sessionPort),
            credentials: .token("secret", try DeviceKey(seed: RandomBytes.system(32))),
            serverTrust: .pinned(first.fingerprint)
        )
        runtime.start(
            DeviceSession(configuration: configuration, eventLoop: loop, delegate: runtime, logger: DatagramHouse.quiet)
        )
        let visitor = try await UDPPeer.open()
        #expect(try await visitor.ask([1, 1], of: port, tries: 60))
        // Datagrams are under way while it drains.
        try visitor.flood([UInt8](repeating: 3, count: 1200), count: 500, to: port)
        try await first.stop(within: .milliseconds(200)).get()
        let second = try await AditServer.start(setup, parts: parts, group: group).get()
        #expect(try await visitor.ask([2, 2], of: port, tries: 60))
        #expect(Set(service.received.map(\.port)).count == 1)
        await visitor.close()
        await service.close()
        await runtime.stop()
        try await second.stop(within: .zero).get()
    }
}
