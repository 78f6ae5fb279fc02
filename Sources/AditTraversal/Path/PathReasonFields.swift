// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// The facts that reasons have, each with its tag on the wire.
struct PathReasonFields {
    var side: PathSide?
    var sides: PathSides?
    var otherSides: PathSides?
    var transport: ICETransport?
    var kindA: NATKind?
    var kindB: NATKind?
    var allocationA: PortAllocation?
    var allocationB: PortAllocation?
    var addressA: IPAddress?
    var addressB: IPAddress?
    var port: UInt16?
    var stepA: Int?
    var stepB: Int?
    var count: Int?
    var probes: Int?
    var time: Duration?
    var search: PathSearchEnd?
    var lack: PathRelayLack?
    var inner: [UInt8]?

    private enum Tag {
        static let side: UInt8 = 1
        static let sides: UInt8 = 2
        static let otherSides: UInt8 = 3
        static let transport: UInt8 = 4
        static let kindA: UInt8 = 5
        static let kindB: UInt8 = 6
        static let allocationA: UInt8 = 7
        static let allocationB: UInt8 = 8
        static let addressA: UInt8 = 9
        static let addressB: UInt8 = 10
        static let port: UInt8 = 11
        static let stepA: UInt8 = 12
        static let stepB: UInt8 = 13
        static let count: UInt8 = 14
        static let probes: UInt8 = 15
        static let time: UInt8 = 16
        static let search: UInt8 = 17
        static let lack: UInt8 = 18
        static let inner: UInt8 = 19
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendField(Tag.side, side.map { [$0.rawValue] })
        bytes.appendField(Tag.sides, sides.map { [$0.rawValue] })
        bytes.appendField(Tag.otherSides, otherSides.map { [$0.rawValue] })
        bytes.appendField(Tag.transport, transport.map { [$0 == .udp ? 0 : 1] })
        bytes.appendField(Tag.kindA, kindA.map { [$0.code] })
        bytes.appendField(Tag.kindB, kindB.map { [$0.code] })
        bytes.appendField(Tag.allocationA, allocationA.map(\.wireBytes))
        bytes.appendField(Tag.allocationB, allocationB.map(\.wireBytes))
        bytes.appendField(Tag.addressA, addressA?.bytes)
        bytes.appendField(Tag.addressB, addressB?.bytes)
        bytes.appendField(Tag.port, port.map { Self.encode(UInt32($0)) })
        bytes.appendField(Tag.stepA, stepA.map(Self.encodeSigned))
        bytes.appendField(Tag.stepB, stepB.map(Self.encodeSigned))
        bytes.appendField(Tag.count, count.map { Self.encode(UInt32(clamping: $0)) })
        bytes.appendField(Tag.probes, probes.map { Self.encode(UInt32(clamping: $0)) })
        bytes.appendField(Tag.time, time.map { Self.encode(Self.milliseconds($0)) })
        bytes.appendField(Tag.search, search.map(Self.encode))
        bytes.appendField(Tag.lack, lack.map(Self.encode))
        bytes.appendField(Tag.inner, inner)
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathReasonFields {
        var facts = PathReasonFields()
        var fields = PathFields(byteCount: bytes.byteCount)
        while let field = try fields.next(in: bytes) {
            let value = bytes.extracting(field.value)
            switch field.tag {
            case Tag.side: facts.side = try checked(PathSide(rawValue: value.number()))
            case Tag.sides: facts.sides = try checked(PathSides(rawValue: value.number()))
            case Tag.otherSides: facts.otherSides = try checked(PathSides(rawValue: value.number()))
            case Tag.transport: facts.transport = try value.flag() ? .tcp : .udp
            case Tag.kindA: facts.kindA = NATKind(code: try value.number())
            case Tag.kindB: facts.kindB = NATKind(code: try value.number())
            case Tag.allocationA: facts.allocationA = try PortAllocation.decode(value)
            case Tag.allocationB: facts.allocationB = try PortAllocation.decode(value)
            case Tag.addressA: facts.addressA = try value.address()
            case Tag.addressB: facts.addressB = try value.address()
            case Tag.port: facts.port = try checked(UInt16(exactly: number(value)))
            case Tag.stepA: facts.stepA = Int(Int32(bitPattern: try number(value)))
            case Tag.stepB: facts.stepB = Int(Int32(bitPattern: try number(value)))
            case Tag.count: facts.count = Int(try number(value))
            case Tag.probes: facts.probes = Int(try number(value))
            case Tag.time: facts.time = .milliseconds(try number(value))
            case Tag.search: facts.search = try search(value)
            case Tag.lack: facts.lack = try lack(value)
            case Tag.inner: facts.inner = value.copyBytes(in: 0..<value.byteCount)
            default: break
            }
        }
        return facts
    }

    private static func checked<Value>(_ value: Value?) throws(WireError) -> Value {
        guard let value else { throw .invalidField(offset: 0, found: 0) }
        return value
    }

    private static func number(_ bytes: RawSpan) throws(WireError) -> UInt32 {
        try bytes.need(4)
        return bytes.bigEndianUInt32(at: 0)
    }

    private static func encode(_ number: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(number)
        return bytes
    }

    private static func encodeSigned(_ number: Int) -> [UInt8] {
        encode(UInt32(bitPattern: Int32(clamping: number)))
    }

    private static func milliseconds(_ time: Duration) -> UInt32 {
        guard time > .zero else { return 0 }
        guard time < .seconds(4_000_000) else { return 4_000_000_000 }
        return UInt32(clamping: time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000)
    }

    private static func encode(_ end: PathSearchEnd) -> [UInt8] {
        switch end {
        case .running: [0]
        case .foundNothing(let probes): [1] + encode(UInt32(clamping: probes))
        case .notAllowed(let sides): [2, sides.rawValue]
        case .hopeless: [3]
        }
    }

    private static func search(_ bytes: RawSpan) throws(WireError) -> PathSearchEnd? {
        switch try bytes.number() {
        case 0: return .running
        case 1: return .foundNothing(probes: Int(try number(bytes.extracting(1..<bytes.byteCount))))
        case 2:
            try bytes.need(2)
            return .notAllowed(try checked(PathSides(rawValue: bytes.byte(at: 1))))
        default: return .hopeless
        }
    }

    private static func encode(_ lack: PathRelayLack) -> [UInt8] {
        switch lack {
        case .directOnly(let sides): [0, sides.rawValue]
        case .notOffered: [1]
        case .silent: [2]
        }
    }

    private static func lack(_ bytes: RawSpan) throws(WireError) -> PathRelayLack? {
        switch try bytes.number() {
        case 0:
            try bytes.need(2)
            return .directOnly(try checked(PathSides(rawValue: bytes.byte(at: 1))))
        case 1: return .notOffered
        default: return .silent
        }
    }
}
