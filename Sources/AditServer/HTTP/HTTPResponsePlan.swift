// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// How the app's response goes to the visitor: what is written, how its end is marked, and what follows.
struct HTTPResponsePlan {
    /// How the visitor finds the end of the body.
    enum Framing: Equatable {
        case none
        case length
        case chunked
        /// The connection ends with it, for visitors who do not know chunks.
        case untilClose
    }

    /// What in an app's head makes the response unusable.
    struct Invalid: Error, Equatable {}

    let head: HTTPResponseHead
    let framing: Framing
    /// Whether the connection is used again after the response.
    let keepAlive: Bool
    private let isHTTP10: Bool
    private let connectionOptions: [Substring]
    let length: String?
    let fields: [HTTPField]

    /// Plans the response to `request`; throws when the head is not safe to pass on.
    init(
        _ head: HTTPResponseHead,
        to request: HTTPVisitorRequest,
        route: HTTPRoute,
        mayKeepAlive: Bool
    ) throws(Invalid) {
        var options: [Substring] = []
        var lengths: [Substring] = []
        var codings: [Substring] = []
        for (name, value) in head.headers {
            guard HTTPField.isValue(value) else { throw Invalid() }
            switch HTTPFieldKind(name) {
            case .connection: options += HTTPField.members(value)
            case .contentLength: lengths.append(HTTPField.trim(value))
            case .transferEncoding: codings.append(HTTPField.trim(value))
            default: break
            }
        }
        guard lengths.count <= 1, codings.isEmpty || lengths.isEmpty,
            codings.isEmpty || (codings.count == 1 && HTTPField.isEqual(codings[0], "chunked"))
        else { throw Invalid() }
        let code = head.status.code
        let isBodiless = request.head.method == .HEAD || code == 204 || code == 304
        self.head = head
        connectionOptions = options.filter { !HTTPField.isEqual($0, "close") && !HTTPField.isEqual($0, "keep-alive") }
        length = code == 204 ? nil : lengths.first.map(String.init)
        isHTTP10 = request.isHTTP10
        if isBodiless {
            framing = .none
        } else if !lengths.isEmpty {
            framing = .length
        } else {
            framing = request.isHTTP10 ? .untilClose : .chunked
        }
        keepAlive = mayKeepAlive && request.keepAlive && framing != .untilClose
        fields = route.responseFields
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeStatusLine(head.status)
        for (name, value) in head.headers where passes(name) { buffer.writeField(name, value) }
        if let length { buffer.writeField("Content-Length", length) }
        if framing == .chunked { buffer.writeStaticString("Transfer-Encoding: chunked\r\n") }
        for field in fields { buffer.writeField(field.name, field.value) }
        buffer.writeConnection(keepAlive: keepAlive, isHTTP10: isHTTP10, isUpgradeNeeded: head.status.code == 426)
        buffer.writeStaticString("\r\n")
    }

    func passes(_ name: String) -> Bool {
        switch HTTPFieldKind(name) {
        case .contentLength, .transferEncoding, .connection, .te, .hopByHop: return false
        // A server that insists on another protocol has to name it (RFC 9110 section 15.5.22).
        case .upgrade: return head.status.code == 426
        default: break
        }
        if !fields.isEmpty, fields.contains(where: { HTTPField.isSameName($0.name, name) }) { return false }
        return connectionOptions.isEmpty || !connectionOptions.contains { HTTPField.isSameName(String($0), name) }
    }

    /// Writes an informational response (RFC 9110 section 15.2), 101 included.
    static func writeInformational(_ head: HTTPResponseHead, into buffer: inout ByteBuffer) throws(Invalid) {
        buffer.writeStatusLine(head.status)
        for (name, value) in head.headers {
            guard HTTPField.isValue(value) else { throw Invalid() }
            switch HTTPFieldKind(name) {
            case .contentLength, .transferEncoding, .connection, .te, .hopByHop: continue
            case .upgrade where head.status.code != 101: continue
            default: buffer.writeField(name, value)
            }
        }
        if head.status.code == 101 { buffer.writeStaticString("Connection: Upgrade\r\n") }
        buffer.writeStaticString("\r\n")
    }
}

extension ByteBuffer {
    /// Writes a status line; the proxy answers as HTTP/1.1 also to HTTP/1.0 (RFC 9110 section 6.2).
    mutating func writeStatusLine(_ status: HTTPResponseStatus) {
        writeStaticString("HTTP/1.1 ")
        writeString(String(status.code))
        writeStaticString(" ")
        writeString(status.reasonPhrase)
        writeStaticString("\r\n")
    }

    /// Writes the Connection field where the version's default is not what happens.
    mutating func writeConnection(keepAlive: Bool, isHTTP10: Bool, isUpgradeNeeded: Bool = false) {
        if isUpgradeNeeded {
            writeString(keepAlive ? "Connection: Upgrade\r\n" : "Connection: Upgrade, close\r\n")
        } else if !keepAlive {
            writeStaticString("Connection: close\r\n")
        } else if isHTTP10 {
            writeStaticString("Connection: keep-alive\r\n")
        }
    }
}
