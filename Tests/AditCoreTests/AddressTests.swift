// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        ("203.0.113.7", "203.0.113.7"), ("::1", "::1"), ("::", "::"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("fe80:0:0:0:0:0:0:1", "fe80::1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"),
    ])
    func anAddressIsSpelledCanonically(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "+1.2.3.4", ":", ":::",
        "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3",
        "1.2.3.4::",
        "1:2:3:4:5:6:7:8::", "-1::", "٣.1.1.1",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func addressesKnowTheirKind() {
        #expect(IPAddress("127.3.2.1")?.isLoopback == true)
        #expect(IPAddress("::ffff:127.0.0.1")?.isLoopback == true)
        #expect(IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("169.254.169.254")?.isLinkLocal == true)
        #expect(IPAddress("febf::1")?.isLinkLocal == true)
        #expect(IPAddress("fec0::1")?.isLinkLocal == false)
        #expect(IPAddress("0.0.0.0")?.isUnspecified == true)
        #expect(IPAddress("8.8.8.8")?.isLoopback == false)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "1.2.3.4", true),
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("::/0", "::1", true), ("::/0", "1.2.3.4", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("2001:db8::/65", "2001:db8::7fff:0:0:1", true),
        ("2001:db8::/65", "2001:db8::8000:0:0:1", false), ("10.9.8.7/8", "10.0.0.1", true),
    ])
    func aBlockHoldsItsAddresses(block: String, address: String, holds: Bool) throws {
        let cidr = try #require(CIDR(block))
        let address = try #require(IPAddress(address))
        #expect(cidr.contains(address) == holds)
    }

    @Test(arguments: [
        "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "/8", "10.0.0.0/8/8", "10.0.0.0/ 8",
    ])
    func whatIsNoBlockIsRefused(text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test(arguments: [
        ("example.com:80", "example.com", 80), ("[::1]:443", "::1", 443), ("10.0.0.1:1", "10.0.0.1", 1),
        ("example.com", "example.com", 7000), ("[2001:db8::1]", "2001:db8::1", 7000),
        ("2001:db8::1", "2001:db8::1", 7000),
    ])
    func aHostAndPortAreRead(text: String, host: String, port: UInt16) {
        #expect(HostPort(text, defaultPort: 7000) == HostPort(host: host, port: port))
    }

    @Test(arguments: [
        "", ":80", "host:", "host:0", "host:65536", "host:+80", "[::1", "[::1]x", "[host]:80", "a b:80", "user@host:80",
        "h/x:80",
        "a:b:c",
    ])
    func whatIsNoHostAndPortIsRefused(text: String) {
        #expect(HostPort(text, defaultPort: 7000) == nil)
    }

    @Test func anIPv6EndpointIsWrittenInBrackets() throws {
        let address = try #require(IPAddress("2001:db8::1"))
        #expect(IPEndpoint(address, 80).description == "[2001:db8::1]:80")
        #expect(HostPort(host: "2001:db8::1", port: 80).description == "[2001:db8::1]:80")
    }
}
