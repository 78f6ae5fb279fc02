// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A message of SSDP (UPnP Device Architecture 1.1 section 1): the head of an HTTP message in one datagram.
package struct SSDPMessage: Sendable, Hashable {
    /// What the first line says.
    package enum Kind: Sendable, Hashable {
        /// `M-SEARCH * HTTP/1.1`
        case search
        /// `NOTIFY * HTTP/1.1`
        case notify
        /// `HTTP/1.1 200 OK`
        case response
    }

    /// A field of the head.
    package struct Field: Sendable, Hashable {
        /// The name, compared without regard to case.
        package var name: String
        /// The value, without space at either end.
        package var value: String

        /// Makes it from its parts.
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What the first line says.
    package var kind: Kind
    /// The fields in their order.
    package var fields: [Field]

    /// The longest message that is read, in bytes.
    package static var byteLimit: Int { 4096 }
    /// The most fields.
    package static var fieldLimit: Int { 32 }
    /// Where routers listen: 239.255.255.250, port 1900.
    package static var group: IPEndpoint { IPEndpoint(.v4(0xEFFF_FFFA), 1900) }

    /// Makes it from its parts.
    package init(_ kind: Kind, fields: [Field]) {
        self.kind = kind
        self.fields = fields
    }

    /// A search for devices or services of a type, whose answers are spread over `seconds` (1 to 5).
    package static func search(target: String, seconds: Int) -> SSDPMessage {
        SSDPMessage(
            .search,
            fields: [
                Field("HOST", group.description), Field("MAN", "\"ssdp:discover\""), Field("MX", String(seconds)),
                Field("ST", target),
            ]
        )
    }

    /// The value of the first field of that name; nil when there is none.
    package func field(_ name: String) -> String? {
        fields.first { $0.name.utf8.elementsEqual(name.utf8, by: { $0 | 32 == $1 | 32 }) }?.value
    }

    /// Reads a datagram.
    ///
    /// - Throws: `WireError`: a first line or field that is none, more than 32 fields or 4096 bytes, bytes outside of printable
    ///   ASCII, or no empty line at the end.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> SSDPMessage {
        guard bytes.byteCount <= byteLimit else { throw .length(Int64(bytes.byteCount), limit: byteLimit) }
        let all = bytes.copyBytes(in: 0..<bytes.byteCount)
        var start = 0
        guard let first = try line(all, &start), let kind = kind(of: first) else { throw .missingMagic }
        var message = SSDPMessage(kind, fields: [])
        while true {
            let offset = start
            guard let line = try line(all, &start) else { throw .truncated(expected: all.count + 1, found: all.count) }
            if line.isEmpty { return message }
            guard message.fields.count < fieldLimit else {
                throw .tooManyElements(message.fields.count + 1, limit: fieldLimit)
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                line[..<colon].allSatisfy(isToken)
            else { throw .invalidField(offset: offset, found: UInt64(line.first ?? 0)) }
            message.fields.append(
                Field(
                    String(decoding: line[..<colon], as: UTF8.self),
                    String(decoding: trimmed(line[line.index(after: colon)...]), as: UTF8.self)
                )
            )
        }
    }

    /// Appends the message.
    package func encode(into bytes: inout [UInt8]) {
        switch kind {
        case .search: bytes += Array("M-SEARCH * HTTP/1.1\r\n".utf8)
        case .notify: bytes += Array("NOTIFY * HTTP/1.1\r\n".utf8)
        case .response: bytes += Array("HTTP/1.1 200 OK\r\n".utf8)
        }
        for field in fields { bytes += Array("\(field.name): \(field.value)\r\n".utf8) }
        bytes += [13, 10]
    }

    private static func kind(of line: ArraySlice<UInt8>) -> Kind? {
        switch String(decoding: line, as: UTF8.self) {
        case "M-SEARCH * HTTP/1.1": .search
        case "NOTIFY * HTTP/1.1": .notify
        case let text
        where text == "HTTP/1.1 200" || text.hasPrefix("HTTP/1.1 200 ") || text.hasPrefix("HTTP/1.0 200 "):
            .response
        default: nil
        }
    }

    /// The next line without its end, which is CR LF or, from careless routers, LF alone; nil when none is complete.
    private static func line(_ bytes: [UInt8], _ start: inout Int) throws(WireError) -> ArraySlice<UInt8>? {
        guard let end = bytes[start...].firstIndex(of: 10) else { return nil }
        var line = bytes[start..<end]
        if line.last == 13 { line = line.dropLast() }
        if let wrong = line.firstIndex(where: { ($0 < 32 && $0 != 9) || $0 >= 127 }) {
            throw .invalidField(offset: wrong, found: UInt64(line[wrong]))
        }
        start = end + 1
        return line
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var value = value
        while let first = value.first, first == 32 || first == 9 { value = value.dropFirst() }
        while let last = value.last, last == 32 || last == 9 { value = value.dropLast() }
        return value
    }
}
