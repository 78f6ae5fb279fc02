// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import Testing

@Suite struct PortMapTests {
    @Test func anOrderIsOneWishForEachTransport() {
        let order = PortMapOrder(port: 25565, external: 25570, lifetime: 600)
        #expect(order.wishes.map(\.transportName) == ["udp", "tcp"])
        #expect(order.wishes.allSatisfy { $0.internalPort == 25565 && $0.externalPort == 25570 && $0.lifetime == 600 })
        #expect(PortMapOrder(port: 1, isTCP: false).wishes.map(\.transportName) == ["udp"])
    }

    @Test func aPortThatIsAttackedNeedsAWord() {
        let gate = PortMapOrder(port: 22).riskyPortGate(isPublic: false)
        #expect(gate?.code == .riskyPort)
        #expect(gate?.fix?.english.contains("--public") == true)
        #expect(PortMapOrder(port: 22).riskyPortGate(isPublic: true) == nil)
        #expect(PortMapOrder(port: 2222, external: 22).riskyPortGate(isPublic: false)?.code == .riskyPort)
        #expect(PortMapOrder(port: 25565).riskyPortGate(isPublic: false) == nil)
    }

    @Test func whatStandsInTheWayIsSaidWithOneFix() {
        let router = IPAddress.v4(0xC0A8_0101)
        let wish = PortMapOrder(port: 443, isUDP: false).wishes[0]
        let reasons: [PortMappingRefusal.Reason] = [
            .notAuthorized, .noResources, .portTaken, .notConnected, .addressMismatch, .unsupported, .noAnswer,
            .malformed, .failed(code: 501),
        ]
        let errors = [
            PortMapProblem.error(.noRouter, port: 443), PortMapProblem.error(.noAnswer(router: router), port: 443),
            PortMapProblem.error(.refused(wish, reasons.map { PortMappingRefusal(.upnp, $0) }), port: 443),
        ]
        #expect(errors.map(\.code) == [.routerSilent, .routerSilent, .routerRefused])
        #expect(errors[1].fix?.english.contains("UPnP or NAT-PMP") == true)
        #expect(errors[2].why.count == reasons.count)
        for error in errors {
            #expect(error.fix != nil)
            #expect(error.what.english != error.what.chinese)
            for line in error.why { #expect(line.english != line.chinese) }
        }
    }
}
