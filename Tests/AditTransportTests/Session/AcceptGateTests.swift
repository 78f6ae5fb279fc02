// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import Testing

@Suite struct AcceptGateTests {
    @Test("A source has only so many places: an IPv4 address, or a /64 of IPv6")
    func sources() throws {
        let gate = AcceptGate(maximumTotal: 7, maximumPerAddress: 2)
        let crowd = ["2001:db8:0:1::1", "2001:db8:0:1:2:3:4:5"].compactMap { IPAddress($0) }
        #expect(crowd.allSatisfy { gate.enter($0) })
        let next = try #require(IPAddress("2001:db8:0:1::2"))
        #expect(!gate.enter(next))
        #expect(gate.enter(IPAddress("2001:db8:0:2::2")))
        let plain = try #require(IPAddress("203.0.113.7"))
        let mapped = try #require(IPAddress("::ffff:203.0.113.7"))
        #expect(gate.enter(plain) && gate.enter(mapped) && !gate.enter(plain))
        #expect(gate.enter(IPAddress("203.0.113.8")))
        gate.leave(crowd[1])
        #expect(gate.enter(next))
        #expect(gate.enter(nil) && !gate.enter(nil))
    }
}
