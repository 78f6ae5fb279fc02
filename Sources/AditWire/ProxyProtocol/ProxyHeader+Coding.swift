// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension ProxyHeader {
    /// The longest line of version 1, its end included (section 2.1).
    package static let v1ByteLimit = 107
    /// The longest header of version 2 that is read; what is longer holds data that nobody here wants.
    package static let v2ByteLimit = 4096
    /// The first bytes of version 2 (section 2.2).
    static let v2Signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]
    /// PP2_TYPE_CRC32C (section 2.2.3).
    private static let checksumType: UInt8 = 0x03
    private static let v2FixedByteCount = 16

    /// Appends the header.
    ///
    /// Version 1 knows streams alone (section 2.1): a datagram's header, and one of the carrier's own, is `UNKNOWN` there.
    package func encode(_ version: ProxyProtocolVersion, into bytes: inout [UInt8]) {
        switch version {
        case .v1: encodeV1(into: &bytes)
        case .v2: encodeV2(into: &bytes, hasChecksum: false)
        }
    }

    /// Appends the header in version 2 with a checksum over all of it (section 2.2.3, PP2_TYPE_CRC32C).
    package func encodeV2WithChecksum(into bytes: inout [UInt8]) {
        encodeV2(into: &bytes, hasChecksum: true)
    }

    /// Reads the header at the start of what a connection brings, of either version; nil when more is needed.
    ///
    /// - Throws: `WireError.missingMagic` when it does not begin with a header, `length` for one beyond the limits,
    ///   `invalidField` for one that is wrong, `checksum` for one whose checksum does not match.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> (header: ProxyHeader, byteCount: Int)? {
        guard bytes.byteCount > 0 else { return nil }
        return bytes.byte(at: 0) == UInt8(ascii: "P") ? try decodeV1(bytes) : try decodeV2(bytes)
    }

    // MARK: Version 1

    private func encodeV1(into bytes: inout [UInt8]) {
        guard command == .proxy, transport == .stream, let addresses else {
            bytes.append(contentsOf: "PROXY UNKNOWN\r\n".utf8)
            return
        }
        let family: String
        if case .v4 = addresses.source.address { family = "TCP4" } else { family = "TCP6" }
        let (source, destination) = (addresses.source, addresses.destination)
        let line =
            "PROXY \(family) \(source.address) \(destination.address) \(source.port) \(destination.port)\r\n"
        bytes.append(contentsOf: line.utf8)
    }

    private static func decodeV1(_ bytes: RawSpan) throws(WireError) -> (header: ProxyHeader, byteCount: Int)? {
        let prefix = Array("PROXY ".utf8)
        for index in 0..<min(prefix.count, bytes.byteCount) where bytes.byte(at: index) != prefix[index] {
            throw .missingMagic
        }
        var end: Int?
        for index in 0..<min(bytes.byteCount, v1ByteLimit) {
            let byte = bytes.byte(at: index)
            if byte == 10 {
                guard index > 0, bytes.byte(at: index - 1) == 13 else {
                    throw .invalidField(offset: index, found: UInt64(byte))
                }
                end = index
                break
            }
            // The CR stands before the LF and nowhere else; everything before it is printable ASCII.
            if index > 0, bytes.byte(at: index - 1) == 13 {
                throw .invalidField(offset: index, found: UInt64(byte))
            }
            guard byte == 13 || (32..<127).contains(byte) else {
                throw .invalidField(offset: index, found: UInt64(byte))
            }
        }
        guard let end else {
            guard bytes.byteCount < v1ByteLimit else { throw .length(Int64(bytes.byteCount), limit: v1ByteLimit) }
            return nil
        }
        let line = String(decoding: bytes.copyBytes(in: 6..<(end - 1)), as: UTF8.self)
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        // What follows UNKNOWN up to the end of the line is to be ignored (section 2.1).
        if fields.first == "UNKNOWN" { return (ProxyHeader(addresses: nil), end + 1) }
        guard fields.count == 5, fields[0] == "TCP4" || fields[0] == "TCP6" else {
            throw .invalidField(offset: 6, found: UInt64(bytes.byte(at: 6)))
        }
        guard let source = address(fields[1], fields[0] == "TCP4"),
            let destination = address(fields[2], fields[0] == "TCP4"), let sourcePort = port(fields[3]),
            let destinationPort = port(fields[4])
        else { throw .invalidField(offset: 11, found: UInt64(bytes.byte(at: 11))) }
        let addresses = Addresses(
            verbatimSource: IPEndpoint(source, sourcePort),
            destination: IPEndpoint(destination, destinationPort)
        )
        return (ProxyHeader(addresses: addresses), end + 1)
    }

    private static func address(_ text: Substring, _ isV4: Bool) -> IPAddress? {
        switch IPAddress(text) {
        case .v4(let number)?: isV4 ? .v4(number) : nil
        case .v6(let high, let low)?: isV4 ? nil : .v6(high: high, low: low)
        case nil: nil
        }
    }

    /// Decimal digits without a leading zero (section 2.1).
    private static func port(_ text: Substring) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != 48
        else { return nil }
        return UInt16(text)
    }

    // MARK: Version 2

    private func encodeV2(into bytes: inout [UInt8], hasChecksum: Bool) {
        let start = bytes.count
        bytes.append(contentsOf: Self.v2Signature)
        bytes.append(command == .local ? 0x20 : 0x21)
        let known = command == .proxy ? addresses : nil
        var body: [UInt8] = []
        var family: UInt8 = 0
        if let known {
            if case .v4 = known.source.address { family = 0x10 } else { family = 0x20 }
            family |= transport == .stream ? 1 : 2
            body.append(contentsOf: known.source.address.bytes)
            body.append(contentsOf: known.destination.address.bytes)
            body.appendBigEndian(known.source.port)
            body.appendBigEndian(known.destination.port)
        }
        bytes.append(family)
        bytes.appendBigEndian(UInt16(body.count + (hasChecksum ? 7 : 0)))
        bytes.append(contentsOf: body)
        guard hasChecksum else { return }
        bytes.append(Self.checksumType)
        bytes.appendBigEndian(UInt16(4))
        bytes.appendBigEndian(UInt32(0))
        let checksum = unsafe CRC32C.checksum(Array(bytes[start...]).span.bytes)
        bytes.removeLast(4)
        bytes.appendBigEndian(checksum)
    }

    private static func decodeV2(_ bytes: RawSpan) throws(WireError) -> (header: ProxyHeader, byteCount: Int)? {
        for index in 0..<min(v2Signature.count, bytes.byteCount) where bytes.byte(at: index) != v2Signature[index] {
            throw .missingMagic
        }
        guard bytes.byteCount > 12 else { return nil }
        let versionAndCommand = bytes.byte(at: 12)
        // "The highest four bits contains the version" and "other values are unassigned and must not be emitted".
        guard versionAndCommand == 0x20 || versionAndCommand == 0x21 else {
            throw .invalidField(offset: 12, found: UInt64(versionAndCommand))
        }
        guard bytes.byteCount > 13 else { return nil }
        let family = bytes.byte(at: 13)
        guard family >> 4 <= 3, family & 15 <= 2 else { throw .invalidField(offset: 13, found: UInt64(family)) }
        guard bytes.byteCount >= v2FixedByteCount else { return nil }
        let length = Int(bytes.bigEndianUInt16(at: 14))
        let end = v2FixedByteCount + length
        guard end <= v2ByteLimit else { throw .length(Int64(end), limit: v2ByteLimit) }
        let isLocal = versionAndCommand == 0x20
        let addressByteCount = isLocal ? 0 : byteCount(ofFamily: family)
        guard length >= addressByteCount else { throw .truncated(expected: addressByteCount, found: length) }
        guard bytes.byteCount >= end else { return nil }
        // A carrier's own header is to be accepted whatever its family; what the addresses say does not count then.
        if isLocal { return (ProxyHeader(command: .local, addresses: nil), end) }
        try checkValues(bytes, from: v2FixedByteCount + addressByteCount, to: end)
        let transport: Transport = family & 15 == 2 ? .datagram : .stream
        return (ProxyHeader(transport: transport, addresses: addresses(bytes, family)), end)
    }

    private static func byteCount(ofFamily family: UInt8) -> Int {
        if family & 15 == 0 { return 0 }
        switch family >> 4 {
        case 1: return 12
        case 2: return 36
        case 3: return 216
        default: return 0
        }
    }

    private static func addresses(_ bytes: RawSpan, _ family: UInt8) -> Addresses? {
        guard family & 15 != 0 else { return nil }
        switch family >> 4 {
        case 1:
            return Addresses(
                verbatimSource: IPEndpoint(.v4(bytes.bigEndianUInt32(at: 16)), bytes.bigEndianUInt16(at: 24)),
                destination: IPEndpoint(.v4(bytes.bigEndianUInt32(at: 20)), bytes.bigEndianUInt16(at: 26))
            )
        case 2:
            let source = IPAddress.v6(high: bytes.bigEndianUInt64(at: 16), low: bytes.bigEndianUInt64(at: 24))
            let destination = IPAddress.v6(high: bytes.bigEndianUInt64(at: 32), low: bytes.bigEndianUInt64(at: 40))
            return Addresses(
                verbatimSource: IPEndpoint(source, bytes.bigEndianUInt16(at: 48)),
                destination: IPEndpoint(destination, bytes.bigEndianUInt16(at: 50))
            )
        default: return nil
        }
    }

    /// Walks over the type-length-value vectors (section 2.2.1); only a checksum among them is looked at.
    private static func checkValues(_ bytes: RawSpan, from start: Int, to end: Int) throws(WireError) {
        var offset = start
        while offset < end {
            guard end - offset >= 3 else { throw .truncated(expected: 3, found: end - offset) }
            let type = bytes.byte(at: offset)
            let length = Int(bytes.bigEndianUInt16(at: offset + 1))
            guard length <= end - offset - 3 else { throw .truncated(expected: length, found: end - offset - 3) }
            if type == checksumType {
                guard length == 4 else { throw .invalidField(offset: offset + 1, found: UInt64(length)) }
                var copy = bytes.copyBytes(in: 0..<end)
                for index in 0..<4 { copy[offset + 3 + index] = 0 }
                let expected = unsafe CRC32C.checksum(copy.span.bytes)
                let found = bytes.bigEndianUInt32(at: offset + 3)
                guard found == expected else { throw .checksum(expected: expected, found: found) }
            }
            offset += 3 + length
        }
    }
}

extension ProxyHeader.Addresses {
    /// What a header says, with IPv4-mapped addresses as they came.
    fileprivate init(verbatimSource source: IPEndpoint, destination: IPEndpoint) {
        self.init(source: source, destination: destination)
        self.source = source
        self.destination = destination
    }
}
