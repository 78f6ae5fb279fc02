// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A router's answer by PCP (RFC 6887 section 7.2).
package struct PCPResponse: Sendable, Hashable {
    /// The version in the answer; it differs from 2 only where the router does not speak that.
    package var version: UInt8
    /// The outcome.
    package var result: PCPResult
    /// How long the mapping lasts, or for how long the error does, in seconds.
    package var lifetime: UInt32
    /// Seconds since the router lost its mappings (section 8.5).
    package var epoch: UInt32
    /// What the answer is about.
    package var body: PCPBody
    /// The options.
    package var options: [PCPOption]

    /// Makes it from its parts.
    package init(
        version: UInt8 = PCPMessage.version,
        result: PCPResult = .success,
        lifetime: UInt32,
        epoch: UInt32,
        body: PCPBody,
        options: [PCPOption] = []
    ) {
        self.version = version
        self.result = result
        self.lifetime = lifetime
        self.epoch = epoch
        self.body = body
        self.options = options
    }

    /// Reads an answer; also the one of 4 bytes or more by which a router says that it speaks NAT-PMP alone (version 0,
    /// result 1; RFC 6887 section 9, RFC 6886 section 3.5).
    ///
    /// - Throws: `WireError.invalidField` at offset 0 for another version, `WireError.length`, `WireError.truncated`.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> PCPResponse {
        guard bytes.byteCount >= 4 else { throw .truncated(expected: 4, found: bytes.byteCount) }
        let version = bytes.byte(at: 0)
        guard bytes.byte(at: 1) >= 128 else { throw .unexpectedType(UInt16(bytes.byte(at: 1))) }
        let opcode = bytes.byte(at: 1) - 128
        guard version == PCPMessage.version else {
            guard PCPResult(rawValue: bytes.byte(at: 3)) == .unsupportedVersion else {
                throw .invalidField(offset: 0, found: UInt64(version))
            }
            return PCPResponse(
                version: version,
                result: .unsupportedVersion,
                lifetime: 0,
                epoch: 0,
                body: .other(opcode: opcode)
            )
        }
        let header = PCPMessage.headerByteCount
        guard bytes.byteCount >= header else { throw .truncated(expected: header, found: bytes.byteCount) }
        guard bytes.byteCount <= PCPMessage.byteLimit else {
            throw .length(Int64(bytes.byteCount), limit: PCPMessage.byteLimit)
        }
        var response = PCPResponse(
            result: PCPResult(rawValue: bytes.byte(at: 3)),
            lifetime: bytes.bigEndianUInt32(at: 4),
            epoch: bytes.bigEndianUInt32(at: 8),
            body: .other(opcode: opcode)
        )
        switch opcode {
        case 0:
            response.body = .announce
        case 1 where bytes.byteCount >= header + PCPMessage.mapByteCount:
            response.body = .map(try PCPMap.decode(bytes, at: header))
            response.options = try PCPOption.decodeAll(bytes, from: header + PCPMessage.mapByteCount)
        case 1:
            // An error may come before the router has read the fields.
            guard response.result != .success else {
                throw .truncated(expected: header + PCPMessage.mapByteCount, found: bytes.byteCount)
            }
        default: break
        }
        return response
    }

    /// Appends the answer.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(version)
        bytes.append(body.opcode + 128)
        bytes.append(0)
        bytes.append(result.rawValue)
        bytes.appendBigEndian(lifetime)
        bytes.appendBigEndian(epoch)
        bytes += Array(repeating: 0, count: 12)
        body.encode(into: &bytes)
        for option in options { option.encode(into: &bytes) }
    }
}

/// The outcome of a request by PCP (RFC 6887 section 7.4).
package struct PCPResult: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    package var rawValue: UInt8

    /// Makes it from the number on the wire.
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Done.
    package static let success = PCPResult(rawValue: 0)
    /// The router does not speak this version.
    package static let unsupportedVersion = PCPResult(rawValue: 1)
    /// The router's owner forbids it.
    package static let notAuthorized = PCPResult(rawValue: 2)
    /// The request could not be read.
    package static let malformedRequest = PCPResult(rawValue: 3)
    /// The router does not know the opcode.
    package static let unsupportedOpcode = PCPResult(rawValue: 4)
    /// The router does not know an option that it must not skip.
    package static let unsupportedOption = PCPResult(rawValue: 5)
    /// The router has no network outside.
    package static let networkFailure = PCPResult(rawValue: 7)
    /// The router has no more mappings to give.
    package static let noResources = PCPResult(rawValue: 8)
    /// The router does not map this transport.
    package static let unsupportedProtocol = PCPResult(rawValue: 9)
    /// This client has too many.
    package static let userExceededQuota = PCPResult(rawValue: 10)
    /// The suggested port or address cannot be given, and another was not wanted.
    package static let cannotProvideExternal = PCPResult(rawValue: 11)
    /// The request came from another address than it says: a NAT stands in between.
    package static let addressMismatch = PCPResult(rawValue: 12)
}
