// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address, without a zone.
package enum IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 address as its 32-bit number.
    case v4(UInt32)
    /// An IPv6 address as the upper and the lower 64 bits of its number.
    case v6(high: UInt64, low: UInt64)

    /// Reads dotted-decimal IPv4 or any spelling of IPv6 in RFC 4291 section 2.2; nil for anything else.
    ///
    /// A zone (`%eth0`), brackets, leading zeros in IPv4 and surrounding space are not accepted.
    package init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let (high, low) = Self.parseIPv6(Substring(text)) else { return nil }
            self = .v6(high: high, low: low)
        } else {
            guard let number = Self.parseIPv4(Substring(text)) else { return nil }
            self = .v4(number)
        }
    }

    /// The bytes of the address in network order: 4 or 16 of them.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .v4(let number): bytes.appendBigEndian(number)
        case .v6(let high, let low):
            bytes.appendBigEndian(high)
            bytes.appendBigEndian(low)
        }
        return bytes
    }

    /// Whether it is 127.0.0.0/8 or ::1, also when written as an IPv4-mapped address.
    package var isLoopback: Bool {
        switch unmapped {
        case .v4(let number): number >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    /// Whether it is 0.0.0.0 or `::`.
    package var isUnspecified: Bool {
        switch unmapped {
        case .v4(let number): number == 0
        case .v6(let high, let low): high == 0 && low == 0
        }
    }

    /// Whether it is 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
    package var isLinkLocal: Bool {
        switch unmapped {
        case .v4(let number): number >> 16 == 0xA9FE
        case .v6(let high, _): high >> 54 == 0x3FA
        }
    }

    /// Whether a cloud hands out a machine's credentials there, or steers the machine.
    package var isMetadataService: Bool {
        switch unmapped {
        // 169.254.169.254; 100.100.100.200 at Alibaba Cloud, 168.63.129.16 at Azure, 192.0.0.192 at Oracle Cloud.
        case .v4(let number): [0xA9FE_A9FE, 0x6464_64C8, 0xA83F_8110, 0xC000_00C0].contains(number)
        // fd00:ec2::/32, of which ::254 is at Amazon; fd20:ce::254 at Google.
        case .v6(let high, let low): high >> 32 == 0xFD00_0EC2 || high == 0xFD20_00CE << 32 && low == 0x254
        }
    }

    /// The IPv4 address inside an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), else the address itself.
    package var unmapped: IPAddress {
        if case .v6(0, let low) = self, low >> 32 == 0xFFFF { return .v4(UInt32(truncatingIfNeeded: low)) }
        return self
    }

    /// As whom limits count it: an IPv4 address itself, an IPv6 address its /64, since one subscriber commonly has a
    /// whole one (RFC 6177).
    package var source: IPAddress {
        switch unmapped {
        case .v4(let number): .v4(number)
        case .v6(let high, _): .v6(high: high, low: 0)
        }
    }

    /// The canonical spelling (RFC 5952 for IPv6).
    package var description: String {
        switch self {
        case .v4(let number):
            return (0..<4).map { String(number >> (24 - 8 * $0) & 255) }.joined(separator: ".")
        case .v6(let high, let low):
            return Self.describeIPv6(high: high, low: low)
        }
    }

    private static func parseIPv4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                let octet = UInt8(part), part.utf8.count == 1 || part.utf8.first != 48
            else { return nil }
            number = number << 8 | UInt32(octet)
        }
        return number
    }

    private static func parseIPv6(_ text: Substring) -> (UInt64, UInt64)? {
        guard text.utf8.count <= 45 else { return nil }
        var head = text
        var groupsAfterGap: [UInt16] = []
        var hasGap = false
        if let gap = text.firstRange(of: "::") {
            hasGap = true
            head = text[..<gap.lowerBound]
            guard let tail = groups(text[gap.upperBound...], mayEndInIPv4: true) else { return nil }
            groupsAfterGap = tail
        }
        guard let groupsBeforeGap = groups(head, mayEndInIPv4: !hasGap) else { return nil }
        let present = groupsBeforeGap.count + groupsAfterGap.count
        guard hasGap ? present <= 7 : present == 8 else { return nil }
        let all = groupsBeforeGap + Array(repeating: 0, count: 8 - present) + groupsAfterGap
        let number = { (range: Range<Int>) in all[range].reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
        return (number(0..<4), number(4..<8))
    }

    private static func groups(_ text: Substring, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
                guard let number = parseIPv4(part) else { return nil }
                groups.append(UInt16(number >> 16))
                groups.append(UInt16(number & 0xFFFF))
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"),
                    part.utf8.first != UInt8(ascii: "-"), let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups.count <= 8 ? groups : nil
    }

    private static func describeIPv6(high: UInt64, low: UInt64) -> String {
        if case .v4 = IPAddress.v6(high: high, low: low).unmapped {
            return "::ffff:" + IPAddress.v4(UInt32(truncatingIfNeeded: low)).description
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: index < 4 ? high >> (48 - 16 * index) : low >> (112 - 16 * index))
        }
        var longest = 0..<0
        var index = 0
        while index < 8 {
            guard groups[index] == 0 else {
                index += 1
                continue
            }
            let end = groups[index...].firstIndex { $0 != 0 } ?? 8
            if end - index > max(1, longest.count) { longest = index..<end }
            index = end
        }
        let spell = { (range: Range<Int>) in groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
        if longest.isEmpty { return spell(0..<8) }
        return spell(0..<longest.lowerBound) + "::" + spell(longest.upperBound..<8)
    }
}
