// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditWire

// A reason is a number and fields behind it; a reader skips fields that it does not know, and a number that it does not
// know is `.unnamed`.

extension PathReason {
    /// Appends it; at most 160 bytes.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(code)
        var fields: [UInt8] = []
        encodeFields(into: &fields)
        bytes.append(contentsOf: fields)
    }

    /// Reads a reason that fills the span.
    ///
    /// Throws when a field breaks off, is missing, or holds what it cannot hold.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> PathReason {
        try decode(bytes, isNested: false)
    }

    private var code: UInt8 {
        switch self {
        case .unnamed: 0
        case .sameNetwork: 1
        case .ipv6: 2
        case .portMapping: 3
        case .publicAddress: 4
        case .punched: 5
        case .learnt: 6
        case .tcpForLackOfUDP: 7
        case .predicted: 8
        case .window: 9
        case .birthday: 10
        case .block: 11
        case .hairpin: 12
        case .searching: 32
        case .symmetricMeetsStrict: 33
        case .bothSymmetric: 34
        case .udpBlockedAndTCPSymmetric: 35
        case .onlyWeb: 36
        case .relayOnly: 37
        case .noAnswer: 38
        case .noHairpin: 39
        case .signallingLost: 40
        case .noRelay: 41
        case .noCommonFamily: 42
        }
    }

    private func encodeFields(into bytes: inout [UInt8]) {
        var fields = PathReasonFields()
        switch self {
        case .sameNetwork(let a, let b), .ipv6(let a, let b):
            fields.addressA = a
            fields.addressB = b
        case .portMapping(let side, let endpoint):
            fields.side = side
            fields.addressA = endpoint.address
            fields.port = endpoint.port
        case .publicAddress(let side, let address):
            fields.side = side
            fields.addressA = address
        case .punched(let transport, let a, let b):
            fields.transport = transport
            fields.kindA = a
            fields.kindB = b
        case .learnt(let side, let port, let transport, let filter):
            fields.side = side
            fields.port = port
            fields.transport = transport
            fields.kindA = filter
        case .tcpForLackOfUDP(let sides, let a, let b):
            fields.sides = sides
            fields.kindA = a
            fields.kindB = b
        case .predicted(let side, let transport, let step, let guesses):
            fields.side = side
            fields.transport = transport
            fields.stepA = step
            fields.count = guesses
        case .window(let transport, let stepA, let stepB, let sockets):
            fields.transport = transport
            fields.stepA = stepA
            fields.stepB = stepB
            fields.count = sockets
        case .birthday(let side, let sockets, let probes):
            fields.side = side
            fields.count = sockets
            fields.probes = probes
        case .block(let sides, let ports, let probes):
            fields.sides = sides
            fields.count = ports
            fields.probes = probes
        case .hairpin(let address), .noHairpin(let address): fields.addressA = address
        case .searching(let a, let b):
            fields.kindA = a
            fields.kindB = b
        case .symmetricMeetsStrict(let side, let strict, let end):
            fields.side = side
            fields.kindA = strict
            fields.search = end
        case .bothSymmetric(let a, let b, let end):
            fields.allocationA = a
            fields.allocationB = b
            fields.search = end
        case .udpBlockedAndTCPSymmetric(let blocked, let symmetric):
            fields.sides = blocked
            fields.otherSides = symmetric
        case .onlyWeb(let sides), .relayOnly(let sides): fields.sides = sides
        case .noCommonFamily(let side): fields.side = side
        case .noAnswer(let time, let a, let b):
            fields.time = time
            fields.kindA = a
            fields.kindB = b
        case .noRelay(let lack, let inner):
            fields.lack = lack
            var nested: [UInt8] = []
            // One inside another says all there is to say.
            if case .noRelay = inner { PathReason.unnamed.encode(into: &nested) } else { inner.encode(into: &nested) }
            fields.inner = nested
        case .signallingLost, .unnamed: break
        }
        fields.encode(into: &bytes)
    }

    private static func decode(_ bytes: RawSpan, isNested: Bool) throws(WireError) -> PathReason {
        let code = try bytes.number()
        let fields = try PathReasonFields.decode(bytes.extracting(1..<bytes.byteCount))
        func need<Value>(_ value: Value?) throws(WireError) -> Value {
            guard let value else { throw .invalidField(offset: 0, found: UInt64(code)) }
            return value
        }
        switch code {
        case 1: return .sameNetwork(a: try need(fields.addressA), b: try need(fields.addressB))
        case 2: return .ipv6(a: try need(fields.addressA), b: try need(fields.addressB))
        case 3:
            return .portMapping(try need(fields.side), IPEndpoint(try need(fields.addressA), try need(fields.port)))
        case 4: return .publicAddress(try need(fields.side), try need(fields.addressA))
        case 5: return .punched(try need(fields.transport), a: fields.kindA, b: fields.kindB)
        case 6:
            return .learnt(
                of: try need(fields.side),
                port: try need(fields.port),
                try need(fields.transport),
                filter: fields.kindA
            )
        case 7: return .tcpForLackOfUDP(try need(fields.sides), a: fields.kindA, b: fields.kindB)
        case 8:
            return .predicted(
                of: try need(fields.side),
                try need(fields.transport),
                step: try need(fields.stepA),
                guesses: try need(fields.count)
            )
        case 9:
            return .window(
                try need(fields.transport),
                stepA: try need(fields.stepA),
                stepB: try need(fields.stepB),
                sockets: try need(fields.count)
            )
        case 10:
            return .birthday(
                of: try need(fields.side),
                sockets: try need(fields.count),
                probes: try need(fields.probes)
            )
        case 11:
            return .block(try need(fields.sides), ports: try need(fields.count), probes: try need(fields.probes))
        case 12: return .hairpin(try need(fields.addressA))
        case 32: return .searching(a: fields.kindA, b: fields.kindB)
        case 33:
            return .symmetricMeetsStrict(
                of: try need(fields.side),
                strict: fields.kindA,
                try need(fields.search)
            )
        case 34:
            return .bothSymmetric(a: fields.allocationA, b: fields.allocationB, try need(fields.search))
        case 35:
            return .udpBlockedAndTCPSymmetric(blocked: try need(fields.sides), symmetric: try need(fields.otherSides))
        case 36: return .onlyWeb(try need(fields.sides))
        case 37: return .relayOnly(try need(fields.sides))
        case 38: return .noAnswer(try need(fields.time), a: fields.kindA, b: fields.kindB)
        case 39: return .noHairpin(try need(fields.addressA))
        case 40: return .signallingLost
        case 41:
            guard !isNested else { throw .unexpectedType(UInt16(code)) }
            let inner = try need(fields.inner)
            return .noRelay(try need(fields.lack), try decode(inner.span.bytes, isNested: true))
        case 42: return .noCommonFamily(v6: try need(fields.side))
        default: return .unnamed
        }
    }
}
