// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
import Testing

@Suite("Services and streams between devices")
struct AditServicesTests {
    private static let most = (0..<AditServices.nameLimit).map { index in
        String(repeating: "\"", count: AditServices.nameByteLimit - 3) + String(100 + index)
    }

    @Test(
        "As many names as a session may have fit into messages of either wire, and come back",
        arguments: [true, false]
    )
    func names(isShort: Bool) throws {
        let names = isShort ? (0..<AditServices.nameLimit).map { String($0) } : Self.most
        for version in FRPWireVersion.allCases {
            var known: [String] = []
            for message in AditServices.messages(for: names) {
                var bytes: [UInt8] = []
                try FRPFrame.message(.services(message)).encode(version: version, into: &bytes)
                let decoded = try #require(try FRPFrame.decode(bytes.span.bytes, version: version))
                guard case .message(.services(let found)) = decoded.frame else { throw WireError.notEncodable }
                #expect(found == message && found.isWellFormed)
                #expect(found.isMore == !known.isEmpty)
                known += found.names
            }
            #expect(known == names)
        }
    }

    @Test("No names are a message too, and what is no name is not told")
    func noNames() {
        #expect(AditServices.messages(for: []) == [AditServices()])
        #expect(
            AditServices.messages(for: ["", "a\nb", "ok", String(repeating: "x", count: 65)]) == [
                AditServices(names: ["ok"])
            ]
        )
        let many = (0..<300).map { String($0) }
        #expect(AditServices.messages(for: many).flatMap(\.names).count == AditServices.nameLimit)
    }

    @Test("What cannot be a name is known", arguments: ["", "\u{1B}[2J", "a\u{7F}", String(repeating: "é", count: 33)])
    func noName(text: String) {
        #expect(!AditServices.isName(text))
        #expect(!AditServices(names: ["ssh", text]).isWellFormed)
        #expect(AditPeerStream(peer: "ben", service: text).isWellFormed == text.isEmpty)
        let signature = [UInt8](repeating: 1, count: 64)
        #expect(
            AditPeerSignal(peer: "ben", service: text, body: [1], signature: signature).isWellFormed == text.isEmpty
        )
    }

    @Test("A stream needs the name of a device, and no field is longer than it can be")
    func streams() {
        #expect(AditPeerStream(peer: "ben").isWellFormed)
        #expect(
            AditPeerStream(peer: "ben", run: "1f", service: "ssh", key: [UInt8](repeating: 1, count: 32)).isWellFormed
        )
        #expect(!AditPeerStream().isWellFormed)
        #expect(!AditPeerStream(peer: String(repeating: "n", count: 257)).isWellFormed)
        #expect(!AditPeerStream(peer: "ben", run: String(repeating: "r", count: 65)).isWellFormed)
        #expect(!AditPeerStream(peer: "ben", key: [1]).isWellFormed)
    }
}
