// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTraversal
import AditWire
import Testing

@testable import AditServer

@Suite("Addresses of STUN")
struct STUNAddressTests {
    private func found(_ addresses: [String]) -> STUNAddresses {
        STUNAddresses(foundAmong: addresses.compactMap { IPAddress($0) })
    }

    @Test("Two public addresses of a family are found, and only where there are two")
    func pairs() {
        let two = found(["127.0.0.1", "198.51.100.9", "10.0.0.4", "198.51.100.7", "2001:db8::1", "fe80::1", "::1"])
        #expect(two.v4?.primary.own == IPAddress("198.51.100.7"))
        #expect(two.v4?.alternate?.own == IPAddress("198.51.100.9"))
        #expect(two.v6 == nil)
        let six = found(["2001:db8::2", "2001:db8::1", "198.51.100.9"])
        #expect(six.v6?.primary.own == IPAddress("2001:db8::1"))
        #expect(six.v4 == nil)
    }

    @Test(
        "What nobody outside reaches is no second address",
        arguments: [
            "10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.1.1", "100.64.0.1", "169.254.1.1", "198.18.0.1", "0.1.2.3",
            "224.0.0.1", "255.255.255.255", "127.9.9.9",
        ]
    )
    func privateOnes(_ address: String) {
        #expect(found(["198.51.100.7", address]) == STUNAddresses([]))
        #expect(found(["::ffff:198.51.100.7", "198.51.100.7"]) == STUNAddresses([]))
        #expect(found(["2002:c633:6407::1", "2001:0:1::1", "fd00::1", "2001:db8::1"]) == STUNAddresses([]))
    }

    @Test("Every port and address changes as it is asked for, and comes back from there")
    func routes() throws {
        let own = [try #require(IPAddress("10.0.0.5")), try #require(IPAddress("10.0.0.6"))]
        let outside = [try #require(IPAddress("198.51.100.5")), try #require(IPAddress("198.51.100.6"))]
        let addresses = STUNAddresses(zip(own, outside).map { .init($0, announced: $1) })
        let configuration = STUNServerConfiguration(
            v4: addresses.v4?.announced,
            port: 3478,
            alternatePort: 3479,
            limits: nil
        )
        var desk = STUNDesk(addresses, configuration, seed: 1)
        let source = IPEndpoint(.v4(0xCB00_7101), 4711)
        var reply: [UInt8] = []
        for index in 0..<16 {
            let (address, second) = (index & 1, index & 2 != 0)
            let (changesAddress, changesPort) = (index & 4 != 0, index & 8 != 0)
            var bytes: [UInt8] = []
            STUNMessage(
                .request,
                transactionID: STUNTransactionID(high: 1, low: 2),
                attributes: [.changeRequest(address: changesAddress, port: changesPort)]
            ).encode(into: &bytes)
            let route = desk.respond(
                to: bytes.span.bytes,
                from: source,
                at: own[address],
                isAlternatePort: second,
                over: .udp,
                now: .zero,
                into: &reply
            )
            let from = changesAddress ? 1 - address : address
            #expect(route == .init(destination: source, own: own[from], isAlternatePort: second != changesPort))
            let message = try STUNMessage.decode(reply.span.bytes)
            #expect(message.mappedEndpoint == source)
            #expect(message.originEndpoint == IPEndpoint(outside[from], second != changesPort ? 3479 : 3478))
            #expect(message.otherEndpoint == IPEndpoint(outside[1 - address], second ? 3478 : 3479))
        }
    }

    @Test("An address that nothing was known of announces itself and no other, and the pair stays the pair")
    func strangers() throws {
        let pair = STUNAddresses([.init(.v4(0xC633_6405)), .init(.v4(0xC633_6406))])
        let configuration = STUNServerConfiguration(v4: pair.v4?.announced, port: 1, alternatePort: 2, limits: nil)
        var desk = STUNDesk(pair, configuration, seed: 1)
        var bytes: [UInt8] = []
        var reply: [UInt8] = []
        STUNMessage(.request, transactionID: STUNTransactionID(high: 1, low: 2)).encode(into: &bytes)
        for (own, other) in [
            (IPAddress.v4(0x7F00_0001), nil), (.v4(0xC633_6406), IPAddress.v4(0xC633_6405)),
            (.v6(high: 0, low: 1), nil), (.v4(0xC633_6405), .v4(0xC633_6406)),
        ] {
            let source = IPEndpoint(own, 9)
            let route = desk.respond(
                to: bytes.span.bytes,
                from: source,
                at: own,
                isAlternatePort: false,
                over: .udp,
                now: .zero,
                into: &reply
            )
            #expect(route == .init(destination: source, own: own, isAlternatePort: false))
            let message = try STUNMessage.decode(reply.span.bytes)
            #expect(message.originEndpoint == IPEndpoint(own, 1))
            #expect(message.otherEndpoint == other.map { IPEndpoint($0, 2) })
            #expect(message.alternatePort == (other == nil ? 2 : nil))
        }
    }
}
