// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Reads the body of a ClientHello (RFC 8446 section 4.1.2) field by field.
struct ClientHelloReader {
    private enum ExtensionType {
        static let serverName: UInt16 = 0
        static let protocols: UInt16 = 16
        static let supportedVersions: UInt16 = 43
    }

    private let bytes: [UInt8]
    private var offset = 0
    private var end: Int

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
        end = bytes.count
    }

    static func read(_ body: [UInt8]) throws(ClientHelloError) -> ClientHello {
        var reader = ClientHelloReader(body)
        var hello = ClientHello(serverName: nil)
        // The version of the message and the random value.
        try reader.skip(2 + 32)
        let session = try reader.enter(lengthBytes: 1)
        guard reader.end - reader.offset <= 32 else { throw .malformed(offset: reader.offset) }
        reader.leave(session)
        let suites = try reader.enter(lengthBytes: 2)
        guard reader.offset < reader.end, (reader.end - reader.offset) % 2 == 0 else {
            throw .malformed(offset: reader.offset)
        }
        reader.leave(suites)
        let compression = try reader.enter(lengthBytes: 1)
        guard reader.offset < reader.end else { throw .malformed(offset: reader.offset) }
        reader.leave(compression)
        // A client of TLS 1.2 may leave the extensions out altogether (RFC 5246 section 7.4.1.2).
        guard !reader.isAtEnd else { return hello }
        let list = try reader.enter(lengthBytes: 2)
        guard reader.end == list else { throw .malformed(offset: reader.end) }
        var seen: Set<UInt16> = []
        while !reader.isAtEnd {
            let type = try reader.number()
            guard seen.insert(type).inserted else { throw .repeatedExtension(type) }
            let outer = try reader.enter(lengthBytes: 2)
            switch type {
            case ExtensionType.serverName: hello.serverName = try reader.serverName()
            case ExtensionType.protocols: hello.protocols = try reader.protocols()
            case ExtensionType.supportedVersions: hello.offersTLS13 = try reader.offersTLS13()
            default: break
            }
            reader.leave(outer)
        }
        return hello
    }

    // MARK: Extensions

    /// One name of type host_name (RFC 6066 section 3); other types were never defined.
    private mutating func serverName() throws(ClientHelloError) -> String {
        let outer = try enter(lengthBytes: 2)
        guard try byte() == 0 else { throw .malformed(offset: offset - 1) }
        let list = try enter(lengthBytes: 2)
        let name = bytes[offset..<end]
        guard end == list, list == outer else { throw .malformed(offset: end) }
        guard (1...255).contains(name.count), name.allSatisfy({ $0 > 32 && $0 < 127 }) else { throw .serverName }
        return String(decoding: name, as: UTF8.self)
    }

    private mutating func protocols() throws(ClientHelloError) -> [String] {
        let outer = try enter(lengthBytes: 2)
        guard end == outer, !isAtEnd else { throw .malformed(offset: offset) }
        var protocols: [String] = []
        while !isAtEnd {
            let list = try enter(lengthBytes: 1)
            let name = bytes[offset..<end]
            guard !name.isEmpty else { throw .malformed(offset: offset) }
            if name.allSatisfy({ $0 > 32 && $0 < 127 }) { protocols.append(String(decoding: name, as: UTF8.self)) }
            leave(list)
        }
        return protocols
    }

    private mutating func offersTLS13() throws(ClientHelloError) -> Bool {
        let outer = try enter(lengthBytes: 1)
        guard end == outer, !isAtEnd else { throw .malformed(offset: offset) }
        var found = false
        while !isAtEnd { if try number() == 0x0304 { found = true } }
        return found
    }

    // MARK: Fields

    private var isAtEnd: Bool { offset == end }

    /// Steps into a vector; what is returned is to be given to `leave`.
    private mutating func enter(lengthBytes: Int) throws(ClientHelloError) -> Int {
        let length = lengthBytes == 1 ? Int(try byte()) : Int(try number())
        guard length <= end - offset else { throw .malformed(offset: offset - lengthBytes) }
        defer { end = offset + length }
        return end
    }

    /// Steps over what is left of a vector and out of it.
    private mutating func leave(_ outer: Int) {
        offset = end
        end = outer
    }

    private mutating func skip(_ count: Int) throws(ClientHelloError) {
        guard count <= end - offset else { throw .malformed(offset: offset) }
        offset += count
    }

    private mutating func byte() throws(ClientHelloError) -> UInt8 {
        try skip(1)
        return bytes[offset - 1]
    }

    private mutating func number() throws(ClientHelloError) -> UInt16 {
        try skip(2)
        return UInt16(bytes[offset - 2]) << 8 | UInt16(bytes[offset - 1])
    }
}
