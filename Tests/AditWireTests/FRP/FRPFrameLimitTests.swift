// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct FRPFrameLimitTests {
    struct Refused: Sendable {
        let bytes: String
        let version: FRPWireVersion
        let error: WireError
    }

    private static let refused = [
        // The type is refused before the length is there.
        Refused(bytes: "00", version: .v1, error: .unknownType(0)),
        Refused(bytes: "16", version: .v1, error: .unknownType(0x16)),
        Refused(bytes: "ff", version: .v1, error: .unknownType(0xFF)),
        // One above the limit, negative, and the extremes.
        Refused(bytes: "6f0000000000002801", version: .v1, error: .length(10_241, limit: 10_240)),
        Refused(bytes: "6fffffffffffffffff", version: .v1, error: .length(-1, limit: 10_240)),
        Refused(bytes: "6f8000000000000000", version: .v1, error: .length(.min, limit: 10_240)),
        Refused(bytes: "6f7fffffffffffffff", version: .v1, error: .length(.max, limit: 10_240)),
        Refused(bytes: "6f0000000000000000", version: .v1, error: .malformedJSON(1)),
        Refused(bytes: "0000", version: .v2, error: .unknownType(0)),
        Refused(bytes: "0003", version: .v2, error: .unknownType(3)),
        Refused(bytes: "4652", version: .v2, error: .unknownType(0x4652)),
        Refused(bytes: "00100001", version: .v2, error: .invalidField(offset: 2, found: 1)),
        Refused(bytes: "00108000", version: .v2, error: .invalidField(offset: 2, found: 0x8000)),
        Refused(bytes: "0010000000010001", version: .v2, error: .length(65_537, limit: 65_536)),
        Refused(bytes: "00100000ffffffff", version: .v2, error: .length(4_294_967_295, limit: 65_536)),
        Refused(bytes: "0010000000000000", version: .v2, error: .truncated(expected: 2, found: 0)),
        Refused(bytes: "0010000000000001", version: .v2, error: .truncated(expected: 2, found: 1)),
        Refused(bytes: "00100000000000020000", version: .v2, error: .unknownType(0)),
        Refused(bytes: "00100000000000020013", version: .v2, error: .unknownType(19)),
        Refused(bytes: "00100000000000020001", version: .v2, error: .malformedJSON(1)),
    ]

    @Test(arguments: refused) func `refuses what cannot be a frame`(example: Refused) {
        #expect(throws: example.error) { try FRPFrame.decode(hex(example.bytes), example.version) }
    }

    @Test func `carries messages up to the limit and none above`() throws {
        for version in [FRPWireVersion.v1, .v2] {
            // The object's own characters and, in wire v2, the message id.
            let overhead = version == .v1 ? #"{"error":""}"#.utf8.count : #"{"error":""}"#.utf8.count + 2
            let longest = version.payloadLimit - overhead
            let frame = FRPFrame.message(.pong(FRPPong(error: String(repeating: "x", count: longest))))
            #expect(try FRPFrame.decode(try frame.encoded(version), version)?.frame == frame)
            let longer = FRPFrame.message(.pong(FRPPong(error: String(repeating: "x", count: longest + 1))))
            var bytes: [UInt8] = [1, 2, 3]
            let limit = version.payloadLimit
            #expect(throws: WireError.length(Int64(limit + 1), limit: limit)) {
                try longer.encode(version: version, into: &bytes)
            }
            #expect(bytes == [1, 2, 3])
        }
    }

    @Test func `bounds lists and maps`() throws {
        let fits = "[" + [String](repeating: "\"\"", count: 1024).joined(separator: ",") + "]"
        let tooMany = "[" + [String](repeating: "\"\"", count: 1025).joined(separator: ",") + "]"
        guard case .message(.newProxy(let proxy)) = try message(3, #"{"locations":"# + fits + "}") else {
            Issue.record("not a NewProxy")
            return
        }
        #expect(proxy.locations.count == 1024)
        #expect(throws: WireError.tooManyElements(1025, limit: 1024)) {
            try message(3, #"{"locations":"# + tooMany + "}")
        }
        let map = "{" + (0..<1025).map { "\"\($0)\":\"\"" }.joined(separator: ",") + "}"
        #expect(throws: WireError.tooManyElements(1025, limit: 1024)) { try message(1, #"{"metas":"# + map + "}") }
        let why = "[" + [String](repeating: "{}", count: 1025).joined(separator: ",") + "]"
        #expect(throws: WireError.tooManyElements(1025, limit: 1024)) {
            try message(2, #"{"adit":{"error":{"why":"# + why + "}}}")
        }
    }

    @Test func `bounds nesting`() {
        let deep = String(repeating: "[", count: 30_000) + String(repeating: "]", count: 30_000)
        #expect(throws: WireError.malformedJSON(12)) { try message(12, #"{"later":"# + deep + "}") }
    }

    @Test func `refuses what a version cannot carry`() {
        #expect(throws: WireError.notEncodable) { try FRPFrame.message(.unsupported(id: 14)).encoded(.v1) }
        #expect(throws: WireError.notEncodable) { try FRPFrame.message(.unsupported(id: 14)).encoded(.v2) }
        #expect(throws: WireError.notEncodable) { try FRPFrame.clientHello(FRPClientHello()).encoded(.v1) }
    }

    @Test func `never traps on random bytes`() {
        var generator = SeededGenerator(seed: 9)
        for round in 0..<20_000 {
            let length = Int.random(in: 0...60, using: &generator)
            var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let version: FRPWireVersion = round % 2 == 0 ? .v1 : .v2
            // Half of them get a header that lets the decoder go on.
            if round % 4 < 2, bytes.count > 12 {
                let header = version == .v1 ? hex("6f0000000000000002") : hex("00100000000000040001")
                bytes.replaceSubrange(0..<header.count, with: header)
            }
            if let decoded = try? FRPFrame.decode(bytes, version) { #expect(decoded.byteCount <= bytes.count) }
        }
    }

    private func message(_ id: UInt16, _ json: String) throws(WireError) -> FRPFrame? {
        var bytes: [UInt8] = [0, 16, 0, 0]
        bytes.appendBigEndian(UInt32(json.utf8.count + 2))
        bytes.appendBigEndian(id)
        return try FRPFrame.decode(bytes + Array(json.utf8), .v2)?.frame
    }
}
