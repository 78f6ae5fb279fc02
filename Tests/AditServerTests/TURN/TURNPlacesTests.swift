// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTraversal
import AditWire
import Testing

@testable import AditServer

@Suite("Where relays are opened")
struct TURNPlacesTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("A relay is where the client's message came, as far as that has the family")
    func near() throws {
        let places = TURNPlaces(
            STUNAddresses([]),
            or: [try address("10.0.0.5"), try address("2001:db8::5")],
            outside: try address("203.0.113.5")
        )
        #expect(places.families == [.v4, .v6])
        #expect(places.place(for: .v4, near: try address("10.0.0.6"))?.own == (try address("10.0.0.6")))
        #expect(places.place(for: .v4, near: try address("10.0.0.6"))?.announced == (try address("203.0.113.5")))
        #expect(places.place(for: .v6, near: try address("10.0.0.6"))?.announced == (try address("2001:db8::5")))
        #expect(places.place(for: .v4, near: nil)?.announced == (try address("203.0.113.5")))
        // Loopback is nobody's address outside.
        #expect(places.place(for: .v4, near: try address("127.0.0.1"))?.announced == (try address("127.0.0.1")))
        #expect(places.place(for: .v4, near: try address("198.51.100.1"))?.announced == (try address("198.51.100.1")))
    }

    @Test("Addresses that were named are announced as it was said")
    func named() throws {
        let own = try address("10.0.0.5")
        let places = TURNPlaces(
            STUNAddresses([STUNConfiguration.Address(own, announced: try address("192.0.2.1"))]),
            or: [],
            outside: try address("203.0.113.5")
        )
        #expect(places.place(for: .v4, near: own)?.announced == (try address("192.0.2.1")))
        #expect(places.place(for: .v6, near: own) == nil)
        #expect(places.families == [.v4])
    }

    @Test("Ports are of the range, even where that is asked, with room for the next")
    func ports() {
        let places = TURNPlaces(STUNAddresses([]), or: [], outside: nil)
        var random: any RandomNumberGenerator & Sendable = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            #expect((5001...5004).contains(places.port(in: 5001...5004, .any, using: &random) ?? 0))
            #expect([5002, 5004].contains(places.port(in: 5001...5004, .even, using: &random) ?? 0))
            let pair = places.port(in: 5001...5004, .evenKeepingNext(TURNRelayID(1)), using: &random)
            #expect(pair == nil || pair == 5002)
        }
        #expect(places.port(in: 5001...5001, .even, using: &random) == nil)
        #expect(places.port(in: 65535...65535, .any, using: &random) == 65535)
    }
}
