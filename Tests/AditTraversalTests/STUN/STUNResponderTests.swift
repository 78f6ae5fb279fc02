// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct STUNResponderTests {
    private static let id = STUNTransactionID(high: 1, low: 2)
    private static let client = IPEndpoint(.v4(0xC633_6407), 50_000)
    private static let clientV6 = IPEndpoint(.v6(high: 0x2001_0DB8_0000_0002, low: 9), 50_000)
    private static let primary = IPAddress.v4(0xCB00_7101)
    private static let alternate = IPAddress.v4(0xCB00_7102)

    private static func configuration(limits: STUNLimits? = nil) -> STUNServerConfiguration {
        STUNServerConfiguration(
            v4: .init(primary: primary, alternate: alternate),
            port: 3478,
            alternatePort: 3479,
            software: "adit",
            limits: limits
        )
    }

    private static func request(
        _ attributes: [STUNAttribute] = [],
        cookie: UInt32 = STUNMessage.magicCookie,
        fingerprint: Bool = false
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        STUNMessage(.request, transactionID: id, attributes: attributes, cookie: cookie)
            .encode(into: &bytes, fingerprint: fingerprint)
        return bytes
    }

    private static func answer(
        _ responder: inout STUNResponder,
        to bytes: [UInt8],
        from source: IPEndpoint = client,
        at socket: STUNServerSocket = .primary,
        over transport: STUNTransport = .udp,
        now: Instant = .zero
    ) throws -> (STUNMessage, STUNReply)? {
        let reply = responder.respond(to: bytes.span.bytes, from: source, at: socket, over: transport, now: now)
        guard let reply else { return nil }
        return (try STUNMessage.decode(reply.bytes.span.bytes), reply)
    }

    @Test func aPlainRequestIsToldItsSource() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        let (message, reply) = try #require(try Self.answer(&responder, to: Self.request()))
        #expect(message.kind == .success)
        #expect(message.transactionID == Self.id)
        #expect(reply.route.destination == Self.client)
        #expect(reply.route.socket == .primary)
        #expect(
            message.attributes == [
                .xorMappedAddress(Self.client), .otherAddress(IPEndpoint(Self.alternate, 3479)),
                .responseOrigin(IPEndpoint(Self.primary, 3478)), .mappedAddress(Self.client), .software("adit"),
            ]
        )
        #expect(responder.counters.answered == 1)
    }

    @Test func aMappedSourceIsAnnouncedAsIPv4() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        let mapped = IPEndpoint(.v6(high: 0, low: 0xFFFF_C633_6407), 7)
        let (message, reply) = try #require(try Self.answer(&responder, to: Self.request(), from: mapped))
        #expect(message.mappedEndpoint == IPEndpoint(Self.client.address, 7))
        #expect(reply.route.destination == mapped)
    }

    @Test func aClassicClientIsAnsweredInItsOwnWords() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        let request = Self.request([.changeRequest(address: false, port: false)], cookie: 0x1234_5678)
        let (message, _) = try #require(try Self.answer(&responder, to: request))
        #expect(message.cookie == 0x1234_5678)
        #expect(
            message.attributes == [
                .mappedAddress(Self.client), .changedAddress(IPEndpoint(Self.alternate, 3479)),
                .sourceAddress(IPEndpoint(Self.primary, 3478)),
            ]
        )
    }

    @Test(arguments: [false, true], [false, true])
    func theAnswerComesFromWhereTheClientWantsIt(address: Bool, port: Bool) throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        for isAlternateAddress in [false, true] {
            for isAlternatePort in [false, true] {
                let at = STUNServerSocket(isAlternateAddress: isAlternateAddress, isAlternatePort: isAlternatePort)
                let request = Self.request([.changeRequest(address: address, port: port)])
                let (message, reply) = try #require(try Self.answer(&responder, to: request, at: at))
                #expect(reply.route.socket.isAlternateAddress == (isAlternateAddress != address))
                #expect(reply.route.socket.isAlternatePort == (isAlternatePort != port))
                let origin = IPEndpoint(
                    reply.route.socket.isAlternateAddress ? Self.alternate : Self.primary,
                    reply.route.socket.isAlternatePort ? 3479 : 3478
                )
                #expect(message.originEndpoint == origin)
                // The other address is the one opposite to where the request came, whatever was asked.
                let other = IPEndpoint(
                    isAlternateAddress ? Self.primary : Self.alternate,
                    isAlternatePort ? 3478 : 3479
                )
                #expect(message.otherEndpoint == other)
            }
        }
    }

    @Test func whatTheServerDoesNotHaveIsRefused() throws {
        var configuration = Self.configuration()
        configuration.v4?.alternate = nil
        var responder = STUNResponder(configuration: configuration, seed: 1)
        let (refused, route) = try #require(
            try Self.answer(&responder, to: Self.request([.changeRequest(address: true, port: false)]))
        )
        #expect(refused.kind == .error)
        #expect(refused.errorNumber == 420)
        #expect(refused.attributes.contains(.unknownAttributes([0x0003])))
        #expect(route.route == STUNReplyRoute(destination: Self.client, socket: .primary))
        // The port alone is there, and is announced.
        let (message, reply) = try #require(
            try Self.answer(&responder, to: Self.request([.changeRequest(address: false, port: true)]))
        )
        #expect(reply.route.socket.isAlternatePort)
        #expect(message.alternatePort == 3479)
        #expect(message.otherEndpoint == nil)
        // Over TCP nothing can come from elsewhere.
        var whole = STUNResponder(configuration: Self.configuration(), seed: 1)
        for attribute in [STUNAttribute.changeRequest(address: false, port: true), .responsePort(4000)] {
            let over = try #require(try Self.answer(&whole, to: Self.request([attribute]), over: .tcp))
            #expect(over.0.errorNumber == 420)
        }
        #expect(whole.counters.refused == 2)
    }

    @Test func theAnswerGoesToAnotherPortOfTheSenderAlone() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        let (message, reply) = try #require(try Self.answer(&responder, to: Self.request([.responsePort(4000)])))
        #expect(reply.route.destination == IPEndpoint(Self.client.address, 4000))
        #expect(message.mappedEndpoint == Self.client)
        for attributes in [[STUNAttribute.responsePort(4000), .padding(40)], [.responsePort(0)]] {
            let (refused, back) = try #require(try Self.answer(&responder, to: Self.request(attributes)))
            #expect(refused.errorNumber == 400)
            #expect(back.route.destination == Self.client)
        }
        // RESPONSE-ADDRESS of RFC 3489 would be a way to somebody else.
        let classic = Self.request([.other(type: 2, [0, 1, 0, 80, 1, 2, 3, 4])], cookie: 1)
        let (old, back) = try #require(try Self.answer(&responder, to: classic))
        #expect(old.errorNumber == 420)
        #expect(old.attributes.contains(.unknownAttributes([2, 2])))
        #expect(back.route.destination == Self.client)
    }

    @Test func unknownAttributesThatHaveToBeUnderstoodAreListedOnce() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        let strange: [STUNAttribute] = [
            .other(type: 0x4001, []), .other(type: 0x9001, []), .other(type: 0x4002, []), .username("me"),
        ]
        var request = Self.request(strange)
        request += [0x40, 0x01, 0, 0]
        request[3] += 4
        let (message, _) = try #require(try Self.answer(&responder, to: request))
        #expect(message.errorNumber == 420)
        #expect(message.attributes.contains(.unknownAttributes([0x4001, 0x4002])))
    }

    @Test func paddingComesBackWithinTheRequest() throws {
        for limits in [nil, STUNLimits()] {
            var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 1)
            let request = Self.request([.padding(1400)], fingerprint: true)
            let (message, reply) = try #require(try Self.answer(&responder, to: request))
            #expect(reply.bytes.count == request.count)
            #expect(message.hasFingerprint)
            #expect(message.attributes.contains { if case .padding(let count) = $0 { count > 1000 } else { false } })
            let huge = Self.request([.padding(60_000)])
            let (_, bounded) = try #require(try Self.answer(&responder, to: huge))
            #expect(bounded.bytes.count <= STUNResponder.paddedByteLimit)
        }
    }

    @Test func whatIsNoBindingRequestIsNotAnswered() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 1)
        for kind in [STUNKind.indication, .success, .error] {
            var bytes: [UInt8] = []
            STUNMessage(kind, transactionID: Self.id).encode(into: &bytes)
            #expect(try Self.answer(&responder, to: bytes) == nil)
        }
        var allocate: [UInt8] = []
        STUNMessage(.request, STUNMethod(rawValue: 3), transactionID: Self.id).encode(into: &allocate)
        #expect(try Self.answer(&responder, to: allocate) == nil)
        #expect(responder.counters.ignored == 4)
        var broken = Self.request([.software("x")], fingerprint: true)
        broken[25] ^= 1
        #expect(try Self.answer(&responder, to: broken) == nil)
        #expect(responder.counters.malformed == 1)
        let whole = Self.request([.changeRequest(address: true, port: true), .responsePort(9)], fingerprint: true)
        for count in 0..<whole.count { #expect(try Self.answer(&responder, to: Array(whole.prefix(count))) == nil) }
    }

    @Test func withoutCreditAResponseIsNoLongerThanTheRequestOrWhatItMustHold() throws {
        let limits = STUNLimits(responsesPerSecond: 1_000_000, burst: 1_000_000, creditPerMinute: 1)
        for (source, least) in [(Self.client, 32), (Self.clientV6, 44)] {
            var configuration = Self.configuration(limits: limits)
            configuration.v6 = .init(primary: .v6(high: 1, low: 1), alternate: .v6(high: 1, low: 2))
            var responder = STUNResponder(configuration: configuration, seed: 3)
            for attributes: [STUNAttribute] in [
                [], [.software("0123456789")], [.changeRequest(address: true, port: true)],
                [.other(type: 0x4001, [])], [.padding(300)], [.responsePort(7), .padding(4)],
            ] {
                for fingerprint in [false, true] {
                    let request = Self.request(attributes, fingerprint: fingerprint)
                    let (message, reply) = try #require(try Self.answer(&responder, to: request, from: source))
                    #expect(reply.bytes.count <= max(request.count, message.kind == .success ? least : 36))
                }
            }
            // A request that is long enough is told everything.
            var long: [UInt8] = []
            STUNMessage.bindingRequest(Self.id, isV6: least == 44).encode(into: &long)
            let (message, reply) = try #require(try Self.answer(&responder, to: long, from: source))
            #expect(message.otherEndpoint != nil && message.originEndpoint != nil && message.mappedEndpoint == source)
            #expect(reply.bytes.count <= long.count)
        }
    }

    @Test func creditIsSpentAndComesBack() throws {
        let limits = STUNLimits(responsesPerSecond: 1000, burst: 1000, creditPerMinute: 600)
        var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 5)
        let lengths = try (0..<50).map { _ in
            try #require(try Self.answer(&responder, to: Self.request())).1.bytes.count
        }
        // Every address, and no SOFTWARE: nobody needs that on credit.
        #expect(lengths[0] == 68)
        #expect(lengths[49] == 32)
        let beyond = lengths.reduce(0) { $0 + $1 - 20 }
        #expect(beyond <= 600 + 50 * 12)
        // Another source has its own.
        let other = IPEndpoint(.v4(1), 1)
        #expect(try #require(try Self.answer(&responder, to: Self.request(), from: other)).1.bytes.count == 68)
        let later = Instant.zero + .seconds(180)
        #expect(try #require(try Self.answer(&responder, to: Self.request(), now: later)).1.bytes.count == 68)
    }

    @Test func aRequestAsLongAsItsAnswerUsesNoCredit() throws {
        let limits = STUNLimits(responsesPerSecond: 1000, burst: 1000, creditPerMinute: 600)
        var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 5)
        var bytes: [UInt8] = []
        STUNMessage.bindingRequest(Self.id).encode(into: &bytes)
        for _ in 0..<200 {
            let (message, reply) = try #require(try Self.answer(&responder, to: bytes))
            #expect(message.otherEndpoint != nil && reply.bytes.count <= bytes.count)
        }
        #expect(try #require(try Self.answer(&responder, to: Self.request())).1.bytes.count == 68)
    }

    @Test func port0IsNotAnswered() throws {
        var responder = STUNResponder(configuration: Self.configuration(), seed: 5)
        #expect(try Self.answer(&responder, to: Self.request(), from: IPEndpoint(Self.client.address, 0)) == nil)
        #expect(responder.counters.malformed == 1 && responder.counters.answered == 0)
    }

    @Test func aSourceIsHeldToItsRateAndOthersAreNot() throws {
        let limits = STUNLimits(responsesPerSecond: 10, burst: 20)
        var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 5)
        let answered = { (responder: inout STUNResponder, source: IPEndpoint, now: Instant) in
            try (0..<100).filter { _ in try Self.answer(&responder, to: Self.request(), from: source, now: now) != nil }
                .count
        }
        #expect(try answered(&responder, Self.client, .zero) == 20)
        #expect(responder.counters.limited == 80)
        // Another port is the same source, another /64 is not.
        #expect(try answered(&responder, IPEndpoint(Self.client.address, 1), .zero) == 0)
        #expect(try answered(&responder, Self.clientV6, .zero) == 20)
        #expect(try answered(&responder, IPEndpoint(.v6(high: 0x2001_0DB8_0000_0002, low: 99), 1), .zero) == 0)
        #expect(try answered(&responder, Self.client, .zero + .seconds(1)) == 10)
    }

    @Test func aFloodOfSourcesCannotTakeMoreThanTheTotal() throws {
        let limits = STUNLimits(totalCreditPerSecond: 10_000, capacity: 256)
        var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 5)
        var beyond = 0
        for number in 0..<20_000 {
            let source = IPEndpoint(.v4(UInt32(number) &* 2_654_435_761), 1)
            beyond += try #require(try Self.answer(&responder, to: Self.request(), from: source)).1.bytes.count - 32
        }
        #expect(beyond <= 10_000)
    }

    @Test func anyBytesGetNoMoreThanTheyBrought() throws {
        var generator = SeededGenerator(seed: 11)
        let limits = STUNLimits(responsesPerSecond: 1_000_000, burst: 1_000_000, creditPerMinute: 1)
        var responder = STUNResponder(configuration: Self.configuration(limits: limits), seed: 3)
        let seeds = [
            Self.request([.changeRequest(address: true, port: true), .padding(40)], fingerprint: true),
            Self.request([.responsePort(5), .software("abc")]), Self.request(cookie: 9),
        ]
        for _ in 0..<20_000 {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let (message, reply) = try Self.answer(&responder, to: bytes) else { continue }
            #expect(reply.bytes.count <= max(bytes.count, 36))
            #expect(message.transactionID.low != 0)
        }
    }
}
