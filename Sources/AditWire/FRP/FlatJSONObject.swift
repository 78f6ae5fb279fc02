// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads a JSON object of the plainest form: one level, ASCII strings without escapes, whole numbers that are not negative.
///
/// Go and Adit write a work connection's header in just this form, once for every visitor, and the general decoder takes
/// longer for it than everything else a device does for that visitor. Whatever is not of this form is left to that decoder.
struct FlatJSONObject {
    /// What a field holds.
    enum Value {
        case string(String)
        case number(UInt64)
    }

    private var position = 0

    /// Hands each field to `take`, in order; false when the object is of another form or `take` does not want a field.
    mutating func read(_ bytes: RawSpan, _ take: (_ key: String, _ value: Value) -> Bool) -> Bool {
        guard skip(UInt8(ascii: "{"), bytes) else { return false }
        var isFirst = true
        while true {
            if isFirst, skip(UInt8(ascii: "}"), bytes) { break }
            isFirst = false
            guard let key = string(bytes), skip(UInt8(ascii: ":"), bytes), let value = nextValue(bytes),
                take(key, value)
            else { return false }
            if skip(UInt8(ascii: ","), bytes) { continue }
            guard skip(UInt8(ascii: "}"), bytes) else { return false }
            break
        }
        skipSpace(bytes)
        return position == bytes.byteCount
    }

    private mutating func nextValue(_ bytes: RawSpan) -> Value? {
        skipSpace(bytes)
        guard position < bytes.byteCount else { return nil }
        if bytes.byte(at: position) == UInt8(ascii: "\"") { return string(bytes).map(Value.string) }
        return number(bytes).map(Value.number)
    }

    private mutating func string(_ bytes: RawSpan) -> String? {
        guard skip(UInt8(ascii: "\""), bytes) else { return nil }
        let start = position
        while position < bytes.byteCount {
            let byte = bytes.byte(at: position)
            position += 1
            if byte == UInt8(ascii: "\"") {
                return String(decoding: bytes.copyBytes(in: start..<(position - 1)), as: UTF8.self)
            }
            guard (0x20...0x7E).contains(byte), byte != UInt8(ascii: "\\") else { return nil }
        }
        return nil
    }

    private mutating func number(_ bytes: RawSpan) -> UInt64? {
        let start = position
        var number: UInt64 = 0
        while position < bytes.byteCount, position - start < 19 {
            let digit = bytes.byte(at: position) &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            number = number * 10 + UInt64(digit)
            position += 1
        }
        guard position > start else { return nil }
        // Of a leading zero, a fraction or an exponent the general decoder knows more.
        let isPlain = position - start == 1 || bytes.byte(at: start) != UInt8(ascii: "0")
        return isPlain ? number : nil
    }

    private mutating func skip(_ byte: UInt8, _ bytes: RawSpan) -> Bool {
        skipSpace(bytes)
        guard position < bytes.byteCount, bytes.byte(at: position) == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace(_ bytes: RawSpan) {
        while position < bytes.byteCount {
            switch bytes.byte(at: position) {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }
}

extension FRPStartWorkConnection {
    /// Reads the plain form; nil when the general decoder has to look at it.
    init?(flat json: RawSpan) {
        self.init()
        var object = FlatJSONObject()
        var seen: UInt8 = 0
        var message = FRPStartWorkConnection()
        let isRead = object.read(json) { key, value in
            let field: UInt8
            switch (key, value) {
            case ("proxy_name", .string(let text)):
                message.proxyName = text
                field = 1
            case ("src_addr", .string(let text)):
                message.sourceAddress = text
                field = 2
            case ("dst_addr", .string(let text)):
                message.destinationAddress = text
                field = 4
            case ("src_port", .number(let number)):
                guard let port = UInt16(exactly: number) else { return false }
                message.sourcePort = port
                field = 8
            case ("dst_port", .number(let number)):
                guard let port = UInt16(exactly: number) else { return false }
                message.destinationPort = port
                field = 16
            case ("error", .string(let text)):
                message.error = text
                field = 32
            default: return false
            }
            defer { seen |= field }
            return seen & field == 0
        }
        guard isRead else { return nil }
        self = message
    }
}
