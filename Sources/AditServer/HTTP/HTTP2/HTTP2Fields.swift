// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHPACK
import NIOHTTP1

/// The pseudo-header fields of a request (RFC 9113 section 8.3.1), and the others as HTTP/1.1 has them.
struct HTTP2RequestFields {
    let method: String
    let scheme: String
    /// Nil when the request names its host with Host alone.
    let authority: String?
    let path: String
    let headers: HTTPHeaders

    /// Takes a field section apart; throws what is wrong with it.
    ///
    /// NIO has refused unknown, repeated and misplaced pseudo-header fields, names that are not tokens in lower case, and
    /// line ends in values. The parts of `cookie` become one (section 8.2.3).
    init(_ fields: HPACKHeaders, limits: HTTPLimits) throws(HTTPRefusal) {
        var method = ""
        var scheme = ""
        var authority: String?
        var path = ""
        var headers = HTTPHeaders()
        headers.reserveCapacity(fields.count)
        var cookie = ""
        var count = 0
        for (name, value, _) in fields {
            if name.utf8.first == UInt8(ascii: ":") {
                switch name {
                case ":method": method = value
                case ":scheme": scheme = value
                case ":authority": authority = value
                case ":path": path = value
                default: throw Self.malformed
                }
                continue
            }
            count += 1
            if name == "cookie" {
                if !cookie.isEmpty { cookie += "; " }
                cookie += value
            } else {
                headers.add(name: name, value: value)
            }
        }
        guard count <= limits.headerCount else { throw .headerTooLarge }
        if !cookie.isEmpty { headers.add(name: "cookie", value: cookie) }
        // A space in a method or a path would make another request of it in HTTP/1.1.
        guard HTTPField.isName(method) else { throw Self.malformed }
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.headers = headers
    }

    static var malformed: HTTPRefusal {
        .malformed(Text("The request is not valid HTTP.", zh: "请求不是有效的 HTTP。"))
    }
}

extension HPACKHeaders {
    /// Trailers without those that could change how a message is framed, routed or allowed (RFC 9110 section 6.5.1).
    init(trailers: HTTPHeaders?) {
        self.init()
        for (name, value) in trailers ?? [:] where HTTPFieldKind(name) == .plain && HTTPField.isValue(value) {
            add(name: HTTPField.lowercased(name), value: value)
        }
    }
}

extension HTTPHeaders {
    /// The fields of HTTP/2 that are not pseudo-header fields.
    init(http2 fields: HPACKHeaders) {
        self.init()
        reserveCapacity(fields.count)
        for (name, value, _) in fields where name.utf8.first != UInt8(ascii: ":") { add(name: name, value: value) }
    }
}

extension HTTPResponseHead {
    /// A response's head from its fields; nil when its status is not one (RFC 9113 section 8.3.2).
    init?(http2 fields: HPACKHeaders) {
        // 101 has no meaning in HTTP/2 (section 8.6).
        guard let text = fields.first(name: ":status"), text.utf8.count == 3,
            text.utf8.allSatisfy({ (48...57).contains($0) }), let code = Int(text), (100...599).contains(code),
            code != 101
        else { return nil }
        self.init(
            version: .http1_1,
            status: HTTPResponseStatus(statusCode: code),
            headers: HTTPHeaders(http2: fields)
        )
    }
}

extension HTTPField {
    /// A name as HTTP/2 spells it (RFC 9113 section 8.2.1).
    static func lowercased(_ name: String) -> String {
        name.utf8.allSatisfy { !(65...90).contains($0) } ? name : name.lowercased()
    }
}

extension HTTPResponsePlan {
    /// The field section of the response in HTTP/2.
    var http2Fields: HPACKHeaders {
        var fields = HPACKHeaders()
        fields.reserveCapacity(head.headers.count + 4)
        fields.add(name: ":status", value: String(head.status.code))
        for (name, value) in head.headers where passes(name) && HTTPFieldKind(name) != .upgrade {
            fields.add(name: HTTPField.lowercased(name), value: value)
        }
        if let length { fields.add(name: "content-length", value: length) }
        for field in self.fields { fields.add(name: HTTPField.lowercased(field.name), value: field.value) }
        return fields
    }

    /// The field section of an informational response (RFC 9110 section 15.2).
    static func http2Informational(_ head: HTTPResponseHead) throws(Invalid) -> HPACKHeaders {
        var fields = HPACKHeaders()
        fields.add(name: ":status", value: String(head.status.code))
        for (name, value) in head.headers {
            guard HTTPField.isValue(value) else { throw Invalid() }
            switch HTTPFieldKind(name) {
            case .contentLength, .transferEncoding, .connection, .te, .hopByHop, .upgrade: continue
            default: fields.add(name: HTTPField.lowercased(name), value: value)
            }
        }
        return fields
    }
}
