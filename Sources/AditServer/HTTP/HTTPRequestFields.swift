// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHTTP1

/// What one walk over a request's header fields finds.
struct HTTPRequestFields {
    private(set) var kinds: [HTTPFieldKind] = []
    private(set) var host = ""
    private(set) var hostCount = 0
    private(set) var length = ""
    private(set) var lengthCount = 0
    private(set) var coding = ""
    private(set) var codingCount = 0
    private(set) var authorization = ""
    private(set) var authorizationCount = 0
    private(set) var upgrade: String?
    private(set) var hasConnectionClose = false
    private(set) var hasConnectionKeepAlive = false
    private(set) var hasConnectionUpgrade = false
    /// Fields that Connection names and that are not known to be for one hop.
    private(set) var connectionOptions: [Substring] = []
    private(set) var acceptsTrailers = false
    private(set) var expectsContinue = false
    /// The values of CDN-Loop (RFC 8586).
    private(set) var loops: [String] = []

    init(_ head: HTTPRequestHead) throws(HTTPRefusal) {
        kinds.reserveCapacity(head.headers.count)
        for (name, value) in head.headers {
            guard HTTPField.isValue(value) else {
                throw .malformed(Text("A header field has a control character.", zh: "请求头包含控制字符。"))
            }
            let kind = HTTPFieldKind(name)
            kinds.append(kind)
            try take(kind, value)
        }
    }

    private mutating func take(_ kind: HTTPFieldKind, _ value: String) throws(HTTPRefusal) {
        switch kind {
        case .host:
            host = value
            hostCount += 1
        case .contentLength:
            length = value
            lengthCount += 1
        case .transferEncoding:
            coding = value
            codingCount += 1
        case .authorization:
            authorization = value
            authorizationCount += 1
        case .connection: takeConnection(value)
        case .te:
            for option in HTTPField.members(value) where HTTPField.isEqual(option, "trailers") {
                acceptsTrailers = true
            }
        case .upgrade: upgrade = upgrade.map { $0 + ", " + value } ?? value
        case .expect:
            guard HTTPField.isEqual(HTTPField.trim(value), "100-continue") else { throw .expectationUnknown }
            expectsContinue = true
        case .loop: loops.append(value)
        case .plain, .hopByHop, .accept, .trailer, .via, .forwarded, .lookalike: break
        }
    }

    private mutating func takeConnection(_ value: String) {
        for option in HTTPField.members(value) {
            if HTTPField.isEqual(option, "close") {
                hasConnectionClose = true
            } else if HTTPField.isEqual(option, "keep-alive") {
                hasConnectionKeepAlive = true
            } else if HTTPField.isEqual(option, "upgrade") {
                hasConnectionUpgrade = true
            } else {
                connectionOptions.append(option)
            }
        }
    }
}
