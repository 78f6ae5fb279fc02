// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHPACK
import NIOHTTP1

/// Writes the head of a request as the app gets it.
///
/// What belongs to one hop is left out and written anew (RFC 9110 section 7.6.1); what says where the visitor came from
/// is taken from the connection and never from the visitor; everything else is passed on byte for byte and in its order.
struct HTTPRequestHeadWriter {
    let request: HTTPVisitorRequest
    let route: HTTPRoute
    let visitor: HTTPVisitor
    /// How this server names itself in CDN-Loop (RFC 8586); nil to leave the field out.
    let loopName: String?

    func write(into buffer: inout ByteBuffer) {
        buffer.writeString(request.head.method.rawValue)
        buffer.writeStaticString(" ")
        buffer.writeSubstring(request.target)
        buffer.writeStaticString(" HTTP/1.1\r\n")
        writeHost(into: &buffer)
        for (index, field) in request.head.headers.enumerated() where passes(request.kinds[index], field.name) {
            buffer.writeField(field.name, field.value)
        }
        writeHop(into: &buffer)
        writeOrigin(into: &buffer)
        for field in route.requestFields { buffer.writeField(field.name, field.value) }
        buffer.writeStaticString("\r\n")
    }

    /// The head in HTTP/2 (RFC 9113 section 8.3.1).
    var http2: HPACKHeaders {
        var fields = HPACKHeaders()
        fields.reserveCapacity(request.kinds.count + route.requestFields.count + 12)
        fields.add(name: ":method", value: request.head.method.rawValue)
        fields.add(name: ":scheme", value: route.target.hasPrefix("https:") ? "https" : "http")
        let host = route.hostHeaderRewrite ?? String(request.hostField)
        if !host.isEmpty { fields.add(name: ":authority", value: host) }
        fields.add(name: ":path", value: String(request.target))
        for (index, field) in request.head.headers.enumerated() where passes(request.kinds[index], field.name) {
            fields.add(name: HTTPField.lowercased(field.name), value: field.value)
        }
        if case .length(let length) = request.framing { fields.add(name: "content-length", value: String(length)) }
        if request.acceptsTrailers { fields.add(name: "te", value: "trailers") }
        if let loopName { fields.add(name: "cdn-loop", value: loopName) }
        writeOrigin(into: &fields)
        for field in route.requestFields { fields.add(name: HTTPField.lowercased(field.name), value: field.value) }
        return fields
    }

    private func writeHost(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("Host: ")
        if let host = route.hostHeaderRewrite {
            buffer.writeString(host)
        } else {
            buffer.writeSubstring(request.hostField)
        }
        buffer.writeStaticString("\r\n")
    }

    private func passes(_ kind: HTTPFieldKind, _ name: String) -> Bool {
        switch kind {
        case .host, .contentLength, .transferEncoding, .connection, .te, .upgrade, .hopByHop, .forwarded, .lookalike:
            return false
        case .expect: return request.expectsContinue
        case .plain, .authorization, .accept, .trailer, .via, .loop: break
        }
        if !route.requestFields.isEmpty, isSet(name) { return false }
        guard !request.connectionOptions.isEmpty else { return true }
        return !request.connectionOptions.contains { HTTPField.isSameName(String($0), name) }
    }

    private func isSet(_ name: String) -> Bool {
        route.requestFields.contains { HTTPField.isSameName($0.name, name) }
    }

    private func writeHop(into buffer: inout ByteBuffer) {
        switch request.framing {
        case .none: break
        case .length(let length): buffer.writeField("Content-Length", String(length))
        case .chunked: buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        }
        if let upgrade = request.upgrade {
            buffer.writeField("Upgrade", upgrade)
            buffer.writeStaticString("Connection: Upgrade\r\n")
        } else if request.acceptsTrailers {
            buffer.writeStaticString("TE: trailers\r\nConnection: TE\r\n")
        }
        if let loopName { buffer.writeField("CDN-Loop", loopName) }
    }

    private func writeOrigin(into buffer: inout some HTTPFieldSection) {
        let host = request.hostField
        let proto = visitor.isSecure ? "https" : "http"
        writeUnlessSet("X-Forwarded-For", visitor.address, into: &buffer)
        writeUnlessSet("X-Forwarded-Proto", proto, into: &buffer)
        writeUnlessSet("X-Forwarded-Host", String(host), into: &buffer)
        writeUnlessSet("X-Forwarded-Port", visitor.portText, into: &buffer)
        writeUnlessSet("X-Real-IP", visitor.address, into: &buffer)
        guard route.requestFields.isEmpty || !isSet("Forwarded") else { return }
        buffer.writeForwarded(node: visitor.node, host: host, proto: proto)
    }

    private func writeUnlessSet(_ name: StaticString, _ value: String, into buffer: inout some HTTPFieldSection) {
        if !route.requestFields.isEmpty, isSet(name.description) { return }
        buffer.writeField(name, value)
    }
}

/// The fields of a message in the making.
protocol HTTPFieldSection {
    mutating func writeField(_ name: StaticString, _ value: String)

    /// Writes Forwarded (RFC 7239) with one element.
    mutating func writeForwarded(node: String, host: Substring, proto: String)
}

extension HPACKHeaders: HTTPFieldSection {
    mutating func writeField(_ name: StaticString, _ value: String) {
        add(name: HTTPField.lowercased(name.description), value: value)
    }

    mutating func writeForwarded(node: String, host: Substring, proto: String) {
        let host = host.isEmpty ? "" : ";host=\"\(host)\""
        add(name: "forwarded", value: "for=\(node)\(host);proto=\(proto)")
    }
}

extension ByteBuffer: HTTPFieldSection {
    /// Writes Forwarded (RFC 7239) with one element.
    mutating func writeForwarded(node: String, host: Substring, proto: String) {
        writeStaticString("Forwarded: for=")
        writeString(node)
        if !host.isEmpty {
            writeStaticString(";host=\"")
            writeSubstring(host)
            writeStaticString("\"")
        }
        writeStaticString(";proto=")
        writeString(proto)
        writeStaticString("\r\n")
    }

    /// Writes one header field with its line end.
    mutating func writeField(_ name: String, _ value: String) {
        writeString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }

    /// Writes one header field with its line end.
    mutating func writeField(_ name: StaticString, _ value: String) {
        writeStaticString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }

    /// Writes trailers without those that could change how a message is framed, routed or allowed (RFC 9110 section 6.5.1).
    mutating func writeTrailers(_ trailers: HTTPHeaders?) {
        guard let trailers else { return }
        for (name, value) in trailers where HTTPFieldKind(name) == .plain && HTTPField.isValue(value) {
            writeField(name, value)
        }
    }

    /// Writes a chunk's size line (RFC 9112 section 7.1).
    mutating func writeChunkSize(_ size: Int) {
        writeString(String(size, radix: 16))
        writeStaticString("\r\n")
    }
}
