// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct ServiceCodecTests {
    private static let plain = hex("01" + "01" + "03" + "737368" + "00")
    private static let proof = [UInt8](1...32)
    private static let proven = hex("01" + "02" + "04" + "6d652e61" + "20") + proof

    private static func encoded(_ request: ServiceRequest) -> [UInt8] {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        return bytes
    }

    @Test func `reads and writes requests with and without a proof`() throws {
        let short = try ServiceRequest(kind: .tcp, name: "ssh")
        let long = try ServiceRequest(kind: .udp, name: "me.a", proof: Self.proof)
        for (request, bytes) in [(short, Self.plain), (long, Self.proven)] {
            #expect(Self.encoded(request) == bytes)
            #expect(request.byteCount == bytes.count)
            // Payload behind it is left alone.
            #expect(try ServiceRequest.decode((bytes + [0xFF, 0]).span.bytes) == request)
        }
        let longest = try ServiceRequest(kind: .tcp, name: String(repeating: "é", count: 32), proof: Self.proof)
        #expect(longest.byteCount == ServiceRequest.byteLimit)
        #expect(try ServiceRequest.decode(Self.encoded(longest).span.bytes) == longest)
    }

    @Test func `waits for a request that is cut anywhere`() throws {
        for bytes in [Self.plain, Self.proven] {
            for length in 0..<bytes.count {
                #expect(try ServiceRequest.decode(Array(bytes[..<length]).span.bytes) == nil)
            }
        }
    }

    @Test func `refuses what is no request as soon as that shows`() {
        func refuses(_ hexadecimal: String, _ error: WireError) {
            #expect(throws: error) { try ServiceRequest.decode(hex(hexadecimal).span.bytes) }
        }
        refuses("02", .invalidField(offset: 0, found: 2))
        refuses("0103", .invalidField(offset: 1, found: 3))
        refuses("010100", .length(0, limit: 64))
        refuses("010141", .length(65, limit: 64))
        refuses("010101" + "61" + "1f", .length(31, limit: 32))
        refuses("010101" + "0a" + "00", .invalidField(offset: 3, found: 10))
        refuses("010101" + "7f" + "00", .invalidField(offset: 3, found: 127))
        refuses("010102" + "c328" + "00", .invalidField(offset: 3, found: 0xC3))
        #expect(throws: WireError.length(31, limit: 32)) {
            try ServiceRequest(kind: .tcp, name: "a", proof: Array(Self.proof.dropLast()))
        }
        #expect(!ServiceRequest.isName("") && !ServiceRequest.isName(String(repeating: "a", count: 65)))
        #expect(!ServiceRequest.isName("a\u{1B}b") && ServiceRequest.isName("home/ssh.é"))
    }

    @Test func `survives any flipped bit, and writes what it read`() {
        for bytes in [Self.plain, Self.proven] {
            withEachBitFlipped(bytes) { flipped in
                guard let request = (try? ServiceRequest.decode(flipped.span.bytes)).flatMap({ $0 }) else { return }
                #expect(Self.encoded(request) == Array(flipped.prefix(request.byteCount)))
            }
        }
    }

    @Test func `reads and writes every answer, and no other`() throws {
        var known = 0
        for version in 0...3 {
            for status in 0...255 {
                for detail in 0...255 {
                    var bytes = [version, status, detail].map { UInt8($0) }
                    if status == 0, detail == 1 { bytes += Self.proof }
                    guard let answer = (try? ServiceAnswer.decode(bytes.span.bytes)).flatMap({ $0 }) else { continue }
                    known += 1
                    var again: [UInt8] = []
                    answer.encode(into: &again)
                    #expect(again == bytes)
                }
            }
        }
        #expect(known == ServiceAnswer.plain.count + 1)
        for answer in ServiceAnswer.plain + [.proven(Self.proof)] {
            var bytes: [UInt8] = []
            answer.encode(into: &bytes)
            #expect(answer.byteCount == bytes.count && bytes.count <= ServiceAnswer.byteLimit)
            #expect(try ServiceAnswer.decode((bytes + [7]).span.bytes) == answer)
            for length in 0..<bytes.count {
                #expect(try ServiceAnswer.decode(Array(bytes[..<length]).span.bytes) == nil)
            }
            #expect(answer.isYes == (bytes[1] == 0))
        }
    }

    @Test func `an answer with a flipped bit is another one, or none`() {
        var bytes: [UInt8] = []
        ServiceAnswer.proven(Self.proof).encode(into: &bytes)
        withEachBitFlipped(bytes) { flipped in
            let answer = (try? ServiceAnswer.decode(flipped.span.bytes)).flatMap { $0 }
            #expect(answer != .proven(Self.proof))
        }
    }

    @Test func `bounds a datagram on a stream`() throws {
        var bytes: [UInt8] = []
        try ServiceDatagramHeader(payloadByteCount: 65_507).encode(into: &bytes)
        #expect(bytes == [0xFF, 0xE3])
        #expect(try ServiceDatagramHeader.decode(bytes.span.bytes)?.payloadByteCount == 65_507)
        #expect(try ServiceDatagramHeader.decode(([0xFF] as [UInt8]).span.bytes) == nil)
        #expect(throws: WireError.length(65_508, limit: 65_507)) {
            try ServiceDatagramHeader.decode(([0xFF, 0xE4] as [UInt8]).span.bytes)
        }
        #expect(throws: WireError.length(-1, limit: 65_507)) { try ServiceDatagramHeader(payloadByteCount: -1) }
    }
}
