// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@testable import AditTraversal

@Suite struct ConnectBackTests {
    private static let own = IPAddress.v4(0xCB00_7101)
    private static let client = IPEndpoint(.v4(0xC633_6407), 50_000)

    private static func request(
        _ test: FilteringTest? = .port,
        also attributes: [STUNAttribute] = [],
        cookie: UInt32 = STUNMessage.magicCookie,
        fingerprint: Bool = false
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        let asked = test.map { [ConnectBack.attribute($0)] } ?? []
        STUNMessage(
            .request,
            transactionID: STUNTransactionID(high: 1, low: 2),
            attributes: attributes + asked,
            cookie: cookie
        ).encode(into: &bytes, fingerprint: fingerprint)
        return bytes
    }

    /// What a server makes of a request over TCP, with the response that it sends.
    private static func plan(
        _ responder: inout ConnectBackResponder,
        _ request: [UInt8] = request(),
        from source: IPEndpoint = client,
        at own: IPAddress = own,
        hasOtherAddress: Bool = true,
        now: Instant = .zero
    ) throws -> (plan: ConnectBackPlan?, response: STUNMessage)? {
        let configuration = STUNServerConfiguration(port: 3478, alternatePort: 3479, limits: nil)
        var server = STUNResponder(configuration: configuration, seed: 1)
        let reply = server.respond(to: request.span.bytes, from: source, at: .primary, over: .tcp, now: now)
        guard var response = reply?.bytes else { return nil }
        let plan = responder.plan(
            for: request.span.bytes,
            from: source,
            at: own,
            hasOtherAddress: hasOtherAddress,
            now: now,
            promisedIn: &response
        )
        return (plan, try STUNMessage.decode(response.span.bytes))
    }

    @Test func theVeryPeerIsConnectedToAndToldBefore() throws {
        var responder = ConnectBackResponder()
        for test in FilteringTest.allCases {
            let made = try #require(try Self.plan(&responder, Self.request(test)))
            let plan = try #require(made.plan)
            #expect(plan.destination == Self.client)
            #expect(plan.isFromOtherAddress == (test == .address))
            #expect(ConnectBack.test(in: made.response) == test)
            let message = try STUNMessage.decode(plan.bytes.span.bytes)
            #expect(message == STUNMessage(.indication, transactionID: made.response.transactionID))
        }
    }

    @Test func whatIsNotPromisedIsNotDone() throws {
        var responder = ConnectBackResponder()
        let requests: [[UInt8]] = [
            Self.request(nil), Self.request(fingerprint: true), Self.request(cookie: 7),
            // What is answered with an error.
            Self.request(also: [.changeRequest(address: false, port: true)]), Self.request(also: [.responsePort(80)]),
            Self.request(also: [.other(type: 0x4001, [])]),
            // An attribute behind the one that protects a message is not protected.
            Self.request(also: [.messageIntegrity(Array(repeating: 0, count: 20))]),
            Self.request(nil, also: [.other(type: ConnectBack.type, [0, 0, 0, 0])]),
            Self.request(nil, also: [.other(type: ConnectBack.type, [0, 0, 0, 2, 2])]),
        ]
        for request in requests {
            let made = try #require(try Self.plan(&responder, request))
            #expect(made.plan == nil)
            #expect(ConnectBack.test(in: made.response) == nil)
        }
        let other = try #require(try Self.plan(&responder, Self.request(.address), hasOtherAddress: false))
        #expect(other.plan == nil && ConnectBack.test(in: other.response) == nil)
    }

    @Test(
        "A private peer may be a forwarder that keeps the ports of strangers",
        arguments: [
            "10.0.0.1", "172.17.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "fe80::1", "fd00::1",
            "::",
            "::ffff:10.0.0.1",
        ]
    )
    func privatePeers(_ address: String) throws {
        var responder = ConnectBackResponder()
        let peer = IPEndpoint(try #require(IPAddress(address)), 6379)
        #expect(try #require(try Self.plan(&responder, from: peer)).plan == nil)
        #expect(try #require(try Self.plan(&responder, from: peer, at: .v4(0xAC11_0002))).plan == nil)
    }

    @Test func thisMachineIsServedOnlyAtPortsWithoutAService() throws {
        var responder = ConnectBackResponder(ownPorts: [3478, 5349])
        let loopback = [IPAddress.v4(0x7F00_0001), .v6(high: 0, low: 1), .v6(high: 0, low: 0xFFFF_7F00_0001)]
        for address in loopback + [Self.own] {
            for (port, isServed) in [(UInt16(50_000), true), (22, false), (1023, false), (3478, false), (5349, false)] {
                let made = try #require(try Self.plan(&responder, from: IPEndpoint(address, port)))
                #expect((made.plan != nil) == isServed, "\(address) \(port)")
            }
        }
        // A mapping may have such a port elsewhere.
        #expect(try #require(try Self.plan(&responder, from: IPEndpoint(Self.client.address, 443))).plan != nil)
        #expect(try #require(try Self.plan(&responder, from: IPEndpoint(Self.client.address, 0))).plan == nil)
    }

    @Test func aSourceIsHeldToItsNumberAndAllToTheirs() throws {
        var responder = ConnectBackResponder()
        let count = { (responder: inout ConnectBackResponder, source: IPEndpoint, now: Instant) in
            try (0..<100).filter { _ in try Self.plan(&responder, from: source, now: now)?.plan != nil }.count
        }
        let v6 = IPAddress.v6(high: 0x2001_0DB8_0000_0002, low: 9)
        #expect(try count(&responder, Self.client, .zero) == ConnectBackResponder.limitPerMinute)
        #expect(try count(&responder, IPEndpoint(Self.client.address, 1), .zero) == 0)
        #expect(try count(&responder, IPEndpoint(v6, 9), .zero) == ConnectBackResponder.limitPerMinute)
        // One /64 is one source.
        #expect(try count(&responder, IPEndpoint(.v6(high: 0x2001_0DB8_0000_0002, low: 1), 9), .zero) == 0)
        #expect(try count(&responder, Self.client, .zero + .seconds(60)) == ConnectBackResponder.limitPerMinute)
        var all = ConnectBackResponder()
        var served = 0
        for number in 0..<UInt64(6000) {
            let source = IPEndpoint(.v6(high: 0x2001_0DB8_0000_0000 + number, low: 1), 9)
            if try Self.plan(&all, from: source)?.plan != nil { served += 1 }
        }
        #expect(served == ConnectBackResponder.totalPerMinute)
    }

    @Test func anyBytesPromiseWhatIsDoneAndNothingElse() throws {
        var generator = SeededGenerator(seed: 17)
        let seeds = [
            Self.request(.address), Self.request(.port, also: [.software("abc")]), Self.request(fingerprint: true),
        ]
        var planned = 0
        for _ in 0..<20_000 {
            var responder = ConnectBackResponder()
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let made = try Self.plan(&responder, bytes) else { continue }
            #expect((made.plan != nil) == (ConnectBack.test(in: made.response) != nil))
            if made.plan != nil { planned += 1 }
        }
        #expect(planned > 1000)
        var responder = ConnectBackResponder()
        for seed in seeds {
            for count in 0..<seed.count { #expect(try Self.plan(&responder, Array(seed.prefix(count))) == nil) }
        }
    }
}
