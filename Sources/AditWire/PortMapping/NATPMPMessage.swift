// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A request to a router by NAT-PMP (RFC 6886), sent to its UDP port 5351.
package enum NATPMPRequest: Sendable, Hashable {
    /// Which address the router has outside (section 3.2).
    case externalAddress
    /// A port, or its removal when the lifetime is 0 (sections 3.3 and 3.4).
    case map(PortMappingTransport, internalPort: UInt16, externalPort: UInt16, lifetime: UInt32)

    /// The UDP port of routers, for NAT-PMP and for PCP.
    package static var serverPort: UInt16 { 5351 }

    /// Reads a request.
    ///
    /// - Throws: `WireError.unknownType` for another version or opcode, `WireError.truncated`.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> NATPMPRequest {
        guard bytes.byteCount >= 2 else { throw .truncated(expected: 2, found: bytes.byteCount) }
        guard bytes.byte(at: 0) == 0 else { throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0))) }
        let opcode = bytes.byte(at: 1)
        if opcode == 0 { return .externalAddress }
        guard let transport = NATPMPOpcode.transport(opcode) else { throw .unknownType(UInt16(opcode)) }
        guard bytes.byteCount >= 12 else { throw .truncated(expected: 12, found: bytes.byteCount) }
        return .map(
            transport,
            internalPort: bytes.bigEndianUInt16(at: 4),
            externalPort: bytes.bigEndianUInt16(at: 6),
            lifetime: bytes.bigEndianUInt32(at: 8)
        )
    }

    /// Appends the request: 2 or 12 bytes.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(0)
        switch self {
        case .externalAddress:
            bytes.append(0)
        case .map(let transport, let internalPort, let externalPort, let lifetime):
            bytes.append(NATPMPOpcode.map(transport))
            bytes.appendBigEndian(UInt16(0))
            bytes.appendBigEndian(internalPort)
            bytes.appendBigEndian(externalPort)
            bytes.appendBigEndian(lifetime)
        }
    }
}

/// A router's answer by NAT-PMP (RFC 6886 sections 3.2 to 3.5).
package struct NATPMPResponse: Sendable, Hashable {
    /// What the answer is about.
    package enum Body: Sendable, Hashable {
        /// The router's IPv4 address outside.
        case externalAddress(IPAddress)
        /// The port that was given; a lifetime of 0 says that it was removed.
        case map(PortMappingTransport, internalPort: UInt16, externalPort: UInt16, lifetime: UInt32)
        /// An answer with an error to the request of this opcode; its fields mean nothing.
        case failed(opcode: UInt8)
    }

    /// The outcome.
    package var result: NATPMPResult
    /// Seconds since the router lost its mappings (section 3.6).
    package var epoch: UInt32
    /// What the answer is about.
    package var body: Body

    /// Makes it from its parts.
    package init(result: NATPMPResult = .success, epoch: UInt32, body: Body) {
        self.result = result
        self.epoch = epoch
        self.body = body
    }

    /// Reads an answer; one with an error may be shorter than a good one.
    ///
    /// - Throws: `WireError.unknownType` for another version or opcode, `WireError.truncated`.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> NATPMPResponse {
        guard bytes.byteCount >= 4 else { throw .truncated(expected: 4, found: bytes.byteCount) }
        guard bytes.byte(at: 0) == 0 else { throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0))) }
        guard bytes.byte(at: 1) >= 128 else { throw .unexpectedType(UInt16(bytes.byte(at: 1))) }
        let opcode = bytes.byte(at: 1) - 128
        let result = NATPMPResult(rawValue: bytes.bigEndianUInt16(at: 2))
        guard result == .success else {
            let epoch = bytes.byteCount >= 8 ? bytes.bigEndianUInt32(at: 4) : 0
            return NATPMPResponse(result: result, epoch: epoch, body: .failed(opcode: opcode))
        }
        let length = opcode == 0 ? 12 : 16
        guard bytes.byteCount >= length else { throw .truncated(expected: length, found: bytes.byteCount) }
        let epoch = bytes.bigEndianUInt32(at: 4)
        if opcode == 0 {
            return NATPMPResponse(epoch: epoch, body: .externalAddress(.v4(bytes.bigEndianUInt32(at: 8))))
        }
        guard let transport = NATPMPOpcode.transport(opcode) else { throw .unknownType(UInt16(opcode)) }
        return NATPMPResponse(
            epoch: epoch,
            body: .map(
                transport,
                internalPort: bytes.bigEndianUInt16(at: 8),
                externalPort: bytes.bigEndianUInt16(at: 10),
                lifetime: bytes.bigEndianUInt32(at: 12)
            )
        )
    }

    /// Appends the answer: 8, 12 or 16 bytes.
    package func encode(into bytes: inout [UInt8]) {
        let opcode: UInt8 =
            switch body {
            case .externalAddress: 0
            case .map(let transport, _, _, _): NATPMPOpcode.map(transport)
            case .failed(let opcode): opcode & 127
            }
        bytes.append(0)
        bytes.append(opcode + 128)
        bytes.appendBigEndian(result.rawValue)
        bytes.appendBigEndian(epoch)
        switch body {
        case .externalAddress(.v4(let number)): bytes.appendBigEndian(number)
        case .externalAddress: bytes.appendBigEndian(UInt32(0))
        case .map(_, let internalPort, let externalPort, let lifetime):
            bytes.appendBigEndian(internalPort)
            bytes.appendBigEndian(externalPort)
            bytes.appendBigEndian(lifetime)
        case .failed: break
        }
    }
}

/// The outcome of a request by NAT-PMP (RFC 6886 section 3.5).
package struct NATPMPResult: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    package var rawValue: UInt16

    /// Makes it from the number on the wire.
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Done.
    package static let success = NATPMPResult(rawValue: 0)
    /// The router does not speak this version.
    package static let unsupportedVersion = NATPMPResult(rawValue: 1)
    /// The router's owner forbids it.
    package static let notAuthorized = NATPMPResult(rawValue: 2)
    /// The router has no network outside.
    package static let networkFailure = NATPMPResult(rawValue: 3)
    /// The router has no more mappings to give.
    package static let outOfResources = NATPMPResult(rawValue: 4)
    /// The router does not know the opcode.
    package static let unsupportedOpcode = NATPMPResult(rawValue: 5)
}

private enum NATPMPOpcode {
    static func transport(_ opcode: UInt8) -> PortMappingTransport? {
        switch opcode {
        case 1: .udp
        case 2: .tcp
        default: nil
        }
    }

    static func map(_ transport: PortMappingTransport) -> UInt8 {
        transport == .udp ? 1 : 2
    }
}
