// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// The response to one Binding request: where it goes and what it says.
struct STUNAnswer {
    enum Failure {
        case unknownAttribute
        case badRequest
    }

    private let request: STUNRequest
    private let mapped: IPEndpoint
    private let origin: IPEndpoint?
    private let other: IPEndpoint?
    private let alternatePort: UInt16?
    private let isDatagram: Bool
    private(set) var error: Failure?
    private(set) var unknownTypes: [UInt16]
    let route: STUNReplyRoute

    init(
        _ request: STUNRequest,
        from source: IPEndpoint,
        at socket: STUNServerSocket,
        over transport: STUNTransport,
        to configuration: STUNServerConfiguration
    ) {
        self.request = request
        isDatagram = transport == .udp
        mapped = IPEndpoint(source.address.unmapped, source.port)
        unknownTypes = request.unknownTypes
        let addresses = configuration.addresses(like: mapped.address)
        var route = STUNReplyRoute(destination: source, socket: socket)
        if !unknownTypes.isEmpty { error = .unknownAttribute }
        if request.hasChangeRequest, request.changesAddress || request.changesPort {
            let isAvailable =
                transport == .udp && (!request.changesAddress || addresses?.alternate != nil)
                && (!request.changesPort || configuration.alternatePort != nil)
            if isAvailable {
                if request.changesAddress { route.socket.isAlternateAddress.toggle() }
                if request.changesPort { route.socket.isAlternatePort.toggle() }
            } else {
                error = .unknownAttribute
                unknownTypes.append(STUNAttributeType.changeRequest)
            }
        }
        if let port = request.responsePort {
            if transport != .udp {
                error = .unknownAttribute
                unknownTypes.append(STUNAttributeType.responsePort)
            } else if port == 0 || request.hasPadding {
                // RFC 5780 section 6: the two together would be a way to send much to somebody's port.
                error = error ?? .badRequest
            } else {
                route.destination.port = port
            }
        }
        // An error goes back the way that the request came.
        if error != nil { route = STUNReplyRoute(destination: source, socket: socket) }
        self.route = route
        guard transport != .tls, error == nil else {
            origin = nil
            other = nil
            alternatePort = nil
            return
        }
        let endpoint = { (socket: STUNServerSocket) -> IPEndpoint? in
            let address = socket.isAlternateAddress ? addresses?.alternate : addresses?.primary
            let port = socket.isAlternatePort ? configuration.alternatePort : configuration.port
            guard let address, let port else { return nil }
            return IPEndpoint(address, port)
        }
        origin = endpoint(route.socket)
        let opposite = STUNServerSocket(
            isAlternateAddress: !socket.isAlternateAddress,
            isAlternatePort: !socket.isAlternatePort
        )
        other = endpoint(opposite)
        alternatePort = socket.isAlternatePort ? configuration.port : configuration.alternatePort
    }

    /// Writes the response.
    ///
    /// - Parameters:
    ///   - budget: how long it may be, in bytes, beyond what it must hold.
    ///   - credit: by how much addresses and reasons may exceed that; nobody needs SOFTWARE so much.
    ///   - requestByteCount: how long the request was.
    ///   - software: what SOFTWARE says; empty to leave it out.
    mutating func write(
        into reply: inout [UInt8],
        budget own: Int,
        credit: Int,
        requestByteCount: Int,
        software: [UInt8]
    ) {
        let budget = own + credit
        reply.reserveCapacity(160)
        let header = request.header
        reply.appendBigEndian(UInt16(error == nil ? 0x0101 : 0x0111))
        reply.appendBigEndian(UInt16(0))
        reply.appendBigEndian(header.cookie)
        reply.appendBigEndian(header.transactionID.high)
        reply.appendBigEndian(header.transactionID.low)
        if let error {
            writeError(error, into: &reply, budget: budget)
        } else if header.isClassic {
            Self.write(STUNAttributeType.mappedAddress, mapped, into: &reply)
            writeOptional(STUNAttributeType.changedAddress, other, into: &reply, budget: budget)
            writeOptional(STUNAttributeType.sourceAddress, origin, into: &reply, budget: budget)
        } else {
            // What must be there, then what a client misses most.
            Self.write(
                STUNAttributeType.xorMappedAddress,
                mapped.masked(cookie: header.cookie, transactionID: header.transactionID),
                into: &reply
            )
            let rest = request.hasFingerprint ? budget - 8 : budget
            writeOptional(STUNAttributeType.otherAddress, other, into: &reply, budget: rest)
            if other == nil, let alternatePort, reply.count + 8 <= rest {
                reply.appendBigEndian(STUNAttributeType.alternatePort)
                reply.appendBigEndian(UInt16(4))
                reply.appendBigEndian(UInt32(alternatePort) << 16)
            }
            writeOptional(STUNAttributeType.responseOrigin, origin, into: &reply, budget: rest)
            writeOptional(STUNAttributeType.mappedAddress, mapped, into: &reply, budget: rest)
            if !software.isEmpty,
                reply.count + 4 + (software.count + 3) & ~3 <= (request.hasFingerprint ? own - 8 : own)
            {
                Self.write(STUNAttributeType.software, software, into: &reply)
            }
            if request.hasPadding, isDatagram {
                writePadding(into: &reply, requestByteCount: requestByteCount)
            }
        }
        setLength(of: &reply, adding: 0)
        if request.hasFingerprint, reply.count + 8 <= budget {
            setLength(of: &reply, adding: 8)
            let fingerprint = STUNFingerprint.value(of: reply.span.bytes)
            reply.appendBigEndian(STUNAttributeType.fingerprint)
            reply.appendBigEndian(UInt16(4))
            reply.appendBigEndian(fingerprint)
        }
    }

