// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

struct ClientHelloTests {
    private static let hello = ClientHelloBytes()

    private func decode(_ bytes: [UInt8]) throws(ClientHelloError) -> ClientHello? {
        try ClientHello.decode(bytes.span.bytes)
    }

    @Test func theNameTheProtocolsAndTheVersionAreFound() throws {
        let found = try decode(Self.hello.records())
        #expect(
            found
                == ClientHello(serverName: "Example.com", protocols: ["h2", "http/1.1"], offersTLS13: true)
        )
    }

    @Test func aClientWithoutExtensionsNamesNothing() throws {
        var bytes = ClientHelloBytes()
        bytes.extensions = nil
        #expect(try decode(bytes.records()) == ClientHello(serverName: nil))
        bytes.extensions = []
        #expect(try decode(bytes.records()) == ClientHello(serverName: nil))
    }

    @Test func everyCutAsksForMore() throws {
        let bytes = Self.hello.records()
        for count in 0..<bytes.count { #expect(try decode(Array(bytes.prefix(count))) == nil, "\(count) bytes") }
        #expect(try decode(bytes + [23, 3, 3, 0, 1]) == decode(bytes))
    }

    @Test func theMessageMayBeCutIntoRecordsAnywhere() throws {
        let whole = try decode(Self.hello.records())
        let length = Self.hello.message.count
        for size in [8, 9, 13, length - 1, length] {
            let bytes = Self.hello.records(of: size)
            #expect(try decode(bytes) == whole, "records of \(size) bytes")
            for count in stride(from: 0, to: bytes.count, by: 3) {
                #expect(try decode(Array(bytes.prefix(count))) == nil)
            }
        }
        for first in 1..<length {
            let bytes =
                ClientHelloBytes.record(Self.hello.message[..<first])
                + ClientHelloBytes.record(Self.hello.message[first...])
            #expect(try decode(bytes) == whole, "cut at \(first)")
        }
    }

    @Test func tooManyRecordsAndTooLongMessagesAreRefused() {
        var bytes = ClientHelloBytes()
        bytes.extensions?.append((21, [UInt8](repeating: 0, count: 400)))
        #expect(throws: ClientHelloError.tooLong(limit: 16384)) { try decode(bytes.records(of: 1)) }
        #expect(throws: ClientHelloError.tooLong(limit: 16384)) { try decode([22, 3, 1, 0, 4, 1, 0, 64, 1]) }
        // The longest one is read.
        let rest = ClientHello.messageByteLimit - (ClientHelloBytes().message.count - 4) - 4
        var longest = ClientHelloBytes()
        longest.extensions?.append((21, [UInt8](repeating: 0, count: rest)))
        #expect(longest.message.count == 4 + ClientHello.messageByteLimit)
        #expect(throws: Never.self) { try #require(try decode(longest.records(of: 16384))) }
        #expect(longest.records(of: 300).count <= ClientHello.byteLimit)
    }

    @Test func anythingButAClientHelloIsRefusedAtOnce() {
        #expect(throws: ClientHelloError.notHandshake(offset: 0)) { try decode(Array("GET ".utf8)) }
        #expect(throws: ClientHelloError.notHandshake(offset: 0)) { try decode([22, 2]) }
        #expect(throws: ClientHelloError.recordLength(0)) { try decode([22, 3, 1, 0, 0]) }
        #expect(throws: ClientHelloError.recordLength(16385)) { try decode([22, 3, 1, 0x40, 1]) }
        #expect(throws: ClientHelloError.notClientHello(2)) { try decode([22, 3, 1, 0, 4, 2]) }
        #expect(throws: ClientHelloError.notHandshake(offset: 6)) { try decode([22, 3, 1, 0, 1, 1, 21]) }
    }

    @Test func everyChangedLengthIsRefusedOrReadWithinBounds() {
        let bytes = Self.hello.records()
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                if let found = try? decode(changed), let name = found.serverName {
                    #expect(name.utf8.allSatisfy { $0 > 32 && $0 < 127 })
                }
            }
        }
    }

    @Test func extensionsThatAreNotWholeAreRefused() {
        let cases: [(UInt16, [UInt8])] = [
            (0, []), (0, [0, 0]), (0, [0, 4, 0, 0, 1]), (0, [0, 4, 1, 0, 1, 97]), (0, [0, 5, 0, 0, 1, 97, 98]),
            (0, [0, 4, 0, 0, 1, 97, 0]), (0, [0, 8, 0, 0, 1, 97, 0, 0, 1, 98]), (16, []), (16, [0, 0]),
            (16, [0, 1, 0]),
            (16, [0, 2, 2, 97]), (16, [0, 2, 1, 97, 0]), (43, []), (43, [0]), (43, [1, 3]), (43, [2, 3, 4, 0]),
        ]
        for (type, content) in cases {
            var bytes = ClientHelloBytes()
            bytes.extensions = [(type, content)]
            #expect(throws: ClientHelloError.self, "\(type) \(content)") { try decode(bytes.records()) }
        }
        var twice = ClientHelloBytes()
        twice.extensions?.append(ClientHelloBytes.serverName("other.example"))
        #expect(throws: ClientHelloError.repeatedExtension(0)) { try decode(twice.records()) }
    }

    @Test(arguments: ["", " ", "a b", "a\u{0}b", "bücher.example", String(repeating: "a", count: 256)])
    func namesThatAreNoHostNamesAreRefused(name: String) {
        var bytes = ClientHelloBytes()
        bytes.extensions = [ClientHelloBytes.serverName(name)]
        #expect(throws: ClientHelloError.serverName) { try decode(bytes.records()) }
    }
}

/// Writes ClientHellos.
struct ClientHelloBytes {
    var sessionID = [UInt8](repeating: 7, count: 32)
    var suites: [UInt8] = [0x13, 0x01, 0x13, 0x02, 0xC0, 0x2F]
    var extensions: [(type: UInt16, content: [UInt8])]? = [
        (0x0A0A, []), serverName("Example.com"), (10, [0, 2, 0, 29]),
        (16, [0, 12, 2] + Array("h2".utf8) + [8] + Array("http/1.1".utf8)), (43, [4, 3, 4, 3, 3]),
    ]

    static func serverName(_ name: String) -> (UInt16, [UInt8]) {
        let entry = [0] + two(name.utf8.count) + Array(name.utf8)
        return (0, two(entry.count) + entry)
    }

    var message: [UInt8] {
        var body: [UInt8] = [3, 3] + [UInt8](repeating: 1, count: 32)
        body += [UInt8(sessionID.count)] + sessionID + Self.two(suites.count) + suites + [1, 0]
        if let extensions {
            let list = extensions.flatMap { Self.two(Int($0.type)) + Self.two($0.content.count) + $0.content }
            body += Self.two(list.count) + list
        }
        return [1, UInt8(body.count >> 16)] + Self.two(body.count & 0xFFFF) + body
    }

    /// The message in records of at most so many bytes.
    func records(of size: Int = 16384) -> [UInt8] {
        let message = message
        return stride(from: 0, to: message.count, by: size).flatMap {
            Self.record(message[$0..<min($0 + size, message.count)])
        }
    }

    static func record(_ fragment: ArraySlice<UInt8>) -> [UInt8] { [22, 3, 1] + two(fragment.count) + fragment }

    private static func two(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
}
