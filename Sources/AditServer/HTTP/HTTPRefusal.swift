// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHTTP1

/// Why a request is answered without asking any tunnel.
enum HTTPRefusal: Error, Equatable, Sendable {
    /// The request could be read in two ways or is not HTTP (RFC 9112 section 2.2).
    case malformed(Text)
    case targetTooLong
    case headerTooLarge
    case versionUnknown
    /// Tunnels to third parties are not offered.
    case connect
    /// A transfer coding besides chunked (RFC 9112 section 6.1).
    case codingUnknown
    case expectationUnknown
    case timeout
    case loop
    /// The request names another host than the visitor's TLS connection was made for.
    case misdirected

    var status: HTTPResponseStatus {
        switch self {
        case .malformed: .badRequest
        case .targetTooLong: .uriTooLong
        case .headerTooLarge: .requestHeaderFieldsTooLarge
        case .versionUnknown: .httpVersionNotSupported
        case .connect: .methodNotAllowed
        case .codingUnknown: .notImplemented
        case .expectationUnknown: .expectationFailed
        case .timeout: .requestTimeout
        case .loop: .custom(code: 508, reasonPhrase: "Loop Detected")
        case .misdirected: .misdirectedRequest
        }
    }

    var code: ErrorCode {
        switch self {
        case .loop: .targetLoop
        case .misdirected: .misdirected
        default: .protocolBroken
        }
    }

    var reason: Text {
        switch self {
        case .malformed(let reason): reason
        case .targetTooLong: Text("The address is too long.", zh: "网址过长。")
        case .headerTooLarge:
            Text("The request has too many header fields, or they are too large.", zh: "请求头字段过多或过大。")
        case .versionUnknown: Text("Only HTTP/1.1 and HTTP/1.0 are spoken here.", zh: "此处仅支持 HTTP/1.1 和 HTTP/1.0。")
        case .connect: Text("This server is not a forward proxy.", zh: "本服务器不是正向代理。")
        case .codingUnknown: Text("The transfer coding is not supported.", zh: "不支持该传输编码。")
        case .expectationUnknown: Text("The expectation cannot be met.", zh: "无法满足请求的 Expect。")
        case .timeout: Text("The request did not arrive in time.", zh: "请求未能及时到达。")
        case .loop: Text("The tunnel leads back to itself.", zh: "隧道指向了自身。")
        case .misdirected:
            Text(
                "The request names another host than its connection was made for.",
                zh: "请求中的主机名与建立连接时的主机名不一致。"
            )
        }
    }
}
