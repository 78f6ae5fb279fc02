// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct NATPMPTests {
    private func encoded(_ request: NATPMPRequest) -> [UInt8] {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        return bytes
    }

    private func encoded(_ response: NATPMPResponse) -> [UInt8] {
        var bytes: [UInt8] = []
        response.encode(into: &bytes)
        return bytes
    }

    @Test func requestsHaveTheBytesOfTheRFC() throws {
        #expect(encoded(.externalAddress) == [0, 0])
        let map = NATPMPRequest.map(.tcp, internalPort: 25565, externalPort: 25565, lifetime: 7200)
        #expect(encoded(map) == hex("0002000063dd63dd00001c20"))
        #expect(encoded(.map(.udp, internalPort: 9, externalPort: 0, lifetime: 0)) == hex("000100000009000000000000"))
        #expect(try NATPMPRequest.decode(encoded(map).span.bytes) == map)
    }

    @Test func answersHaveTheBytesOfTheRFC() throws {
        let address = NATPMPResponse(epoch: 305, body: .externalAddress(.v4(0xCB00_7109)))
        #expect(encoded(address) == hex("0080000000000131cb007109"))
        #expect(try NATPMPResponse.decode(encoded(address).span.bytes) == address)
        let map = NATPMPResponse(
            epoch: 5,
            body: .map(.udp, internalPort: 9, externalPort: 1024, lifetime: 3600)
        )
        #expect(encoded(map) == hex("00810000000000050009040000000e10"))
        #expect(try NATPMPResponse.decode(encoded(map).span.bytes) == map)
    }

    @Test func anErrorMayBeShort() throws {
        let refused = try NATPMPResponse.decode(hex("00820002").span.bytes)
        #expect(refused.result == .notAuthorized)
        #expect(refused.body == .failed(opcode: 2))
        #expect(try NATPMPResponse.decode(hex("0080000300000007").span.bytes).epoch == 7)
    }

    @Test func aCutMessageIsRefusedAtEveryByte() {
        let request = encoded(NATPMPRequest.map(.udp, internalPort: 9, externalPort: 9, lifetime: 9))
        for count in 0..<request.count {
            #expect(throws: WireError.self) { try NATPMPRequest.decode(Array(request.prefix(count)).span.bytes) }
        }
        let answer = encoded(
            NATPMPResponse(epoch: 5, body: .map(.udp, internalPort: 9, externalPort: 9, lifetime: 3600))
        )
        for count in 0..<answer.count {
            #expect(throws: WireError.self) { try NATPMPResponse.decode(Array(answer.prefix(count)).span.bytes) }
        }
    }

    @Test func flippedBitsNeverTrap() {
        for bytes in ["0080000000000131cb007109", "00810000000000050009040000000e10", "0002000063dd63dd00001c20"] {
            withEachBitFlipped(hex(bytes)) { PortMappingDecoders.natPMP($0) }
        }
    }
}
