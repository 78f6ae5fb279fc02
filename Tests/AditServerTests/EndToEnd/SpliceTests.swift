// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import AditTransport
import AditTunnel
import AditWire
import NIOCore
import Testing

/// Visitors of frp clients without multiplexing and TLS, whose bytes the kernel moves.
struct SpliceTests {
    private func device(
        _ test: TestServer,
        _ change: (inout DeviceSessionConfiguration) -> Void = { _ in }
    ) async throws -> TestDevice {
        try await TestDevice(
            test,
            token: "secret",
            isFRP: true,
            change: { configuration in
                configuration.serverTrust = .plain
                configuration.isMultiplexed = false
                change(&configuration)
            }
        )
    }

    private func start() async throws -> TestServer {
        try await TestServer.start { $0.token = "secret" }
    }

    /// Opens a tunnel and connects a visitor that has had its first echo.
    private func visit(
        _ test: TestServer,
        _ device: TestDevice,
        _ change: (inout FRPNewProxy) -> Void = { _ in }
    ) async throws -> (tunnel: OpenTunnel, visitor: Visitor) {
        var proxy = FRPNewProxy(proxyName: "echo", proxyType: "tcp")
        change(&proxy)
        _ = try await device.open(proxy)
        let tunnel = try #require(test.server.table.tunnels.first)
        let visitor = try await Visitor.connect(tunnel.port)
        try await visitor.send("hello")
        #expect(try await visitor.receive("hello") == "hello")
        return (tunnel, visitor)
    }

    @Test func aVisitorIsSplicedAndCounted() async throws {
        let test = try await start()
        let device = try await device(test)
        let (tunnel, visitor) = try await visit(test, device)
        #expect(tunnel.splicedVisitors == 1)
        #expect(tunnel.counters.current.openVisitors == 1)
        // The figures go on while the connection lives.
        let figures = try await eventually {
            tunnel.counters.current
        } until: {
            $0.bytesIn == 5 && $0.bytesOut == 5
        }
        #expect(figures.bytesIn == 5 && figures.bytesOut == 5)
        try await visitor.finish()
        #expect(try await visitor.rest() == "hello")
        let open = try await eventually {
            tunnel.counters.current.openVisitors
        } until: {
            $0 == 0
        }
        #expect(open == 0)
        #expect(tunnel.splicedVisitors == 0)
        #expect(tunnel.counters.current.visitors == 1)
        try await device.stop()
        try await test.stop()
    }

    @Test(arguments: ["tls", "mux", "encryption", "compression"])
    func whatNeedsWorkOnItsBytesIsNotSpliced(_ reason: String) async throws {
        let test = try await start()
        let device = try await device(test) { configuration in
            if reason == "tls" { configuration.serverTrust = .unverified(name: "") }
            if reason == "mux" { configuration.isMultiplexed = true }
        }
        let (tunnel, visitor) = try await visit(test, device) { proxy in
            proxy.useEncryption = reason == "encryption"
            proxy.useCompression = reason == "compression"
        }
        #expect(tunnel.splicedVisitors == 0)
        #expect(tunnel.counters.current.openVisitors == 1)
        try await visitor.close()
        try await device.stop()
        try await test.stop()
    }

    @Test func closingTheTunnelEndsItsVisitorsAtOnce() async throws {
        let test = try await start()
        let device = try await device(test)
        let (tunnel, visitor) = try await visit(test, device)
        #expect(tunnel.splicedVisitors == 1)
        device.session.unregister(name: "echo")
        #expect(try await visitor.rest() == "hello")
        let open = try await eventually {
            tunnel.counters.current.openVisitors
        } until: {
            $0 == 0
        }
        #expect(open == 0)
        #expect(tunnel.splicedVisitors == 0)
        try await device.stop()
        try await test.stop()
    }

    @Test func aDrainWaitsForSplicedVisitors() async throws {
        let test = try await start()
        let device = try await device(test)
        let (tunnel, visitor) = try await visit(test, device)
        let stopped = test.server.stop(within: .seconds(20))
        try await visitor.send(" again")
        #expect(try await visitor.receive("again") == "hello again")
        #expect(tunnel.splicedVisitors == 1)
        try await visitor.finish()
        #expect(try await visitor.rest() == "hello again")
        try await stopped.get()
        #expect(tunnel.counters.current.openVisitors == 0)
        try await device.stop()
    }
}
