// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore
import NIOPosix
import Testing

@testable import AditServer

@Suite("Connections back to clients of STUN", .timeLimit(.minutes(1)))
struct STUNConnectBackTests {
    private static let first = IPAddress.v4(0x7F00_0002)
    private static let second = IPAddress.v4(0x7F00_0003)

    private static func setup(_ addresses: [IPAddress] = []) -> STUNSetup {
        var setup = STUNSetup()
        setup.port = 0
        setup.alternatePort = 0
        setup.tlsPort = 0
        setup.addresses = addresses.map { .init($0) }
        return setup
    }

    @Test("The very peer is connected to, from the other address or another port, and told the number of its request")
    func connects() async throws {
        let test = try await TestServer.start { $0.stun = Self.setup([Self.first, Self.second]) }
        let offer = try #require(test.server.stunOffer)
        let peer = try await STUNPeer.connect(to: IPEndpoint(Self.first, offer.port))
        for (number, flags, address) in [(UInt64(11), UInt8(6), Self.second), (12, 2, Self.first)] {
            let answer = try #require(try await peer.ask(flags, number: number))
            #expect(answer.kind == .success && answer.connectBack == flags && answer.mappedEndpoint == peer.own)
            let back = try #require(await peer.nextBack())
            #expect(back.message == STUNMessage(.indication, transactionID: STUNTransactionID(high: 7, low: number)))
            #expect(back.from.address == address)
            #expect(![offer.port, offer.alternatePort, offer.tlsPort].contains(back.from.port))
        }
        try await peer.close()
        try await test.stop()
    }

    @Test("What there is no way to, or an error, promises nothing, and neither does TLS")
    func silence() async throws {
        let test = try await TestServer.start { $0.stun = Self.setup() }
        let offer = try #require(test.server.stunOffer)
        let server = IPEndpoint(.v4(0x7F00_0001), offer.port)
        let peer = try await STUNPeer.connect(to: server)
        #expect(try await peer.ask(nil, number: 1)?.connectBack == nil)
        #expect(try await peer.ask(6, number: 2)?.connectBack == nil)
        let refused = try #require(try await peer.ask(2, number: 3, also: [.changeRequest(address: false, port: true)]))
        #expect(refused.kind == .error && refused.connectBack == nil)
        let secure = try await STUNPeer.connect(to: IPEndpoint(server.address, offer.tlsPort), isTLS: true)
        let answer = try #require(try await secure.ask(2, number: 4))
        #expect(answer.kind == .success && answer.connectBack == nil)
        try await secure.close()
        // The first connection that comes at all is the one that was promised.
        #expect(try await peer.ask(2, number: 5)?.connectBack == 2)
        #expect(await peer.nextBack()?.message.transactionID.low == 5)
        try await peer.close()
        try await test.stop()
    }

    @Test("Nobody at the port does no harm, and a source is held to its number")
    func limit() async throws {
        let test = try await TestServer.start { $0.stun = Self.setup() }
        let server = IPEndpoint(.v4(0x7F00_0001), try #require(test.server.stunOffer).port)
        let peer = try await STUNPeer.connect(to: server, listens: false)
        let limit = ConnectBackResponder.limitPerMinute
        for number in 1...UInt64(limit) {
            #expect(try await peer.ask(2, number: number)?.connectBack == 2)
        }
        let beyond = try #require(try await peer.ask(2, number: 1000))
        #expect(beyond.kind == .success && beyond.connectBack == nil)
        let other = try await STUNPeer.connect(to: server, from: "127.0.0.9")
        #expect(try await other.ask(2)?.connectBack == 2)
        #expect(await other.nextBack()?.message.kind == .indication)
        try await other.close()
        try await peer.close()
        try await test.stop()
    }

    @Test("Connections end with the server")
    func stop() async throws {
        let test = try await TestServer.start { $0.stun = Self.setup() }
        let server = IPEndpoint(.v4(0x7F00_0001), try #require(test.server.stunOffer).port)
        let peer = try await STUNPeer.connect(to: server)
        #expect(try await peer.ask(nil)?.kind == .success)
        try await test.stop()
        try await peer.closed.get()
        try await peer.close()
    }

    @Test("An address that this machine does not have is its own fault, and a peer's refusal is not")
    func faults() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let free = try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
        let destination = IPEndpoint(.v4(0x7F00_0001), UInt16(try #require(free.localAddress?.port)))
        try await free.close()
        var response: [UInt8] = []
        STUNMessage(.success, transactionID: STUNTransactionID(high: 1, low: 2)).encode(into: &response)
        var request: [UInt8] = []
        STUNMessage(
            .request,
            transactionID: STUNTransactionID(high: 1, low: 2),
            attributes: [.other(type: 0xFAD3, [0, 0, 0, 2])]
        ).encode(into: &request)
        var responder = ConnectBackResponder()
        let plan = try #require(
            responder.plan(
                for: request.span.bytes,
                from: destination,
                at: destination.address,
                hasOtherAddress: false,
                now: .zero,
                promisedIn: &response
            )
        )
        for (own, isOwn) in [(IPAddress.v4(0xC000_0263), true), (.v4(0x7F00_0001), false)] {
            let back = STUNConnectBack(plan: plan, own: own)
            let error = await #expect(throws: (any Error).self) { try await back.run(on: loop) { _ in }.get() }
            #expect(error.map(STUNConnectBack.isOwnFault) == isOwn)
        }
    }

    @Test("A port of TLS that is taken on one address is given up on the others")
    func partial() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let blocker = try await ServerBootstrap(group: loop).bind(host: "127.0.0.3", port: 0).get()
        let port = try #require(blocker.localAddress?.port)
        let test = try await TestServer.start {
            var setup = Self.setup([Self.first, Self.second])
            setup.tlsPort = UInt16(port)
            setup.isTLSPortOptional = true
            $0.stun = setup
        }
        #expect(test.server.stunStatus?.tlsPort == nil)
        let free = try await ServerBootstrap(group: loop).bind(host: "127.0.0.2", port: port).get()
        try await free.close()
        try await blocker.close()
        try await test.stop()
    }
}
