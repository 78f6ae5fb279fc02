// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

/// What Go's encoder writes for each message, and what the message is.
@Suite struct FRPGoldenTests {
    struct Golden: Sendable, CustomTestStringConvertible {
        let type: Character
        let id: UInt16
        let json: String
        let message: FRPMessage
        /// Whether Adit writes the same bytes; Go also writes some empty fields.
        var isCanonical = true

        var testDescription: String { "\(id)" }
    }

    private static let goldens =
        [
            Golden(
                type: "o",
                id: 1,
                json: #"{"version":"0.70.0","hostname":"box","os":"linux","arch":"amd64","privilege_key":"#
                    + #""4627caaac3d64187ba1c8832007beb3a","timestamp":1700000000,"client_spec":{},"pool_count":1}"#,
                message: .login(
                    FRPLogin(
                        version: "0.70.0",
                        hostname: "box",
                        os: "linux",
                        arch: "amd64",
                        privilegeKey: "4627caaac3d64187ba1c8832007beb3a",
                        timestamp: 1_700_000_000,
                        poolCount: 1
                    )
                ),
                isCanonical: false
            ),
            Golden(
                type: "o",
                id: 1,
                json: #"{"user":"u","run_id":"0123456789abcdef","client_id":"c","metas":{"a":"1","b":"2"},"#
                    + #""client_spec":{"type":"ssh-tunnel","always_auth_pass":true}}"#,
                message: .login(
                    FRPLogin(
                        user: "u",
                        runID: "0123456789abcdef",
                        clientID: "c",
                        metas: ["a": "1", "b": "2"],
                        clientSpec: FRPClientSpec(type: "ssh-tunnel", alwaysAuthPass: true)
                    )
                )
            ),
            Golden(
                type: "1",
                id: 2,
                json: #"{"version":"0.70.0","run_id":"0123456789abcdef"}"#,
                message: .loginResponse(FRPLoginResponse(version: "0.70.0", runID: "0123456789abcdef"))
            ),
            Golden(
                type: "p",
                id: 3,
                json: #"{"proxy_name":"web","proxy_type":"http","use_encryption":true,"use_compression":true,"#
                    + #""bandwidth_limit":"1MB","bandwidth_limit_mode":"server","group":"g","group_key":"k","#
                    + #""metas":{"m":"v"},"annotations":{"n":"w"},"remote_port":6000,"custom_domains":["a.example"],"#
                    + #""subdomain":"s","locations":["/","/api"],"http_user":"hu","http_pwd":"hp","#
                    + #""host_header_rewrite":"localhost","headers":{"x-from":"frp"},"response_headers":{"x-to":"you"},"#
                    + #""route_by_http_user":"ru","sk":"key","allow_users":["*"],"multiplexer":"httpconnect"}"#,
                message: .newProxy(
                    FRPNewProxy(
                        proxyName: "web",
                        proxyType: "http",
                        useEncryption: true,
                        useCompression: true,
                        bandwidthLimit: "1MB",
                        bandwidthLimitMode: "server",
                        group: "g",
                        groupKey: "k",
                        metas: ["m": "v"],
                        annotations: ["n": "w"],
                        remotePort: 6000,
                        customDomains: ["a.example"],
                        subdomain: "s",
                        locations: ["/", "/api"],
                        httpUser: "hu",
                        httpPassword: "hp",
                        hostHeaderRewrite: "localhost",
                        headers: ["x-from": "frp"],
                        responseHeaders: ["x-to": "you"],
                        routeByHTTPUser: "ru",
                        secretKey: "key",
                        allowUsers: ["*"],
                        multiplexer: "httpconnect"
                    )
                )
            ),
            Golden(
                type: "2",
                id: 4,
                json: #"{"proxy_name":"web","remote_addr":":6000","error":"port already used"}"#,
                message: .newProxyResponse(
                    FRPNewProxyResponse(proxyName: "web", remoteAddress: ":6000", error: "port already used")
                )
            ),
            Golden(
                type: "c",
                id: 5,
                json: #"{"proxy_name":"web"}"#,
                message: .closeProxy(FRPCloseProxy(proxyName: "web"))
            ),
            Golden(
                type: "w",
                id: 6,
                json: #"{"run_id":"r","privilege_key":"k","timestamp":1}"#,
                message: .newWorkConnection(FRPNewWorkConnection(runID: "r", privilegeKey: "k", timestamp: 1))
            ),
            Golden(type: "r", id: 7, json: "{}", message: .requestWorkConnection),
            Golden(
                type: "s",
                id: 8,
                json:
                    #"{"proxy_name":"web","src_addr":"192.0.2.1","dst_addr":"203.0.113.1","src_port":65535,"dst_port":80}"#,
                message: .startWorkConnection(
                    FRPStartWorkConnection(
                        proxyName: "web",
                        sourceAddress: "192.0.2.1",
                        destinationAddress: "203.0.113.1",
                        sourcePort: 65535,
                        destinationPort: 80
                    )
                )
            ),
            Golden(
                type: "v",
                id: 9,
                json: #"{"run_id":"r","proxy_name":"p","sign_key":"k","timestamp":2,"use_encryption":true,"#
                    + #""use_compression":true}"#,
                message: .newVisitorConnection(
                    FRPNewVisitorConnection(
                        runID: "r",
                        proxyName: "p",
                        signKey: "k",
                        timestamp: 2,
                        useEncryption: true,
                        useCompression: true
                    )
                )
            ),
            Golden(
                type: "3",
                id: 10,
                json: #"{"proxy_name":"p","error":"no"}"#,
                message: .newVisitorConnectionResponse(FRPNewVisitorConnectionResponse(proxyName: "p", error: "no"))
            ),
            Golden(
                type: "h",
                id: 11,
                json: #"{"privilege_key":"k","timestamp":3}"#,
                message: .ping(FRPPing(privilegeKey: "k", timestamp: 3))
            ),
            Golden(type: "4", id: 12, json: #"{"error":"late"}"#, message: .pong(FRPPong(error: "late"))),
            Golden(
                type: "u",
                id: 13,
                json: #"{"c":"aGVsbG8=","l":null,"r":{"IP":"2001:db8::1","Port":53,"Zone":""}}"#,
                message: .udpPacket(
                    FRPUDPPacket(
                        content: Array("hello".utf8),
                        remoteAddress: FRPUDPAddress(ip: "2001:db8::1", port: 53)
                    )
                ),
                isCanonical: false
            ),
            Golden(
                type: "i",
                id: 14,
                json: #"{"transaction_id":"t"}"#,
                message: .unsupported(id: 14),
                isCanonical: false
            ),
            Golden(type: "n", id: 15, json: #"{"sid":"s"}"#, message: .unsupported(id: 15), isCanonical: false),
            Golden(type: "m", id: 16, json: #"{"sid":"s"}"#, message: .unsupported(id: 16), isCanonical: false),
            Golden(type: "5", id: 17, json: #"{"sid":"s"}"#, message: .unsupported(id: 17), isCanonical: false),
            Golden(type: "6", id: 18, json: #"{"sid":"s"}"#, message: .unsupported(id: 18), isCanonical: false),
        ] + FRPGoldenMessages.ofAdit

    private static func v1(_ golden: Golden) -> [UInt8] {
        var bytes = [golden.type.asciiValue ?? 0]
        bytes.appendBigEndian(UInt64(golden.json.utf8.count))
        return bytes + Array(golden.json.utf8)
    }

    private static func v2(_ golden: Golden) -> [UInt8] {
        var bytes: [UInt8] = [0, 16, 0, 0]
        bytes.appendBigEndian(UInt32(golden.json.utf8.count + 2))
        bytes.appendBigEndian(golden.id)
        return bytes + Array(golden.json.utf8)
    }

    @Test(arguments: goldens) func `reads each message of wire v1`(golden: Golden) throws {
        let bytes = Self.v1(golden)
        let decoded = try #require(try FRPFrame.decode(bytes + [0xEE], .v1))
        #expect(decoded.frame == .message(golden.message))
        #expect(decoded.byteCount == bytes.count)
    }

    @Test(arguments: goldens) func `reads each message of wire v2`(golden: Golden) throws {
        let bytes = Self.v2(golden)
        let decoded = try #require(try FRPFrame.decode(bytes + [0xEE], .v2))
        #expect(decoded.frame == .message(golden.message))
        #expect(decoded.byteCount == bytes.count)
    }

    @Test(arguments: goldens.filter(\.isCanonical)) func `writes the same bytes`(golden: Golden) throws {
        #expect(try FRPFrame.message(golden.message).encoded(.v1) == Self.v1(golden))
        #expect(try FRPFrame.message(golden.message).encoded(.v2) == Self.v2(golden))
    }

    @Test(arguments: goldens) func `waits for a message that is not all there`(golden: Golden) throws {
        for (bytes, version) in [(Self.v1(golden), FRPWireVersion.v1), (Self.v2(golden), .v2)] {
            for length in 0..<bytes.count { #expect(try FRPFrame.decode(Array(bytes[..<length]), version) == nil) }
        }
    }

    @Test(arguments: goldens) func `survives any flipped bit of a message`(golden: Golden) {
        for (bytes, version) in [(Self.v1(golden), FRPWireVersion.v1), (Self.v2(golden), .v2)] {
            withEachBitFlipped(bytes) { flipped in
                if let decoded = try? FRPFrame.decode(flipped, version) { #expect(decoded.byteCount <= bytes.count) }
            }
        }
    }

    @Test func `knows every message by both numbers`() {
        for id in FRPMessageID.allCases {
            #expect(FRPMessageID(v1Type: id.v1Type) == id)
            // frp never uses a capital letter, so its peers refuse what they were not offered.
            let isCapital = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(id.v1Type)
            #expect(isCapital == (id.rawValue > FRPMessageID.firstOfAdit))
        }
        #expect(Set(FRPMessageID.allCases.map(\.v1Type)).count == FRPMessageID.allCases.count)
        #expect(FRPMessageID(v1Type: 0) == nil)
        #expect(FRPMessageID(v1Type: UInt8(ascii: "Z")) == nil)
    }
}
