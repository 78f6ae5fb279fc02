// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct FRPHelloTests {
    private static let clientJSON =
        #"{"bootstrap":{"transport":"tcp","tls":true,"tcpMux":true},"capabilities":{"message":{"codecs":["json"]},"#
        + #""crypto":{"algorithms":["aes-256-gcm","xchacha20-poly1305"],"#
        + #""clientRandom":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}}"#
    private static let serverJSON =
        #"{"selected":{"message":{"codec":"json"},"crypto":{"algorithm":"aes-256-gcm","#
        + #""serverRandom":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}}"#
    private static let random = [UInt8](0..<32)

    @Test func `reads and writes frp's ClientHello and keeps its bytes`() throws {
        let hello = FRPClientHello(
            transport: "tcp",
            tls: true,
            tcpMux: true,
            algorithms: ["aes-256-gcm", "xchacha20-poly1305"],
            clientRandom: Self.random
        )
        let payload = Array(Self.clientJSON.utf8)
        let bytes = Self.frame(1, payload)
        let decoded = try FRPFrame.decode(bytes, .v2)
        #expect(decoded?.frame == .clientHello(hello, payload: payload))
        #expect(FRPFrame.clientHello(hello) == .clientHello(hello, payload: payload))
        #expect(try FRPFrame.clientHello(hello).encoded(.v2) == bytes)
    }

    @Test func `reads and writes frp's ServerHello and keeps its bytes`() throws {
        let hello = FRPServerHello(algorithm: "aes-256-gcm", serverRandom: Self.random)
        let payload = Array(Self.serverJSON.utf8)
        #expect(try FRPFrame.decode(Self.frame(2, payload), .v2)?.frame == .serverHello(hello, payload: payload))
        #expect(try FRPFrame.serverHello(hello).encoded(.v2) == Self.frame(2, payload))
    }

    @Test func `keeps the bytes of a hello as they were sent, not as Adit would write them`() throws {
        let payload = Array(#" { "selected" : null , "error" : "no", "later": [1, {"x": 2}] } "#.utf8)
        let decoded = try FRPFrame.decode(Self.frame(2, payload), .v2)
        #expect(
            decoded?.frame == .serverHello(FRPServerHello(codec: "", error: "no"), payload: payload)
        )
        #expect(try decoded?.frame.encoded(.v2) == Self.frame(2, payload))
    }

    @Test func `carries Adit's objects in both hellos`() throws {
        let adit = AditHello(features: AditFeature.allCases, deviceKey: Self.random)
        let client = FRPFrame.clientHello(FRPClientHello(clientRandom: Self.random, adit: adit))
        let server = FRPFrame.serverHello(
            FRPServerHello(serverRandom: Self.random, adit: AditHello(features: [.resume, .reports]))
        )
        for frame in [client, server] {
            #expect(try FRPFrame.decode(try frame.encoded(.v2), .v2)?.frame == frame)
        }
        #expect(adit.has(.serverStreams))
        #expect(!AditHello(features: ["server-streams-2"]).has(.serverStreams))
    }

    @Test func `keeps the names of features that it does not know`() throws {
        let json = #"{"capabilities":{"adit":{"version":2,"features":["resume","telepathy"]}}}"#
        guard case .clientHello(let hello, _) = try FRPFrame.decode(Self.frame(1, Array(json.utf8)), .v2)?.frame else {
            Issue.record("not a ClientHello")
            return
        }
        #expect(hello.adit == AditHello(version: 2, features: ["resume", "telepathy"]))
    }

    @Test(arguments: [
        #"{"capabilities":{"crypto":{"clientRandom":"AAE"}}}"#,
        #"{"capabilities":{"crypto":{"clientRandom":"AA=A"}}}"#,
        #"{"capabilities":{"crypto":{"clientRandom":[1]}}}"#,
        #"{"capabilities":[]}"#, "[]", "null", "1", "", "{", #"{"bootstrap":{"tls":"yes"}}"#,
    ]) func `refuses a hello that is not one`(json: String) {
        #expect(throws: WireError.malformedJSON(1)) { try FRPFrame.decode(Self.frame(1, Array(json.utf8)), .v2) }
    }

    @Test func `survives any cut and any flipped bit`() throws {
        let bytes = Self.frame(1, Array(Self.clientJSON.utf8))
        for length in 0..<bytes.count { #expect(try FRPFrame.decode(Array(bytes[..<length]), .v2) == nil) }
        withEachBitFlipped(bytes) { flipped in
            if let decoded = try? FRPFrame.decode(flipped, .v2) { #expect(decoded.byteCount <= bytes.count) }
        }
    }

    private static func frame(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(type)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(UInt32(payload.count))
        return bytes + payload
    }
}
