// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import NIOHTTP1

/// A visitor's request, read once: route, permission and what the app gets are all decided from this value.
struct HTTPVisitorRequest: Sendable {
    /// How the end of the body is found (RFC 9112 section 6.3).
    enum Framing: Equatable, Sendable {
        case none
        case length(Int64)
        case chunked
    }

    /// Who the visitor says to be by HTTP Basic authentication (RFC 7617).
    struct Credentials: Equatable, Sendable {
        var user: String
        /// `user:password`, as it was encoded.
        var text: String
    }

    /// The head as it came.
    let head: HTTPRequestHead
    /// What each of the head's fields is, in their order.
    let kinds: [HTTPFieldKind]
    /// The target in origin-form or `*` (RFC 9112 section 3.2), byte for byte.
    let target: Substring
    /// The target without its query.
    let path: Substring
    /// The host in the spelling of routes; empty when an HTTP/1.0 request names none.
    let host: String
    /// The host and port as the visitor spelled them.
    let hostField: Substring
    let framing: Framing
    /// Whether the visitor wants to go on using the connection.
    let keepAlive: Bool
    /// The protocols that the visitor asks to change to; nil for none and for what is not passed on.
    let upgrade: String?
    /// Whether the parser stops behind this request, because bytes of another protocol might follow.
    let stopsParser: Bool
    /// Further fields that Connection names.
    let connectionOptions: [Substring]
    let acceptsTrailers: Bool
    let expectsContinue: Bool
    let credentials: Credentials?
    /// The Authorization field has an unreadable value or comes more than once.
    let hasBrokenCredentials: Bool
    let loops: [String]

    /// Whether bytes of a body follow the head.
    var hasBody: Bool { framing != .none && framing != .length(0) }

    var isHTTP10: Bool { head.version == .http1_0 }

    /// Whether it is a call of gRPC, which needs HTTP/2 all the way.
    var isGRPC: Bool { HTTPPreference.isGRPC(head) }

    /// Whether it may be sent a second time when it is not known whether the app got it (RFC 9110 section 9.2.2).
    var isRepeatable: Bool {
        guard !hasBody, upgrade == nil else { return false }
        switch head.method {
        case .GET, .HEAD, .OPTIONS, .PUT, .DELETE, .TRACE: return true
        default: return false
        }
    }

    /// Reads a head; throws what is wrong with it.
    init(_ head: HTTPRequestHead, limits: HTTPLimits) throws(HTTPRefusal) {
        guard head.version.major == 1, head.version.minor <= 1 else { throw .versionUnknown }
        guard head.uri.utf8.count <= limits.targetBytes else { throw .targetTooLong }
        guard head.method != .CONNECT else { throw .connect }
        let fields = try HTTPRequestFields(head)
        let target = try HTTPRequestTarget(head.uri, method: head.method)
        (host, hostField) = try Self.host(target, fields, head.version)
        self.head = head
        self.target = target.sent
        path = target.path
        kinds = fields.kinds
        framing = try Self.framing(fields, head.version)
        stopsParser = fields.upgrade != nil
        let close = fields.hasConnectionClose || stopsParser
        keepAlive = !close && (head.version.minor == 1 || fields.hasConnectionKeepAlive)
        upgrade =
            fields.hasConnectionUpgrade && head.version.minor == 1 && (framing == .none || framing == .length(0))
            ? fields.upgrade.flatMap(Self.passableUpgrade) : nil
        connectionOptions = fields.connectionOptions
        acceptsTrailers = fields.acceptsTrailers
        expectsContinue = fields.expectsContinue && head.version.minor == 1
        hasBrokenCredentials = fields.authorizationCount > 1
        credentials = fields.authorizationCount == 1 ? Self.credentials(fields.authorization) : nil
        loops = fields.loops
    }

