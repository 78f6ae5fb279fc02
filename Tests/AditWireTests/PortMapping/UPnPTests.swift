// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct UPnPTests {
    private let home = UPnPLocation(endpoint: IPEndpoint(.v4(0xC0A8_0101), 5000), path: "/desc/root.xml")

    private func ssdp(_ text: String) throws(WireError) -> SSDPMessage {
        try SSDPMessage.decode(Array(text.utf8).span.bytes)
    }

    @Test func aSearchIsWrittenAsTheArchitectureSays() {
        var bytes: [UInt8] = []
        let target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
        SSDPMessage.search(target: target, seconds: 2).encode(into: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: \(target)\r\n\r\n"
        )
    }

    @Test func anAnswerIsRead() throws {
        let message = try ssdp(
            "HTTP/1.1 200 OK\r\nCache-Control:max-age=120\r\nLocation: http://192.168.1.1:5000/d.xml\r\n\r\n"
        )
        #expect(message.kind == .response)
        #expect(message.field("LOCATION") == "http://192.168.1.1:5000/d.xml")
        #expect(try ssdp("HTTP/1.1 200 OK\nEXT:\n\n").field("ext")?.isEmpty == true)
    }

    @Test(arguments: [
        "", "HTTP/1.1 404 Not Found\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\n a: b\r\n\r\n", "HTTP/1.1 200 OK\r\na : b\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\u{0}\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\na: é\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    ])
    func aBrokenAnswerIsRefused(text: String) {
        #expect(throws: WireError.self) { try ssdp(text) }
    }

    @Test func anAnswerHasBounds() {
        let many = String(repeating: "a: b\r\n", count: 33)
        #expect(throws: WireError.tooManyElements(33, limit: 32)) { try ssdp("HTTP/1.1 200 OK\r\n\(many)\r\n") }
        let long = String(repeating: "x", count: 4096)
        #expect(throws: WireError.self) { try ssdp("HTTP/1.1 200 OK\r\na: \(long)\r\n\r\n") }
    }

    @Test func aLocationIsAnAddressAndAPath() throws {
        let location = try #require(UPnPLocation("http://192.168.1.1:5000/a?b#c"))
        #expect(location == UPnPLocation(endpoint: IPEndpoint(.v4(0xC0A8_0101), 5000), path: "/a?b"))
        #expect(UPnPLocation("HTTP://192.168.1.1")?.path == "/")
        #expect(UPnPLocation("http://[fd00::1]:80/x")?.endpoint.port == 80)
    }

    @Test(arguments: [
        "https://192.168.1.1/", "http://router.lan/", "http://user@192.168.1.1/", "http://192.168.1.1:0/",
        "http://192.168.1.1:99999/", "ftp://192.168.1.1/", "http://", "/x", "http://192.168.1.1/a b",
        "http://192.168.1.1/a\r\nX: y", "http://192.168.1.1\\@203.0.113.1/", "http://0xC0A80101/", "http://3232235777/",
    ])
    func aLocationElsewhereIsNone(text: String) {
        #expect(UPnPLocation(text) == nil)
    }

    @Test func aReferenceStaysOnTheDevice() {
        #expect(home.resolve("/ctl/IPConn")?.path == "/ctl/IPConn")
        #expect(home.resolve("ctl/IPConn")?.path == "/desc/ctl/IPConn")
        #expect(home.resolve("ctl", base: "http://192.168.1.1:5000/x/")?.path == "/x/ctl")
        #expect(home.resolve("http://192.168.1.1:5000/ctl?a=b")?.path == "/ctl?a=b")
        #expect(home.resolve("?x")?.path == "/desc/?x")
    }

    @Test(arguments: [
        "http://192.168.1.2:5000/ctl", "http://192.168.1.1:80/ctl", "https://192.168.1.1:5000/ctl", "//192.168.1.9/ctl",
        "http://127.0.0.1:5000/ctl", "file:///etc/passwd", "javascript:1", "ctl\r\nHost: x", "",
        "http://169.254.169.254/",
    ])
    func aReferenceToElsewhereIsRefused(reference: String) {
        #expect(home.resolve(reference) == nil)
    }

    @Test func aBaseElsewhereIsRefused() {
        #expect(home.resolve("ctl", base: "http://192.168.1.9:5000/") == nil)
        #expect(home.resolve("/ctl", base: "http://192.168.1.9:5000/")?.endpoint == home.endpoint)
    }

    @Test func aDescriptionComesBackWithTheBestServiceFirst() throws {
        var bytes: [UInt8] = []
        let description = UPnPDescription(
            friendlyName: "A & B",
            modelName: "R1",
            services: [
                UPnPService(.ppp1, controlURL: "/p"), UPnPService(.ip1, controlURL: "/1"),
                UPnPService(.ip2, controlURL: "/2"),
            ]
        )
        description.encode(into: &bytes)
        let again = try UPnPDescription.decode(bytes.span.bytes)
        #expect(again.services.map(\.kind) == [.ip2, .ip1, .ppp1])
        #expect(again.friendlyName == "A & B")
        for count in stride(from: 0, to: bytes.count - 1, by: 1) {
            #expect(throws: XMLFault.self) { try UPnPDescription.decode(Array(bytes.prefix(count)).span.bytes) }
        }
        withEachBitFlipped(bytes) { PortMappingDecoders.description($0) }
    }

    @Test func namesHaveALengthAndNoControlCharacters() throws {
        var bytes: [UInt8] = []
        let accents = String(repeating: "\u{301}", count: 5000)
        UPnPDescription(
            friendlyName: "A\tB\u{9B}2J\u{202E}C",
            modelName: "e" + accents,
            services: []
        ).encode(into: &bytes)
        let description = try UPnPDescription.decode(bytes.span.bytes)
        #expect(description.friendlyName == "AB2JC")
        #expect(description.modelName.unicodeScalars.count == 64)
    }

    @Test func callsComeBackAsTheyWere() throws {
        let mapping = UPnPPortMapping(
            .udp,
            externalPort: 7,
            internalPort: 8,
            client: .v4(0xC0A8_0102),
            description: "<adit>",
            lease: 3600
        )
        let actions: [UPnPAction] = [
            .getStatusInfo, .getExternalIPAddress, .addPortMapping(mapping), .addAnyPortMapping(mapping),
            .deletePortMapping(.tcp, externalPort: 9), .getSpecificPortMappingEntry(.udp, externalPort: 10),
        ]
        for action in actions {
            var bytes: [UInt8] = []
            action.encode(for: .ip1, into: &bytes)
            #expect(try UPnPCall.decode(bytes.span.bytes).action == action)
            for count in 0..<bytes.count - 1 {
                #expect(throws: XMLFault.self) { try UPnPCall.decode(Array(bytes.prefix(count)).span.bytes) }
            }
        }
        #expect(
            UPnPAction.getStatusInfo.soapAction(.ip1)
                == "\"urn:schemas-upnp-org:service:WANIPConnection:1#GetStatusInfo\""
        )
    }

    @Test func valuesAndFaultsComeBackAsTheyWere() throws {
        var bytes: [UInt8] = []
        let values = UPnPResult.values([UPnPArgument("NewExternalIPAddress", "203.0.113.9")])
        values.encode(action: "GetExternalIPAddress", service: .ip1, into: &bytes)
        #expect(try UPnPResult.decode(bytes.span.bytes, action: "GetExternalIPAddress") == values)
        #expect(throws: XMLFault.self) { try UPnPResult.decode(bytes.span.bytes, action: "AddPortMapping") }
        withEachBitFlipped(bytes) { PortMappingDecoders.soap($0) }
        bytes = []
        UPnPResult.fault(.onlyPermanentLeasesSupported).encode(action: "AddPortMapping", service: .ip1, into: &bytes)
        let fault = try UPnPResult.decode(bytes.span.bytes, action: "AddPortMapping")
        #expect(fault == .fault(UPnPFault(rawValue: 725)))
        withEachBitFlipped(bytes) { PortMappingDecoders.soap($0) }
    }
}
