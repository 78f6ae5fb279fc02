// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

// A round, flags, then a list. What follows in a later version is skipped.

extension PathOpenersOffer {
    var encoded: [UInt8] {
        var bytes = [round, isOpened ? 1 : 0]
        bytes.appendEndpoints(endpoints.prefix(Self.endpointLimit))
        return bytes
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathOpenersOffer {
        try bytes.need(3)
        let endpoints = try bytes.endpoints(at: 2, limit: endpointLimit).endpoints
        return PathOpenersOffer(round: bytes.byte(at: 0), endpoints: endpoints, isOpened: bytes.byte(at: 1) & 1 != 0)
    }
}

extension PathTCPOffer {
    private enum Flag {
        static let isReady: UInt8 = 1
        static let goes: UInt8 = 2
        static let hasLocal: UInt8 = 4
    }

    var encoded: [UInt8] {
        var bytes = [
            round, (isReady ? Flag.isReady : 0) | (goes ? Flag.goes : 0) | (local == nil ? 0 : Flag.hasLocal),
        ]
        bytes.appendEndpoints(mapped.prefix(Self.endpointLimit))
        if let local { bytes.appendEndpoint(local) }
        return bytes
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathTCPOffer {
        try bytes.need(3)
        let flags = bytes.byte(at: 1)
        let (mapped, end) = try bytes.endpoints(at: 2, limit: endpointLimit)
        return PathTCPOffer(
            round: bytes.byte(at: 0),
            local: flags & Flag.hasLocal == 0 ? nil : try bytes.endpoint(at: end).endpoint,
            mapped: mapped,
            isReady: flags & Flag.isReady != 0,
            goes: flags & Flag.goes != 0
        )
    }
}

extension PathSearchOffer {
    var encoded: [UInt8] {
        var bytes = [round, stage.rawValue]
        bytes.appendEndpoints(samples.prefix(Self.sampleLimit))
        bytes.appendBigEndian(UInt16(clamping: probes))
        return bytes
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathSearchOffer {
        try bytes.need(3)
        guard let stage = Stage(rawValue: bytes.byte(at: 1)) else {
            throw .invalidField(offset: 1, found: UInt64(bytes.byte(at: 1)))
        }
        let (samples, end) = try bytes.endpoints(at: 2, limit: sampleLimit)
        let probes = bytes.byteCount >= end + 2 ? Int(bytes.bigEndianUInt16(at: end)) : 0
        return PathSearchOffer(round: bytes.byte(at: 0), stage: stage, samples: samples, probes: probes)
    }
}

extension [UInt8] {
    /// Appends how many bytes an address has, the address and the port.
    mutating func appendEndpoint(_ endpoint: IPEndpoint) {
        let address = endpoint.address.bytes
        append(UInt8(truncatingIfNeeded: address.count))
        append(contentsOf: address)
        appendBigEndian(endpoint.port)
    }

    /// Appends how many endpoints there are, and the endpoints.
    mutating func appendEndpoints(_ endpoints: ArraySlice<IPEndpoint>) {
        append(UInt8(truncatingIfNeeded: endpoints.count))
        for endpoint in endpoints { appendEndpoint(endpoint) }
    }

    /// Appends a field with a length of two bytes; what is longer than 65 535 bytes traps.
    mutating func appendLongField(_ tag: UInt8, _ value: [UInt8]) {
        append(tag)
        appendBigEndian(UInt16(value.count))
        append(contentsOf: value)
    }
}

extension RawSpan {
    /// The endpoint at `offset`, and where it ends.
    func endpoint(at offset: Int) throws(WireError) -> (endpoint: IPEndpoint, end: Int) {
        try need(offset + 1)
        let end = offset + 1 + Int(byte(at: offset)) + 2
        try need(end)
        let address = try extracting(offset + 1..<end - 2).address()
        return (IPEndpoint(address, bigEndianUInt16(at: end - 2)), end)
    }

    /// A count and as many endpoints, of which those beyond the limit are left out, and where they end.
    func endpoints(at offset: Int, limit: Int) throws(WireError) -> (endpoints: [IPEndpoint], end: Int) {
        try need(offset + 1)
        var endpoints: [IPEndpoint] = []
        var next = offset + 1
        for _ in 0..<Int(byte(at: offset)) {
            let (endpoint, end) = try endpoint(at: next)
            if endpoints.count < limit { endpoints.append(endpoint) }
            next = end
        }
        return (endpoints, next)
    }
}

/// Walks over fields of a tag (1 byte), a length (2 bytes) and a value.
struct PathLongFields {
    private let byteCount: Int
    private var offset = 0

    init(byteCount: Int) {
        self.byteCount = byteCount
    }

    /// The next field; nil at the end of the span.
    mutating func next(in bytes: RawSpan) throws(WireError) -> (tag: UInt8, value: Range<Int>)? {
        guard offset < byteCount else { return nil }
        guard byteCount - offset >= 3 else { throw .truncated(expected: 3, found: byteCount - offset) }
        let length = Int(bytes.bigEndianUInt16(at: offset + 1))
        let start = offset + 3
        guard byteCount - start >= length else { throw .truncated(expected: length, found: byteCount - start) }
        defer { offset = start + length }
        return (bytes.byte(at: offset), start..<start + length)
    }
}
