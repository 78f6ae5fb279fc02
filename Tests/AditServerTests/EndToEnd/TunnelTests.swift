// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditWire
import Testing

struct TunnelTests {
    @Test func aTCPTunnelCarriesAVisitorBothWays() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let response = try await device.open(.tcp("echo"))
        let port = try #require(response.adit?.port)
        #expect(response.adit?.addresses == ["127.0.0.1:\(port)"])
        let visitor = try await Visitor.connect(port)
        try await visitor.send("hello")
        #expect(try await visitor.receive("hello") == "hello")
        try await visitor.finish()
        #expect(try await visitor.rest() == "hello")
        let tunnel = try #require(test.server.table.tunnels.first)
        #expect(tunnel.counters.current.visitors == 1)
        #expect(tunnel.counters.current.bytesIn == 5)
        #expect(tunnel.counters.current.bytesOut == 5)
        try await device.stop()
        try await test.stop()
    }

    @Test func anHTTPTunnelGetsANameThatStaysWithTheDevice() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        let response = try await device.open(.http("web", target: "localhost:3000"))
        let name = try #require(response.adit?.name)
        #expect(response.adit?.addresses == ["http://\(name).localhost:\(test.server.httpPort)"])
        #expect(try await get(test, "\(name).localhost").hasPrefix("HTTP/1.1 200 "))
        #expect(try await get(test, "nobody.localhost").hasPrefix("HTTP/1.1 404 "))
        try await device.stop()
        let page = try await eventually {
            try await get(test, "\(name).localhost")
        } until: {
            $0.hasPrefix("HTTP/1.1 503 ")
        }
        #expect(page.lowercased().contains("retry-after"))

        let again = try await TestDevice(test, key: device.key, service: EchoService.page)
        let second = try await again.open(.http("another-proxy-name", target: "localhost:3000"))
        #expect(second.adit?.name == name)
        let third = try await again.open(.http("third", target: "localhost:4000"))
        #expect(third.adit?.name != name)
        try await again.stop()
        try await test.stop()
    }

    @Test func aPortStaysWithTheDeviceAndItsTarget() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let first = try await device.open(.tcp("one", target: "localhost:1234")).adit?.port
        try await device.stop()
        let again = try await TestDevice(test, key: device.key)
        let other = try await again.open(.tcp("two", target: "localhost:9999")).adit?.port
        let same = try await again.open(.tcp("renamed", target: "localhost:1234")).adit?.port
        #expect(same == first)
        #expect(other != first)
        try await again.stop()
        try await test.stop()
    }

    @Test func anotherDeviceCannotHaveANameOrAPortThatIsHeld() async throws {
        let test = try await TestServer.start()
        let nas = try await TestDevice(test, name: "nas", invite: test.invite())
        let mei = try await TestDevice(test, name: "mei", invite: test.invite())
        _ = try await nas.open(.http("photos", name: "photos"))
        let port = try #require(try await nas.open(.tcp("echo")).adit?.port)
        let name = await #expect(throws: AditError.self) { try await mei.open(.http("photos", name: "photos")) }
        #expect(name?.code == .nameTaken)
        #expect(name?.what.english == "\"photos\" belongs to nas")
        let held = await #expect(throws: AditError.self) { try await mei.open(.tcp("echo", port: port)) }
        #expect(held?.code == .portTaken)
        // Also while its owner is away.
        try await nas.stop()
        let away = await #expect(throws: AditError.self) { try await mei.open(.http("again", name: "photos")) }
        #expect(away?.code == .nameTaken)
        try await mei.stop()
        try await test.stop()
    }

    @Test func aNewerRunOfTheSameDeviceTakesItsTunnelsOver() async throws {
        let test = try await TestServer.start()
        let old = try await TestDevice(test, invite: test.invite())
        let port = try await old.open(.tcp("echo", target: "localhost:1")).adit?.port
        let name = try await old.open(.http("web", name: "photos")).adit?.name
        let new = try await TestDevice(test, key: old.key)
        #expect(try await new.open(.tcp("echo", target: "localhost:1")).adit?.port == port)
        #expect(try await new.open(.http("web", name: "photos")).adit?.name == name)
        #expect(try await old.closed("echo").code == .takenOver)
        #expect(try await old.closed("web").code == .takenOver)
        let visitor = try await Visitor.connect(try #require(port))
        try await visitor.send("x")
        #expect(try await visitor.receive("x") == "x")
        try await visitor.close()
        try await old.stop()
        try await new.stop()
        try await test.stop()
    }

    @Test func visitorsOffTheAllowListAreTurnedAway() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        let closed = try await device.open(.tcp("closed", allow: ["10.0.0.0/8"])).adit?.port
        let open = try await device.open(.tcp("open", target: "b", allow: ["10.0.0.0/8", "127.0.0.1"])).adit?.port
        let refused = try await Visitor.connect(try #require(closed))
        #expect(try await refused.rest() == "")
        let admitted = try await Visitor.connect(try #require(open))
        try await admitted.send("GET / HTTP/1.1\r\n\r\n")
        #expect(try await admitted.receive("hello").hasSuffix("hello"))
        try await admitted.close()
        let web = try await device.open(.http("web", name: "private", allow: ["10.0.0.0/8"]))
        #expect(web.error.isEmpty)
        #expect(try await get(test, "private.localhost").hasPrefix("HTTP/1.1 403 "))
        let counters = test.server.table.tunnels.first { $0.proxyName == "closed" }?.counters.current
        #expect(counters?.refused == 1)
        try await device.stop()
        try await test.stop()
    }

    @Test func aTunnelEndsWhenItsTimeIsOver() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, invite: test.invite())
        let response = try await device.open(.tcp("short", expiresIn: 1))
        #expect(response.adit?.expiresAt == test.now.seconds + 1)
        let visitor = try await Visitor.connect(try #require(response.adit?.port))
        try await visitor.send("x")
        #expect(try await visitor.receive("x") == "x")
        let error = try await device.closed("short")
        #expect(error.what.english.contains("time is over"))
        #expect(try await visitor.rest() == "x")
        #expect(test.server.table.tunnels.isEmpty)
        try await device.stop()
        try await test.stop()
    }

    @Test func withoutADomainAWebTunnelHasItsOwnPort() async throws {
        let test = try await TestServer.start { setup in
            setup.domain = nil
        }
        let device = try await TestDevice(test, invite: test.invite(), service: EchoService.page)
        let response = try await device.open(.http("web"))
        let port = try #require(response.adit?.port)
        #expect(response.adit?.addresses == ["http://127.0.0.1:\(port)"])
        #expect(try await get(port, "any.host.at.all").hasPrefix("HTTP/1.1 200 "))
        let error = await #expect(throws: AditError.self) { try await device.open(.http("named", name: "photos")) }
        #expect(error?.code == .nameInvalid)
        try await device.stop()
        try await test.stop()
    }

    @Test func whatTheServerDoesNotOfferIsNamed() async throws {
        let test = try await TestServer.start { $0.allowedPorts = $0.publicPorts }
        let device = try await TestDevice(test, invite: test.invite())
        let cases: [(FRPNewProxy, ErrorCode)] = [
            (FRPNewProxy(proxyName: "a", proxyType: "stcp", adit: AditTunnelRequest()), .kindUnavailable),
            (.tcp("b", target: "localhost:22"), .riskyPort),
            (.tcp("c", port: 1), .portOutsideRange),
            (.http("d", name: "UPPER_case"), .nameInvalid),
            (.http("e", name: "www"), .nameReserved),
            (.tcp("f", allow: ["nonsense"]), .usage),
            (.http("g", name: "*.localhost"), .nameInvalid),
        ]
        for (proxy, code) in cases {
            let error = await #expect(throws: AditError.self) { try await device.open(proxy) }
            #expect(error?.code == code, "\(proxy.proxyName): \(String(describing: error))")
        }
        #expect(try await device.open(.tcp("ssh", target: "localhost:22", isPublic: true)).error.isEmpty)
        #expect(test.server.table.tunnels.count == 1)
        try await device.stop()
        try await test.stop()
    }
}
