// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct PCPTests {
    private let map = PCPMap(
        nonce: PCPNonce(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C),
        transport: .udp,
        internalPort: 25565,
        externalPort: 25565,
        externalAddress: .v4(0)
    )

    private func encoded(_ request: PCPRequest) -> [UInt8] {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        return bytes
    }

    private func encoded(_ response: PCPResponse) -> [UInt8] {
        var bytes: [UInt8] = []
        response.encode(into: &bytes)
        return bytes
    }

    @Test func aMapRequestHasTheBytesOfTheRFC() throws {
        let request = PCPRequest(
            lifetime: 7200,
            client: .v4(0xC0A8_0102),
            body: .map(map),
            options: [.preferFailure]
        )
        let bytes = encoded(request)
        #expect(
            bytes
                == hex(
                    "0201000000001c2000000000000000000000ffffc0a80102" + "0102030405060708090a0b0c11000000"
                        + "63dd63dd00000000000000000000ffff00000000" + "02000000"
                )
        )
        #expect(try PCPRequest.decode(bytes.span.bytes) == request)
    }

    @Test func anAnswerComesBackAsItWas() throws {
        var given = map
        given.externalAddress = try #require(IPAddress("2001:db8::7"))
        let response = PCPResponse(
            result: .success,
            lifetime: 3600,
            epoch: 99,
            body: .map(given),
            options: [.other(code: 200, [1, 2, 3])]
        )
        #expect(try PCPResponse.decode(encoded(response).span.bytes) == response)
        let announce = PCPResponse(lifetime: 0, epoch: 7, body: .announce)
        #expect(try PCPResponse.decode(encoded(announce).span.bytes) == announce)
    }

    @Test func aRouterThatSpeaksNATPMPAloneIsUnderstood() throws {
        let answer = try PCPResponse.decode(hex("0081000100000005").span.bytes)
        #expect(answer.version == 0)
        #expect(answer.result == .unsupportedVersion)
        #expect(throws: WireError.self) { try PCPResponse.decode(hex("0081000000000005").span.bytes) }
    }

    @Test func thirdPartyIsRead() throws {
        let request = PCPRequest(
            lifetime: 1,
            client: .v4(1),
            body: .map(map),
            options: [.thirdParty(.v4(0x0A00_0001))]
        )
        #expect(try PCPRequest.decode(encoded(request).span.bytes).options == [.thirdParty(.v4(0x0A00_0001))])
    }

    @Test func aCutMessageIsRefusedOrLeavesNothingOut() throws {
        let request = PCPRequest(lifetime: 7200, client: .v4(1), body: .map(map))
        let bytes = encoded(request)
        for count in 0..<bytes.count {
            #expect(throws: WireError.self) { try PCPRequest.decode(Array(bytes.prefix(count)).span.bytes) }
        }
        let answer = encoded(PCPResponse(lifetime: 7200, epoch: 1, body: .map(map)))
        for count in 0..<answer.count {
            #expect(throws: WireError.self) { try PCPResponse.decode(Array(answer.prefix(count)).span.bytes) }
        }
    }

    @Test func whatIsTooMuchIsRefused() {
        let request = encoded(PCPRequest(lifetime: 7200, client: .v4(1), body: .map(map)))
        let options = (0..<132).map { $0.isMultiple(of: 4) ? UInt8(2) : 0 }
        #expect(throws: WireError.tooManyElements(33, limit: 32)) {
            try PCPRequest.decode((request + options).span.bytes)
        }
        #expect(throws: WireError.length(1104, limit: 1100)) {
            try PCPRequest.decode((request + [UInt8](repeating: 0, count: 1104 - request.count)).span.bytes)
        }
        #expect(throws: WireError.self) { try PCPRequest.decode((request + [200, 0, 0xFF, 0xFF]).span.bytes) }
    }

    @Test func flippedBitsNeverTrap() {
        let request = PCPRequest(lifetime: 7200, client: .v4(1), body: .map(map), options: [.preferFailure])
        withEachBitFlipped(encoded(request)) { PortMappingDecoders.pcp($0) }
        let answer = PCPResponse(lifetime: 1, epoch: 1, body: .map(map), options: [.other(code: 130, [1])])
        withEachBitFlipped(encoded(answer)) { PortMappingDecoders.pcp($0) }
    }
}