    /// Reads a head of HTTP/2 (RFC 9113 section 8.3.1); throws what is wrong with it.
    init(
        _ head: HTTPRequestHead,
        _ pseudo: HTTP2RequestFields,
        hasEnded: Bool,
        limits: HTTPLimits
    ) throws(HTTPRefusal) {
        guard head.uri.utf8.count <= limits.targetBytes else { throw .targetTooLong }
        guard head.method != .CONNECT else { throw .connect }
        guard
            HTTPField.isEqual(Substring(pseudo.scheme), "https") || HTTPField.isEqual(Substring(pseudo.scheme), "http")
        else { throw HTTP2RequestFields.malformed }
        let fields = try HTTPRequestFields(head)
        // Only one hop's fields are left for the hop itself (section 8.2.2), and NIO has refused those.
        guard fields.codingCount == 0, fields.upgrade == nil, fields.connectionOptions.isEmpty,
            !fields.hasConnectionClose, !fields.hasConnectionKeepAlive, !fields.hasConnectionUpgrade
        else { throw HTTP2RequestFields.malformed }
        let target = try HTTPRequestTarget(head.uri, method: head.method)
        guard target.authority == nil else { throw HTTP2RequestFields.malformed }
        (host, hostField) = try Self.host(pseudo.authority, fields)
        self.head = head
        self.target = target.sent
        path = target.path
        kinds = fields.kinds
        let framing = try Self.framing(fields, head.version)
        if hasEnded {
            guard framing == .none || framing == .length(0) else { throw HTTP2RequestFields.malformed }
            self.framing = framing
        } else {
            self.framing = framing == .none ? .chunked : framing
        }
        stopsParser = false
        keepAlive = true
        upgrade = nil
        connectionOptions = []
        acceptsTrailers = fields.acceptsTrailers
        expectsContinue = fields.expectsContinue
        hasBrokenCredentials = fields.authorizationCount > 1
        credentials = fields.authorizationCount == 1 ? Self.credentials(fields.authorization) : nil
        loops = fields.loops
    }

    /// The host of a request of HTTP/2: `:authority`, which Host must not contradict.
    private static func host(
        _ authority: String?,
        _ fields: HTTPRequestFields
    ) throws(HTTPRefusal) -> (String, Substring) {
        guard fields.hostCount <= 1 else { throw .malformed(Text("Host comes more than once.", zh: "Host 出现多次。")) }
        let own = HTTPField.trim(fields.host)
        guard let authority else {
            guard fields.hostCount == 1 else { throw .malformed(Text("Host is missing.", zh: "缺少 Host。")) }
            return (try name(own), own)
        }
        let asked = try name(Substring(authority))
        guard fields.hostCount == 0 || HTTPField.isSameName(authority, String(own)) else {
            throw .malformed(Text("Host contradicts :authority.", zh: "Host 与 :authority 不一致。"))
        }
        return (asked, Substring(authority))
    }

    private static func host(
        _ target: HTTPRequestTarget,
        _ fields: HTTPRequestFields,
        _ version: HTTPVersion
    ) throws(HTTPRefusal) -> (String, Substring) {
        guard fields.hostCount <= 1 else { throw .malformed(Text("Host comes more than once.", zh: "Host 出现多次。")) }
        guard fields.hostCount == 1 || version.minor == 0 else {
            throw .malformed(Text("Host is missing.", zh: "缺少 Host。"))
        }
        // A target in absolute-form outweighs Host (RFC 9112 section 3.2.2), which still has to be valid.
        let sent = HTTPField.trim(fields.host)
        let own = try fields.hostCount == 1 ? name(sent) : ""
        guard let authority = target.authority else { return (own, sent) }
        return (try name(authority), authority)
    }

    private static func name(_ host: Substring) throws(HTTPRefusal) -> String {
        guard let name = HostName(host), !name.text.utf8.contains(UInt8(ascii: "*")) else {
            throw .malformed(Text("Host is not a valid host name.", zh: "Host 不是有效的主机名。"))
        }
        return name.text
    }

    private static func framing(
        _ fields: HTTPRequestFields,
        _ version: HTTPVersion
    ) throws(HTTPRefusal) -> Framing {
        let ambiguous = HTTPRefusal.malformed(
            Text("The length of the body can be read in two ways.", zh: "请求体长度存在歧义。")
        )
        if fields.codingCount > 0 {
            guard fields.codingCount == 1, fields.lengthCount == 0, version.minor == 1 else { throw ambiguous }
            guard HTTPField.isEqual(HTTPField.trim(fields.coding), "chunked") else { throw .codingUnknown }
            return .chunked
        }
        guard fields.lengthCount > 0 else { return .none }
        let digits = HTTPField.trim(fields.length)
        guard fields.lengthCount == 1, (1...18).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) }), let length = Int64(digits)
        else { throw ambiguous }
        return .length(length)
    }

    /// h2c would take the connection out of the proxy's sight: what follows would not be checked any more.
    private static func passableUpgrade(_ value: String) -> String? {
        let tokens = HTTPField.members(value)
        guard !tokens.isEmpty,
            tokens.allSatisfy({ !HTTPField.isEqual($0.prefix(2), "h2") && !HTTPField.isEqual($0.prefix(5), "http/") })
        else { return nil }
        return value
    }

    private static func credentials(_ value: String) -> Credentials? {
        let value = HTTPField.trim(value)
        guard let space = value.utf8.firstIndex(of: UInt8(ascii: " ")), HTTPField.isEqual(value[..<space], "basic"),
            let bytes = HTTPBase64.decode(HTTPField.trim(value[space...])),
            let text = String(validating: bytes, as: UTF8.self), let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return Credentials(user: String(text[..<colon]), text: text)
    }
}
