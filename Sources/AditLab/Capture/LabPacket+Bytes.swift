// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

extension LabPacket {
    /// The IP packets as they are on the wire, with all checksums: one, or its fragments.
    package func wireBytes() -> [[UInt8]] {
        let content = contentBytes()
        guard fragmentCount > 1 else { return [header(length: content.count, offset: 0, hasMore: false) + content] }
        let room = max(8, (Int(fragmentSize) - headerLength) & ~7)
        return stride(from: 0, to: content.count, by: room).map { start in
            let part = content[start..<min(start + room, content.count)]
            return header(length: part.count, offset: start, hasMore: part.endIndex < content.count) + part
        }
    }

    private func header(length: Int, offset: Int, hasMore: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        if source.address.isIPv6 {
            bytes.appendBigEndian(UInt32(0x6000_0000))
            bytes.appendBigEndian(UInt16(clamping: length))
            bytes += [source.address.isIPv6 && `protocol` == .icmp ? 58 : `protocol`.rawValue, timeToLive]
            return bytes + source.address.bytes + destination.address.bytes
        }
        bytes += [0x45, 0]
        bytes.appendBigEndian(UInt16(clamping: 20 + length))
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: number))
        let flags: UInt16 = (mayFragment ? 0 : 0x4000) | (hasMore ? 0x2000 : 0)
        bytes.appendBigEndian(flags | UInt16(truncatingIfNeeded: offset / 8))
        bytes += [timeToLive, `protocol`.rawValue, 0, 0]
        bytes += source.address.bytes + destination.address.bytes
        bytes.replace(at: 10, with: InternetChecksum.of(bytes))
        return bytes
    }

    private func contentBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        switch content {
        case .udp(let payload):
            bytes.appendBigEndian(source.port)
            bytes.appendBigEndian(destination.port)
            bytes.appendBigEndian(UInt16(clamping: 8 + payload.count))
            bytes += [0, 0]
            bytes += payload
            let sum = checksum(bytes, 17)
            // Zero would say that there is none (RFC 768).
            bytes.replace(at: 6, with: sum == 0 ? 0xFFFF : sum)
        case .tcp(let segment):
            bytes.appendBigEndian(source.port)
            bytes.appendBigEndian(destination.port)
            bytes.appendBigEndian(segment.sequence)
            bytes.appendBigEndian(segment.acknowledgment)
            bytes += [segment.maximumSize == nil ? 0x50 : 0x60, segment.flags.rawValue]
            bytes.appendBigEndian(segment.window)
            bytes += [0, 0, 0, 0]
            if let size = segment.maximumSize {
                bytes += [2, 4]
                bytes.appendBigEndian(size)
            }
            bytes += segment.payload
            bytes.replace(at: 16, with: checksum(bytes, 6))
        case .icmp(let error):
            let (type, code) = error.isIPv6 ? error.kind.codeV6 : error.kind.code
            bytes += [type, code, 0, 0]
            if case .tooBig(let mtu) = error.kind { bytes.appendBigEndian(mtu) } else { bytes += [0, 0, 0, 0] }
            bytes += error.quotedBytes()
            bytes.replace(at: 2, with: error.isIPv6 ? checksum(bytes, 58) : InternetChecksum.of(bytes))
        }
        return bytes
    }

    private func checksum(_ bytes: [UInt8], _ number: UInt8) -> UInt16 {
        var pseudo = source.address.bytes + destination.address.bytes
        pseudo.appendBigEndian(UInt32(bytes.count))
        pseudo += [0, 0, 0, number]
        return InternetChecksum.of(pseudo + bytes)
    }
}

extension LabICMPError {
    /// The IP header and the first eight bytes of the packet that it is about.
    fileprivate func quotedBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        let length = `protocol` == .udp ? 8 : 20
        if isIPv6 {
            bytes.appendBigEndian(UInt32(0x6000_0000))
            bytes.appendBigEndian(UInt16(length))
            bytes += [`protocol`.rawValue, 1] + source.address.bytes + destination.address.bytes
        } else {
            bytes += [0x45, 0]
            bytes.appendBigEndian(UInt16(20 + length))
            bytes += [0, 0, 0, 0, 1, `protocol`.rawValue, 0, 0]
            bytes += source.address.bytes + destination.address.bytes
            bytes.replace(at: 10, with: InternetChecksum.of(bytes))
        }
        bytes.appendBigEndian(source.port)
        bytes.appendBigEndian(destination.port)
        bytes.appendBigEndian(`protocol` == .udp ? UInt32(length) << 16 : sequence)
        return bytes
    }
}

extension SocketRefusal.Kind {
    /// Type and code in ICMP (RFC 792).
    fileprivate var code: (UInt8, UInt8) {
        switch self {
        case .timeExceeded: (11, 0)
        case .portUnreachable: (3, 3)
        case .hostUnreachable: (3, 1)
        case .prohibited: (3, 13)
        case .tooBig: (3, 4)
        }
    }

    /// Type and code in ICMPv6 (RFC 4443).
    fileprivate var codeV6: (UInt8, UInt8) {
        switch self {
        case .timeExceeded: (3, 0)
        case .portUnreachable: (1, 4)
        case .hostUnreachable: (1, 3)
        case .prohibited: (1, 1)
        case .tooBig: (2, 0)
        }
    }
}

/// The checksum of IP, UDP, TCP and ICMP (RFC 1071).
enum InternetChecksum {
    static func of(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        var index = 0
        while index + 1 < bytes.count {
            sum &+= UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
            index += 2
        }
        if index < bytes.count { sum &+= UInt32(bytes[index]) << 8 }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}

extension [UInt8] {
    fileprivate mutating func replace(at index: Int, with number: UInt16) {
        self[index] = UInt8(truncatingIfNeeded: number >> 8)
        self[index + 1] = UInt8(truncatingIfNeeded: number)
    }
}
