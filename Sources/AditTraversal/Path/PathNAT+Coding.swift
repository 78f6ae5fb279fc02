// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditWire

// Fields of a tag, a length and a value; a reader skips tags that it does not know.

extension PathNAT {
    private enum Tag {
        static let udp: UInt8 = 1
        static let tcp: UInt8 = 2
        static let hasIPv6: UInt8 = 3
        static let isCarrierGrade: UInt8 = 4
        static let opensPorts: UInt8 = 5
        static let address: UInt8 = 6
    }

    /// Appends its fields; at most 128 bytes.
    package func encode(into bytes: inout [UInt8]) {
        func nested(_ behavior: PathNATBehavior) -> [UInt8]? {
            var inner: [UInt8] = []
            behavior.encode(into: &inner)
            return inner.isEmpty ? nil : inner
        }
        bytes.appendField(Tag.udp, nested(udp))
        bytes.appendField(Tag.tcp, nested(tcp))
        bytes.appendField(Tag.hasIPv6, hasIPv6.map { [$0 ? 1 : 0] })
        bytes.appendField(Tag.isCarrierGrade, isCarrierGrade.map { [$0 ? 1 : 0] })
        bytes.appendField(Tag.opensPorts, opensPorts.map { [$0 ? 1 : 0] })
        bytes.appendField(Tag.address, address?.bytes)
    }

    /// Reads fields until the end of the span.
    ///
    /// Throws when a field breaks off or holds what it cannot hold.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> PathNAT {
        var nat = PathNAT()
        var fields = PathFields(byteCount: bytes.byteCount)
        while let field = try fields.next(in: bytes) {
            let value = bytes.extracting(field.value)
            switch field.tag {
            case Tag.udp: nat.udp = try PathNATBehavior.decode(value)
            case Tag.tcp: nat.tcp = try PathNATBehavior.decode(value)
            case Tag.hasIPv6: nat.hasIPv6 = try value.flag()
            case Tag.isCarrierGrade: nat.isCarrierGrade = try value.flag()
            case Tag.opensPorts: nat.opensPorts = try value.flag()
            case Tag.address: nat.address = try value.address()
            default: break
            }
        }
        return nat
    }
}

extension PathNATBehavior {
    private enum Tag {
        static let kind: UInt8 = 1
        static let mapping: UInt8 = 2
        static let filtering: UInt8 = 3
        static let allocation: UInt8 = 4
        static let range: UInt8 = 5
        static let hairpin: UInt8 = 6
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendField(Tag.kind, kind.map { [$0.code] })
        bytes.appendField(Tag.mapping, mapping.map { [Self.code(of: $0, in: MappingBehavior.allCases)] })
        bytes.appendField(Tag.filtering, filtering.map { [Self.code(of: $0, in: FilteringBehavior.allCases)] })
        bytes.appendField(Tag.allocation, allocation.map(\.wireBytes))
        bytes.appendField(Tag.range, range.map(\.wireBytes))
        bytes.appendField(Tag.hairpin, hairpin.map { [$0 ? 1 : 0] })
    }

    static func decode(_ bytes: RawSpan) throws(WireError) -> PathNATBehavior {
        var behavior = PathNATBehavior()
        var fields = PathFields(byteCount: bytes.byteCount)
        while let field = try fields.next(in: bytes) {
            let value = bytes.extracting(field.value)
            switch field.tag {
            // Kinds of a later version are unknown here, no fault.
            case Tag.kind: behavior.kind = NATKind(code: try value.number())
            case Tag.mapping: behavior.mapping = Self.element(try value.number(), of: MappingBehavior.allCases)
            case Tag.filtering: behavior.filtering = Self.element(try value.number(), of: FilteringBehavior.allCases)
            case Tag.allocation: behavior.allocation = try PortAllocation.decode(value)
            case Tag.range: behavior.range = try ClosedRange.decode(value)
            case Tag.hairpin: behavior.hairpin = try value.flag()
            default: break
            }
        }
        return behavior
    }

    private static func code<Element: Equatable>(of element: Element, in all: [Element]) -> UInt8 {
        UInt8(truncatingIfNeeded: all.firstIndex(of: element) ?? 0)
    }

    private static func element<Element>(_ code: UInt8, of all: [Element]) -> Element? {
        Int(code) < all.count ? all[Int(code)] : nil
    }
}

extension NATKind {
    /// Its number on the wire.
    var code: UInt8 { UInt8(truncatingIfNeeded: Self.allCases.firstIndex(of: self) ?? 0) }

    /// The kind with a number on the wire; nil for one of a later version.
    init?(code: UInt8) {
        guard Int(code) < Self.allCases.count else { return nil }
        self = Self.allCases[Int(code)]
    }
}

extension PortAllocation {
    /// A number and what belongs to it.
    var wireBytes: [UInt8] {
        switch self {
        case .preserving: return [0]
        case .random: return [1]
        case .sequential(let step):
            var bytes: [UInt8] = [2]
            bytes.appendBigEndian(UInt16(bitPattern: Int16(clamping: step)))
            return bytes
        case .block(let range): return [3] + range.wireBytes
        }
    }

    /// The allocation that fills the span; nil for one of a later version.
    static func decode(_ bytes: RawSpan) throws(WireError) -> PortAllocation? {
        switch try bytes.number() {
        case 0: return .preserving
        case 1: return .random
        case 2:
            try bytes.need(3)
            return .sequential(step: Int(Int16(bitPattern: bytes.bigEndianUInt16(at: 1))))
        case 3: return .block(try ClosedRange.decode(bytes.extracting(1..<bytes.byteCount)))
        default: return nil
        }
    }
}

extension ClosedRange<UInt16> {
    /// Both bounds, 2 bytes each.
    var wireBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(lowerBound)
        bytes.appendBigEndian(upperBound)
        return bytes
    }

    /// The range whose bounds fill the span.
    static func decode(_ bytes: RawSpan) throws(WireError) -> ClosedRange {
        try bytes.need(4)
        let lower = bytes.bigEndianUInt16(at: 0)
        let upper = bytes.bigEndianUInt16(at: 2)
        guard lower <= upper else { throw .invalidField(offset: 2, found: UInt64(upper)) }
        return lower...upper
    }
}
