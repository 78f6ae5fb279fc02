// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Bounds of PCP (RFC 6887 section 7).
package enum PCPMessage {
    /// The longest message, in bytes.
    package static var byteLimit: Int { 1100 }
    /// The version that is spoken.
    package static var version: UInt8 { 2 }
    /// The most options of a message.
    static var optionLimit: Int { 32 }
    /// The length of the common header of requests and responses, in bytes.
    static var headerByteCount: Int { 24 }
    /// The length of MAP's own fields, in bytes.
    static var mapByteCount: Int { 36 }
}

/// The number that ties a mapping to who made it (RFC 6887 section 11.1): 96 random bits.
package struct PCPNonce: Sendable, Hashable {
    /// The upper 64 bits.
    package var high: UInt64
    /// The lower 32 bits.
    package var low: UInt32

    /// Makes it from its parts.
    package init(high: UInt64, low: UInt32) {
        self.high = high
        self.low = low
    }

    /// Makes a random one.
    package init(using random: inout some RandomNumberGenerator) {
        high = random.next()
        low = random.next()
    }

    /// Its 12 bytes, as they are on the wire.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(high)
        bytes.appendBigEndian(low)
        return bytes
    }
}

/// The fields of MAP, in requests and responses alike (RFC 6887 section 11.1).
package struct PCPMap: Sendable, Hashable {
    /// Who made the mapping.
    package var nonce: PCPNonce
    /// What the port belongs to.
    package var transport: PortMappingTransport
    /// The port of the host that asks.
    package var internalPort: UInt16
    /// The suggested or assigned external port; 0 for any.
    package var externalPort: UInt16
    /// The suggested or assigned external address; unspecified for any.
    package var externalAddress: IPAddress

    /// Makes it from its parts.
    package init(
        nonce: PCPNonce,
        transport: PortMappingTransport,
        internalPort: UInt16,
        externalPort: UInt16,
        externalAddress: IPAddress
    ) {
        self.nonce = nonce
        self.transport = transport
        self.internalPort = internalPort
        self.externalPort = externalPort
        self.externalAddress = externalAddress
    }

    static func decode(_ bytes: RawSpan, at offset: Int) throws(WireError) -> PCPMap {
        let number = bytes.byte(at: offset + 12)
        guard let transport = PortMappingTransport(rawValue: number) else {
            throw .invalidField(offset: offset + 12, found: UInt64(number))
        }
        return PCPMap(
            nonce: PCPNonce(high: bytes.bigEndianUInt64(at: offset), low: bytes.bigEndianUInt32(at: offset + 8)),
            transport: transport,
            internalPort: bytes.bigEndianUInt16(at: offset + 16),
            externalPort: bytes.bigEndianUInt16(at: offset + 18),
            externalAddress: PCPAddress.decode(bytes, at: offset + 20)
        )
    }

    func encode(into bytes: inout [UInt8]) {
        bytes += nonce.bytes
        bytes.append(transport.rawValue)
        bytes += [0, 0, 0]
        bytes.appendBigEndian(internalPort)
        bytes.appendBigEndian(externalPort)
        bytes += PCPAddress.encode(externalAddress)
    }
}

/// What a message of PCP is about.
package enum PCPBody: Sendable, Hashable {
    /// Whether the server is there, and its epoch (RFC 6887 section 14.1).
    case announce
    /// A port, or its removal when the lifetime is 0.
    case map(PCPMap)
    /// Any other opcode; in a response with an error also one whose fields were cut.
    case other(opcode: UInt8)

    var opcode: UInt8 {
        switch self {
        case .announce: 0
        case .map: 1
        case .other(let opcode): opcode & 127
        }
    }

    func encode(into bytes: inout [UInt8]) {
        if case .map(let map) = self { map.encode(into: &bytes) }
    }
}