    private func writeError(_ error: Failure, into reply: inout [UInt8], budget: Int) {
        let number: UInt32
        let reason: StaticString
        switch error {
        case .badRequest: (number, reason) = (400, "Bad Request ")
        case .unknownAttribute: (number, reason) = (420, "Unknown Attribute   ")
        }
        let typeCount = error == .unknownAttribute ? unknownTypes.count : 0
        let listByteCount = typeCount == 0 ? 0 : 4 + (2 * typeCount + 3) & ~3
        let hasReason = reply.count + 8 + reason.utf8CodeUnitCount + listByteCount <= budget
        reply.appendBigEndian(STUNAttributeType.errorCode)
        reply.appendBigEndian(UInt16(4 + (hasReason ? reason.utf8CodeUnitCount : 0)))
        reply.appendBigEndian((number / 100) << 8 | number % 100)
        if hasReason { reason.withUTF8Buffer { reply.append(contentsOf: $0) } }
        guard typeCount > 0 else { return }
        // RFC 3489 has no padding: an odd list repeats its last type (section 11.2.10). Two always fit.
        let room = budget - reply.count - 4
        let listed = unknownTypes.prefix(min(typeCount, max(room / 4 * 2, 2)))
        let isRepeated = request.header.isClassic && listed.count & 1 == 1
        reply.appendBigEndian(STUNAttributeType.unknownAttributes)
        reply.appendBigEndian(UInt16(2 * (listed.count + (isRepeated ? 1 : 0))))
        for type in listed { reply.appendBigEndian(type) }
        if listed.count & 1 == 1 { reply.appendBigEndian(isRepeated ? listed[listed.endIndex - 1] : 0) }
    }

    /// PADDING up to the length of the request, never more (RFC 5780 section 7.6 wants the MTU, which would amplify).
    private func writePadding(into reply: inout [UInt8], requestByteCount: Int) {
        let end = min(requestByteCount, STUNResponder.paddedByteLimit) - (request.hasFingerprint ? 8 : 0)
        let count = (end - reply.count - 4) & ~3
        guard count >= 0 else { return }
        reply.appendBigEndian(STUNAttributeType.padding)
        reply.appendBigEndian(UInt16(count))
        reply.append(contentsOf: repeatElement(0, count: count))
    }

    private func writeOptional(_ type: UInt16, _ endpoint: IPEndpoint?, into reply: inout [UInt8], budget: Int) {
        guard let endpoint else { return }
        let byteCount: Int
        switch endpoint.address {
        case .v4: byteCount = 12
        case .v6: byteCount = 24
        }
        if reply.count + byteCount <= budget { Self.write(type, endpoint, into: &reply) }
    }

    private static func write(_ type: UInt16, _ endpoint: IPEndpoint, into reply: inout [UInt8]) {
        reply.appendBigEndian(type)
        switch endpoint.address {
        case .v4(let number):
            reply.appendBigEndian(UInt32(8) << 16 | 1)
            reply.appendBigEndian(endpoint.port)
            reply.appendBigEndian(number)
        case .v6(let high, let low):
            reply.appendBigEndian(UInt32(20) << 16 | 2)
            reply.appendBigEndian(endpoint.port)
            reply.appendBigEndian(high)
            reply.appendBigEndian(low)
        }
    }

    private static func write(_ type: UInt16, _ value: [UInt8], into reply: inout [UInt8]) {
        reply.appendBigEndian(type)
        reply.appendBigEndian(UInt16(value.count))
        reply.append(contentsOf: value)
        reply.append(contentsOf: repeatElement(0, count: -value.count & 3))
    }

    private func setLength(of reply: inout [UInt8], adding more: Int) {
        let length = reply.count - STUNMessage.headerByteCount + more
        reply[2] = UInt8(truncatingIfNeeded: length >> 8)
        reply[3] = UInt8(truncatingIfNeeded: length)
    }
}
