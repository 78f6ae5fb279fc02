// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditTransport
import AditWire
import NIOCore
import Testing

extension FRPNewProxy {
    /// The same proxy with other wishes of an Adit device.
    fileprivate func wishing(_ change: (inout AditTunnelRequest) -> Void) -> FRPNewProxy {
        var proxy = self
        var wishes = adit ?? AditTunnelRequest()
        change(&wishes)
        proxy.adit = wishes
        return proxy
    }
}

/// What a device hears when its visitors were turned away.
private func refusal(_ device: TestDevice, _ reason: String) async throws -> AditVisitorsRefused {
    try await device.wait { event in
        if case .visitorsRefused(let refused) = event, refused.reason == reason { refused } else { nil }
    }
}

/// Lets a visitor download from a device that sends bytes as soon as it is asked, and returns how long it took.
private enum Source {
    static let byteCount = 600_000

    @Sendable static func serve(_ channel: any Channel) {
        channel.eventLoop.execute {
            if let early = try? channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self) {
                early.handOver()
            }
            let bytes = ByteBuffer(repeating: UInt8(ascii: "x"), count: byteCount)
            channel.writeAndFlush(bytes).whenComplete { _ in channel.close(mode: .output, promise: nil) }
            channel.read()
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct LimitTests {
    @Test func noMoreVisitorsThanTheTunnelMayHave() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("few").wishing { $0.maxConnections = 2 }).adit?.port)
        let first = try await Visitor.connect(port)
        try await first.send("a")
        _ = try await first.receive("a")
        let second = try await Visitor.connect(port)
        try await second.send("b")
        _ = try await second.receive("b")
        #expect(try await Visitor.connect(port).rest() == "")
        let counters = try #require(test.server.table.tunnels.first).counters
        #expect(counters.current.refused == 1)
        let told = try await refusal(device, "connections")
        #expect(
            told
                == AditVisitorsRefused(
                    proxyName: "few",
                    reason: "connections",
                    limit: "2",
                    count: 1,
                    seconds: told.seconds
                )
        )
        try await first.close()
        let third = try await eventually {
            let visitor = try await Visitor.connect(port)
            try? await visitor.send("c")
            return try await visitor.receive(orEnd: "c")
        } until: {
            $0 == "c"
        }
        #expect(third == "c")
        try await device.stop()
        try await test.stop()
    }

    @Test func oneAddressComesOnlySoOften() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("slow").wishing { $0.connectionRate = "2/h" }).adit?.port)
        for _ in 0..<2 {
            let visitor = try await Visitor.connect(port)
            try await visitor.send("a")
            #expect(try await visitor.receive("a") == "a")
            try await visitor.close()
        }
        #expect(try await Visitor.connect(port).rest() == "")
        #expect(try await refusal(device, "connection-rate").limit == "2/h")
        // Another address is not meant.
        let other = try await Visitor.connect(port, from: "127.0.0.2")
        try await other.send("b")
        #expect(try await other.receive("b") == "b")
        try await other.close()
        try await device.stop()
        try await test.stop()
    }

    @Test func tooManyRequestsAreAnsweredWith429() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        _ = try await device.open(.http("web", name: "busy").wishing { $0.requestRate = "2/m" })
        for _ in 0..<2 { #expect(try await get(test, "busy.localhost").hasPrefix("HTTP/1.1 200 ")) }
        let page = try await get(test, "busy.localhost")
        #expect(page.hasPrefix("HTTP/1.1 429 "))
        let seconds = page.split(separator: "\r\n").first { $0.lowercased().hasPrefix("retry-after: ") }
        #expect((25...30).contains(try #require(seconds.flatMap { Int($0.dropFirst(13)) })))
        #expect(try await refusal(device, "request-rate").count == 1)
        try await device.stop()
        try await test.stop()
    }

    @Test func aWebTunnelThatIsFullAnswersWith503() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: { _ in })
        _ = try await device.open(.http("web", name: "full").wishing { $0.maxConnections = 1 })
        let waiting = try await Visitor.connect(test.server.httpPort)
        try await waiting.send("GET / HTTP/1.1\r\nHost: full.localhost\r\n\r\n")
        _ = try await eventually {
            test.server.table.tunnels.first?.counters.current.openVisitors
        } until: {
            $0 == 1
        }
        #expect(try await get(test, "full.localhost").hasPrefix("HTTP/1.1 503 "))
        try await waiting.close()
        try await device.stop()
        try await test.stop()
    }

    @Test func theServersOwnerBoundsADeviceWhateverItAsks() async throws {
        let test = try await TestServer.start { $0.maximumConnectionsPerDevice = 2 }
        let device = try await TestDevice(test, invite: test.invite())
        let other = try await TestDevice(test, name: "other", invite: test.invite())
        let one = try #require(try await device.open(.tcp("one").wishing { $0.maxConnections = 100 }).adit?.port)
        let two = try #require(try await device.open(.tcp("two", target: "b")).adit?.port)
        let theirs = try #require(try await other.open(.tcp("theirs")).adit?.port)
        var visitors: [Visitor] = []
        for port in [one, two, theirs] {
            let visitor = try await Visitor.connect(port)
            try await visitor.send("a")
            #expect(try await visitor.receive("a") == "a")
            visitors.append(visitor)
        }
        #expect(try await Visitor.connect(one).rest() == "")
        #expect(try await refusal(device, "device-connections").limit == "2")
        for visitor in visitors { try await visitor.close() }
        try await device.stop()
        try await other.stop()
        try await test.stop()
    }

    @Test(arguments: [false, true])
    func aBandwidthIsKeptFromTheDevice(isOfTheServer: Bool) async throws {
        let rate = try #require(Bandwidth("300KB"))
        let test = try await TestServer.start { if isOfTheServer { $0.bandwidthPerDevice = rate } }
        let device = try await TestDevice(test, invite: test.invite(), service: Source.serve)
        let proxy = FRPNewProxy.tcp("wide").wishing { if !isOfTheServer { $0.bandwidth = rate.bytesPerSecond } }
        let port = try #require(try await device.open(proxy).adit?.port)
        let begin = NIODeadline.now()
        #expect(try await Visitor.connect(port).rest().utf8.count == Source.byteCount)
        let seconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        // All but the burst of a tenth of a second needs its time; the machine may be slow, but not twice as slow.
        let due = Double(Source.byteCount) / Double(rate.bytesPerSecond)
        #expect(seconds >= due - 0.15)
        #expect(seconds < due + 4)
        try await device.stop()
        try await test.stop()
    }

    @Test func aBandwidthIsKeptFromVisitors() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let rate = Int64(100 * 1024)
        let port = try #require(try await device.open(.tcp("up").wishing { $0.bandwidth = rate }).adit?.port)
        let visitor = try await Visitor.connect(port)
        let begin = NIODeadline.now()
        let text = String(repeating: "y", count: 200_000)
        try await visitor.send(text)
        try await visitor.finish()
        #expect(try await visitor.rest() == text)
        let seconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        #expect(seconds >= 200_000 / Double(rate) - 0.35)
        try await device.stop()
        try await test.stop()
    }

    @Test func anUploadOverHTTPKeepsTheBandwidth() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: Upload.serve)
        let rate = Int64(200 * 1024)
        _ = try await device.open(.http("web", name: "up").wishing { $0.bandwidth = rate })
        let visitor = try await Visitor.connect(test.server.httpPort)
        let begin = NIODeadline.now()
        try await visitor.send(
            "POST / HTTP/1.1\r\nHost: up.localhost\r\nContent-Length: \(Upload.byteCount)\r\nConnection: close\r\n\r\n"
        )
        try await visitor.send(String(repeating: "z", count: Upload.byteCount))
        #expect(try await visitor.rest().hasSuffix("all"))
        let seconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        #expect(seconds >= Double(Upload.byteCount) / Double(rate) - 0.25)
        try await device.stop()
        try await test.stop()
    }

    @Test func frpsLimitInServerModeIsKept() async throws {
        let test = try await TestServer.start { setup in
            setup.token = "secret"
        }
        let client = try await TestDevice(test, token: "secret", isFRP: true, service: Source.serve)
        let free = try await FreePorts.range(1)
        let port = try #require(free.ranges.first?.lowerBound)
        let response = try await client.open(
            FRPNewProxy(
                proxyName: "limited",
                proxyType: "tcp",
                bandwidthLimit: "300KB",
                bandwidthLimitMode: "server",
                remotePort: Int(port)
            )
        )
        #expect(response.error.isEmpty)
        let begin = NIODeadline.now()
        #expect(try await Visitor.connect(port).rest().utf8.count == Source.byteCount)
        let seconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        #expect(seconds >= Double(Source.byteCount) / (300 * 1024) - 0.15)
        try await client.stop()
        try await test.stop()
    }

    @Test func limitsThatMakeNoSenseAreRefused() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let wrong: [FRPNewProxy] = [
            .tcp("a").wishing { $0.maxConnections = -1 }, .tcp("b").wishing { $0.maxConnections = 10_000_000 },
            .tcp("c").wishing { $0.connectionRate = "often" }, .tcp("d").wishing { $0.requestRate = "1/s" },
            .http("e").wishing { $0.requestRate = "0/s" }, .tcp("f").wishing { $0.bandwidth = -5 },
        ]
        for proxy in wrong {
            let error = await #expect(throws: AditError.self) { try await device.open(proxy) }
            #expect(error?.code == .usage, "\(proxy.proxyName)")
        }
        try await device.stop()
        try await test.stop()
    }

    @Test func aRevokedDevicesVisitorsAreGoneWithinASecond() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("echo")).adit?.port)
        let visitor = try await Visitor.connect(port)
        try await visitor.send("a")
        #expect(try await visitor.receive("a") == "a")
        _ = try test.store.removeDevice(named: "laptop", at: test.now)
        let begin = NIODeadline.now()
        try await test.server.recheck()
        #expect(try await visitor.rest() == "a")
        #expect(NIODeadline.now() - begin < .seconds(1))
        await #expect(throws: (any Error).self) { _ = try await Visitor.connect(port) }
        // The device comes back by itself, is told why it may not, and tries no more.
        #expect(try await device.turnedAway().code == .deviceRemoved)
        try await device.stop()
        try await test.stop()
    }

    @Test func anotherAllowListHoldsForTheNextVisitors() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let port = try #require(try await device.open(.tcp("echo")).adit?.port)
        let visitor = try await Visitor.connect(port)
        try await visitor.send("a")
        #expect(try await visitor.receive("a") == "a")
        // As a device does it that has read its file again.
        device.session.unregister(name: "echo")
        device.session.register(.tcp("echo", port: port, allow: ["127.0.0.9"]))
        let answer = try await eventually {
            guard test.server.table.tunnels.first?.terms.allow.isEmpty == false else { return "?" }
            return (try? await Visitor.connect(port).rest()) ?? "?"
        } until: {
            $0 == ""
        }
        #expect(answer == "")
        let admitted = try await Visitor.connect(port, from: "127.0.0.9")
        try await admitted.send("b")
        #expect(try await admitted.receive("b") == "b")
        #expect(try await refusal(device, "allow-list").count >= 1)
        try await device.stop()
        try await test.stop()
    }
}

/// An app that reads a whole request before it answers.
private enum Upload {
    static let byteCount = 400_000

    @Sendable static func serve(_ channel: any Channel) {
        channel.eventLoop.execute {
            try? channel.pipeline.syncOperations.addHandler(Reader())
            if let early = try? channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self) {
                early.handOver()
            }
            channel.read()
        }
    }

    // Lives on one event loop.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var bytes: [UInt8] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
            guard bytes.count >= byteCount, bytes.last == UInt8(ascii: "z"),
                bytes.count(where: { $0 == UInt8(ascii: "z") }) >= byteCount
            else { return }
            bytes = []
            let reply = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall"
            context.writeAndFlush(NIOAny(ByteBuffer(string: reply)), promise: nil)
        }
    }
}
