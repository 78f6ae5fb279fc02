// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditTransport
import AditWire
import Foundation
import NIOCore
import NIOPosix
import Testing

struct LifeTests {
    @Test func aStopLetsVisitorsFinishAndTellsDevices() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("echo")).adit?.port)
        let visitor = try await Visitor.connect(port)
        try await visitor.send("one")
        #expect(try await visitor.receive("one") == "one")
        let stopped = test.server.stop(within: .seconds(30))
        #expect(try await device.wait { if case .draining = $0 { true } else { nil } })
        // The tunnel's port is closed to others, and the visitor who is there is still served.
        await #expect(throws: (any Error).self) {
            _ = try await eventually {
                try await Visitor.connect(port).close()
            } until: {
                false
            }
        }
        try await visitor.send("two")
        #expect(try await visitor.receive("two") == "onetwo")
        try await visitor.finish()
        #expect(try await visitor.rest() == "onetwo")
        try await stopped.get()
        try await device.stop()
        try await test.stop()
    }

    @Test func aSecondStopEndsTheWait() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("echo")).adit?.port)
        let visitor = try await Visitor.connect(port)
        try await visitor.send("one")
        #expect(try await visitor.receive("one") == "one")
        let stopped = test.server.stop(within: .seconds(600))
        test.server.stop(within: .zero)
        try await stopped.get()
        #expect(try await visitor.rest() == "one")
        try await device.stop()
        try await test.stop()
    }

    @Test func leasesOutliveTheServer() async throws {
        let store = try Store.inMemory()
        let identity = try ServerIdentity.temporary(at: UnixTime(seconds: 1_700_000_000))
        let first = try await TestServer.start(store: store, identity: identity)
        let device = try await TestDevice(first, invite: first.invite())
        _ = try await device.open(.http("web", name: "photos"))
        try await device.stop()
        try await first.stop()
        let second = try await TestServer.start(store: store, identity: identity)
        #expect(try await get(second, "photos.localhost").hasPrefix("HTTP/1.1 503 "))
        #expect(second.server.fingerprint == first.server.fingerprint)
        let again = try await TestDevice(second, key: device.key, service: EchoService.page)
        #expect(try await again.open(.http("web", name: "photos")).adit?.name == "photos")
        #expect(try await get(second, "photos.localhost").hasPrefix("HTTP/1.1 200 "))
        try await again.stop()
        try await second.stop()
    }

    @Test func aReloadTakesUpWhatCanChangeAndNamesTheRest() async throws {
        let test = try await TestServer.start { $0.token = "old" }
        var wanted = ServerSetup()
        wanted.listen = .v4(0x7F00_0001)
        wanted.tunnelListen = wanted.listen
        wanted.sessionPort = 0
        wanted.httpPort = 0
        wanted.publicHost = "127.0.0.1"
        wanted.publicPorts = PortRangeList([1...2])
        wanted.token = "new"
        wanted.notFoundPage = Array("<p>nobody here</p>".utf8)
        wanted.domain = "example.com"
        wanted.drain = .seconds(5)
        let outcome = test.server.reload(wanted)
        #expect(Set(outcome.changed) == ["token", "publicPorts", "custom404Page"])
        #expect(outcome.needsRestart == ["domain"])
        let old = try await TestDevice(test, token: "old")
        #expect(try await old.refused().code == .tokenRefused)
        let new = try await TestDevice(test, token: "new")
        _ = try await new.connected()
        #expect(try await get(test, "nobody.localhost").contains("<p>nobody here</p>"))
        #expect(test.server.reload(wanted).changed.isEmpty)
        try await old.stop()
        try await new.stop()
        try await test.stop()
    }

    @Test func aPortThatIsTakenIsSaidBeforeAnythingRuns() async throws {
        let test = try await TestServer.start()
        let error = await #expect(throws: AditError.self) {
            _ = try await TestServer.start { $0.sessionPort = test.server.httpPort }
        }
        #expect(error?.code == .cannotListen)
        #expect(error?.what.english.contains("\(test.server.httpPort)") == true)
        try await test.stop()
    }

    @Test func aServerOnEveryAddressTakesBothFamilies() async throws {
        let test = try await TestServer.start { setup in
            setup.listen = .v4(0)
            setup.tunnelListen = .v4(0)
        }
        let device = try await TestDevice(test, invite: test.invite())
        let allow = ["127.0.0.1", "::1"]
        let port = try #require(try await device.open(.tcp("echo", allow: allow)).adit?.port)
        // A machine without IPv6 has no second family to take.
        let hasIPv6 = MachineAddress.own().contains { $0 == IPAddress("::1") }
        for address in hasIPv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"] {
            let visitor = try await Visitor.connect(port, to: address)
            try await visitor.send("x")
            #expect(try await visitor.receive("x") == "x")
            try await visitor.close()
        }
        try await device.stop()
        try await test.stop()
    }

    @Test func garbageOnEveryPortDisturbsNobody() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "photos"))
        let tcp = try #require(try await device.open(.tcp("tcp")).adit?.port)
        var generator = SeededGenerator(seed: 7)
        let samples = ["", "\0", "GET / HTTP/1.1\r\n\r\n", "o\u{7F}\u{7F}\u{7F}", "\u{16}\u{3}\u{1}", "FRP\0\u{2}\r\n"]
        let random = (0..<20).map { _ in
            String((0..<64).map { _ in Character(Unicode.Scalar(UInt8.random(in: 1...126, using: &generator))) })
        }
        for port in [test.server.sessionPort, test.server.httpPort, tcp] {
            for sample in samples + random {
                let visitor = try await Visitor.connect(port)
                // The other side may be gone before everything is sent.
                try? await visitor.send(sample)
                try await visitor.close()
            }
        }
        #expect(try await get(test, "photos.localhost").hasSuffix("hello"))
        try await device.stop()
        try await test.stop()
    }

    @Test func whoeverSeesAPortFindsTheSocketForCommands() async throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        try state.prepare()
        let port = try #require(try await FreePorts.range(1).ranges.first?.lowerBound)
        let commands = ServerCommands(state) { _, server, loop in
            server.status(on: loop).map { status in
                var reply = ControlReply()
                reply.status = status
                return reply
            }
        }
        async let starting = TestServer.start(commands: commands) { $0.sessionPort = port }
        let visitor = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        var found: (any Channel)?
        while found == nil { found = try? await visitor.connect(host: "127.0.0.1", port: Int(port)).get() }
        let status = try #require(try await ControlClient(state).ask(.status).status)
        #expect(status.sessionPort == port)
        #expect(status.httpPort != 0)
        try await found?.close().get()
        let test = try await starting
        test.server.closeCommands()
        try await test.stop()
    }

    @Test func aCommandAsksTheRunningServer() async throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        try state.prepare()
        let client = ControlClient(state)
        let missing = await #expect(throws: AditError.self) { try await client.ask(.status) }
        #expect(missing?.code == .serverProcess)
        let commands = ServerCommands(state) { request, server, loop in
            guard request.command == .status else {
                return loop.makeSucceededFuture(ControlReply(AditError(.usage, "no")))
            }
            return server.status(on: loop).map { status in
                var reply = ControlReply()
                reply.status = status
                return reply
            }
        }
        // A port that is taken: what was opened before it is closed again.
        let other = try await TestServer.start()
        let fault = await #expect(throws: AditError.self) {
            try await TestServer.start(commands: commands) { $0.sessionPort = other.server.sessionPort }
        }
        #expect(fault?.code == .cannotListen)
        let gone = await #expect(throws: AditError.self) { try await client.ask(.status) }
        #expect(gone?.code == .serverProcess)
        try await other.stop()
        let test = try await TestServer.start(commands: commands)
        let device = try await TestDevice(test, name: "laptop", invite: test.invite())
        let response = try await device.open(.tcp("echo", target: "localhost:7"))
        let status = try #require(try await client.ask(.status).status)
        #expect(status.clients.map(\.name) == ["laptop"])
        #expect(status.clients.first?.isOnline == true)
        #expect(status.clients.first?.tunnels.first?.addresses == response.adit?.addresses)
        #expect(status.clients.first?.tunnels.first?.target == "localhost:7")
        #expect(status.sessionPort == test.server.sessionPort)
        let unknown = await #expect(throws: AditError.self) { try await client.ask(.reload) }
        #expect(unknown?.code == .usage)
        let mode = try FileManager.default.attributesOfItem(atPath: state.controlSocket)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try await device.stop()
        test.server.closeCommands()
        try await test.stop()
    }
}
