// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A request to a router by PCP (RFC 6887 section 7.1), sent to its UDP port 5351.
package struct PCPRequest: Sendable, Hashable {
    /// How long the mapping is wanted, in seconds; 0 removes it.
    package var lifetime: UInt32
    /// The address from which the client believes to send.
    package var client: IPAddress
    /// What is asked.
    package var body: PCPBody
    /// The options, at most 32.
    package var options: [PCPOption]

    /// Makes it from its parts.
    package init(lifetime: UInt32, client: IPAddress, body: PCPBody, options: [PCPOption] = []) {
        self.lifetime = lifetime
        self.client = client
        self.body = body
        self.options = options
    }

    /// Reads a request.
    ///
    /// - Throws: `WireError.invalidField` at offset 0 for another version, `WireError.length`, `WireError.truncated`.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> PCPRequest {
        let header = PCPMessage.headerByteCount
        guard bytes.byteCount >= 2 else { throw .truncated(expected: header, found: bytes.byteCount) }
        guard bytes.byte(at: 0) == PCPMessage.version else {
            throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0)))
        }
        guard bytes.byteCount <= PCPMessage.byteLimit else {
            throw .length(Int64(bytes.byteCount), limit: PCPMessage.byteLimit)
        }
        guard bytes.byteCount >= header else { throw .truncated(expected: header, found: bytes.byteCount) }
        guard bytes.byteCount.isMultiple(of: 4) else {
            throw .length(Int64(bytes.byteCount), limit: bytes.byteCount & ~3)
        }
        let opcode = bytes.byte(at: 1)
        guard opcode < 128 else { throw .unexpectedType(UInt16(opcode)) }
        var request = PCPRequest(
            lifetime: bytes.bigEndianUInt32(at: 4),
            client: PCPAddress.decode(bytes, at: 8),
            body: .other(opcode: opcode)
        )
        switch opcode {
        case 0:
            request.body = .announce
            request.options = try PCPOption.decodeAll(bytes, from: header)
        case 1:
            let end = header + PCPMessage.mapByteCount
            guard bytes.byteCount >= end else { throw .truncated(expected: end, found: bytes.byteCount) }
            request.body = .map(try PCPMap.decode(bytes, at: header))
            request.options = try PCPOption.decodeAll(bytes, from: end)
        default: break
        }
        return request
    }

    /// Appends the request.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(PCPMessage.version)
        bytes.append(body.opcode)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(lifetime)
        bytes += PCPAddress.encode(client)
        body.encode(into: &bytes)
        for option in options { option.encode(into: &bytes) }
    }
}
