// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct FRPLeniencyTests {
    @Test func `takes null and missing fields as empty`() throws {
        let json =
            #"{"proxy_name":null,"use_encryption":null,"remote_port":null,"metas":null,"custom_domains":null,"adit":null}"#
        #expect(try message(3, json) == .newProxy(FRPNewProxy()))
        #expect(try message(3, "{}") == .newProxy(FRPNewProxy()))
        #expect(
            try message(3, #"{"metas":{"a":null},"locations":[null,"/"]}"#)
                == .newProxy(FRPNewProxy(metas: ["a": ""], locations: ["", "/"]))
        )
    }

    @Test func `ignores unknown fields of any kind`() throws {
        let json = #"{"later":{"deep":[1,2.5e3,{"x":null}]},"error":"e","more":true}"#
        #expect(try message(12, json) == .pong(FRPPong(error: "e")))
    }

    @Test func `reads every escape and every script`() throws {
        let json = #"{"error":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 中文 <>&"}"#
        #expect(try message(12, json) == .pong(FRPPong(error: "\"\\/\u{8}\u{c}\n\r\t\u{e9}😀 中文 <>&")))
    }

    @Test(arguments: [
        #"{"error":1}"#, #"{"error":["x"]}"#, #"{"error":"x"#, #"{"error":"\ud800"}"#, #"{"error":"x"}}"#, "[]",
        #""x""#, "null", "{error:1}",
    ]) func `refuses JSON that is not the message`(json: String) {
        #expect(throws: WireError.malformedJSON(12)) { try message(12, json) }
    }

    @Test func `refuses text that is not UTF-8`() {
        var bytes = hex("34000000000000000d")
        bytes += Array(#"{"error":""#.utf8) + [0xFF] + Array(#""}"#.utf8)
        bytes[8] = UInt8(bytes.count - 9)
        #expect(throws: WireError.malformedJSON(12)) { try FRPFrame.decode(bytes, .v1) }
    }

    @Test(arguments: [
        #"{"src_port":65536}"#, #"{"src_port":-1}"#, #"{"src_port":1.5}"#, #"{"src_port":"80"}"#,
        #"{"src_port":1e400}"#,
    ]) func `refuses numbers that the field cannot hold`(json: String) {
        #expect(throws: WireError.malformedJSON(8)) { try message(8, json) }
    }

    @Test func `reads the largest numbers`() throws {
        #expect(
            try message(11, #"{"timestamp":9223372036854775807}"#) == .ping(FRPPing(timestamp: .max))
        )
        #expect(
            try message(11, #"{"timestamp":-9223372036854775808}"#) == .ping(FRPPing(timestamp: .min))
        )
        #expect(throws: WireError.malformedJSON(11)) { try message(11, #"{"timestamp":9223372036854775808}"#) }
    }

    @Test func `leaves later messages of Adit to whoever does not know them`() throws {
        #expect(try message(0x4999, "not even JSON") == .unsupported(id: 0x4999))
    }

    @Test func `turns addresses of datagrams into endpoints`() throws {
        #expect(FRPUDPAddress(ip: "192.0.2.1", port: 53).endpoint?.description == "192.0.2.1:53")
        #expect(FRPUDPAddress(ip: "", port: 53).endpoint == nil)
        let mapped = try #require(IPAddress("::ffff:192.0.2.1"))
        #expect(FRPUDPAddress(IPEndpoint(mapped, 9)) == FRPUDPAddress(ip: "192.0.2.1", port: 9))
    }

    private func message(_ id: UInt16, _ json: String) throws -> FRPMessage? {
        var bytes: [UInt8] = [0, 16, 0, 0]
        bytes.appendBigEndian(UInt32(json.utf8.count + 2))
        bytes.appendBigEndian(id)
        guard case .message(let message) = try FRPFrame.decode(bytes + Array(json.utf8), .v2)?.frame else { return nil }
        return message
    }
}
