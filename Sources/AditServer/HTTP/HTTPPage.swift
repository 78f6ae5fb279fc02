// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOHTTP1

/// What a visitor is told when no app answers the request.
struct HTTPPage: Sendable, Equatable {
    let status: HTTPResponseStatus
    let code: ErrorCode
    let title: Text
    /// What happened, a sentence each.
    let lines: [Text]
    /// After how many seconds trying again makes sense; the page reloads itself then.
    var retryAfter: Int?
    /// Fields that belong to the status, such as WWW-Authenticate.
    var fields: [HTTPField] = []
    /// Whether the server's own page may stand in for this one.
    var isReplaceable = false

    /// No tunnel has the name.
    static func unknownName(_ host: String) -> HTTPPage {
        let name = host.isEmpty ? Text("this address", zh: "这个地址") : Text(verbatim: host)
        var page = HTTPPage(
            status: .notFound,
            code: .nameUnknown,
            title: Text("Nothing here by that name", zh: "这里没有这个名称"),
            lines: [
                Text("Nothing is shared at \(name.english).", zh: "\(name.chinese) 没有共享任何内容。"),
                Text(
                    "The link may be mistyped, or its owner stopped sharing.",
                    zh: "链接可能有误，或者共享者已停止共享。"
                ),
            ]
        )
        page.isReplaceable = true
        return page
    }

    /// The name is served with TLS, and its visitors are sent there with the same method and body (RFC 9110 section 15.4.8).
    static func movedToTLS(authority: String, target: Substring) -> HTTPPage {
        let address = "https://" + authority + (target == "*" ? "/" : target)
        var page = HTTPPage(
            status: .temporaryRedirect,
            code: .movedToTLS,
            title: Text("Moved to https", zh: "请使用 https"),
            lines: [
                Text("This name is open at https://\(authority)/.", zh: "请通过 https://\(authority)/ 访问。")
            ]
        )
        page.fields = [HTTPField(name: "Location", value: address)]
        return page
    }

    /// The device behind the name left.
    static func deviceOffline(_ route: HTTPRoute, since: UnixTime?, now: UnixTime) -> HTTPPage {
        let when: Text
        if let since {
            let date = HTTPDate(since)
            let ago = date.ago(now: now)
            let time = date.spoken(now: now)
            when = Text(
                "Its computer went offline at \(time) UTC, \(ago.english).",
                zh: "它所在的电脑于 \(time)（UTC）离线，\(ago.chinese)。"
            )
        } else {
            when = Text("Its computer is offline.", zh: "它所在的电脑已离线。")
        }
        return HTTPPage(
            status: .serviceUnavailable,
            code: .deviceOffline,
            title: Text("\(route.tunnelName) is resting", zh: "\(route.tunnelName) 正在休息"),
            lines: [when, Text("This page reloads by itself when it is back.", zh: "恢复后本页面会自动刷新。")],
            retryAfter: 10
        )
    }

    /// The device is there, but the app on it does not answer.
    static func appNotAnswering(_ route: HTTPRoute, since: UnixTime, now: UnixTime) -> HTTPPage {
        let date = HTTPDate(since)
        let time = date.spoken(now: now)
        let ago = date.ago(now: now)
        return HTTPPage(
            status: .badGateway,
            code: .nothingListens,
            title: Text("The app does not answer", zh: "应用没有应答"),
            lines: [
                Text(
                    "The computer \(route.deviceName) is online, but nothing answers at \(route.target).",
                    zh: "电脑 \(route.deviceName) 在线，但 \(route.target) 没有应答。"
                ),
                Text("Since \(time) UTC, \(ago.english).", zh: "自 \(time)（UTC）起，\(ago.chinese)。"),
            ],
            retryAfter: 10
        )
    }

    /// The app took the request and said nothing.
    static func appTooSlow(_ route: HTTPRoute, seconds: Int64) -> HTTPPage {
        HTTPPage(
            status: .gatewayTimeout,
            code: .appTooSlow,
            title: Text("The app is too slow", zh: "应用响应过慢"),
            lines: [
                Text(
                    "\(route.target) on \(route.deviceName) took the request and did not answer within \(seconds) s.",
                    zh: "\(route.deviceName) 上的 \(route.target) 收到请求后 \(seconds) 秒内没有应答。"
                )
            ]
        )
    }

    /// The app's answer is not HTTP, or not safe to pass on.
    static func invalidResponse(_ route: HTTPRoute) -> HTTPPage {
        HTTPPage(
            status: .badGateway,
            code: .protocolBroken,
            title: Text("The app's answer is not valid", zh: "应用的应答无效"),
            lines: [
                Text(
                    "\(route.target) on \(route.deviceName) sent something that is not valid HTTP.",
                    zh: "\(route.deviceName) 上的 \(route.target) 返回了无效的 HTTP 内容。"
                )
            ]
        )
    }

    /// The tunnel wants a user and a password (RFC 7617).
    static func signIn(_ route: HTTPRoute) -> HTTPPage {
        let realm = route.tunnelName.unicodeScalars.filter { $0.isASCII && $0.value >= 32 && $0 != "\"" && $0 != "\\" }
        var page = HTTPPage(
            status: .unauthorized,
            code: .signInNeeded,
            title: Text("Sign in", zh: "请登录"),
            lines: [
                Text(
                    "\(route.tunnelName) is open to people with its user and password.",
                    zh: "\(route.tunnelName) 只对持有用户名和密码的人开放。"
                )
            ]
        )
        page.fields = [
            HTTPField(
                name: "WWW-Authenticate",
                value: "Basic realm=\"\(String(String.UnicodeScalarView(realm)))\", charset=\"UTF-8\""
            )
        ]
        return page
    }

    /// The visitor's address is not on the tunnel's list.
    static func addressRefused(_ route: HTTPRoute, address: String) -> HTTPPage {
        HTTPPage(
            status: .forbidden,
            code: .visitorRefused,
            title: Text("Not open to you", zh: "未向你开放"),
            lines: [
                Text(
                    "\(route.tunnelName) is open to chosen addresses only; yours is \(address).",
                    zh: "\(route.tunnelName) 只对指定地址开放；你的地址是 \(address)。"
                )
            ]
        )
    }

    /// Too many visitors use the tunnel at once.
    static func limitReached(_ route: HTTPRoute) -> HTTPPage {
        HTTPPage(
            status: .serviceUnavailable,
            code: .limitReached,
            title: Text("Too many visitors", zh: "访客过多"),
            lines: [
                Text(
                    "\(route.tunnelName) serves as many visitors as it may.",
                    zh: "\(route.tunnelName) 的访客数已达上限。"
                )
            ],
            retryAfter: 5
        )
    }

    /// The visitor comes more often than the tunnel allows (RFC 6585 section 4).
    static func tooManyRequests(_ route: HTTPRoute, retryAfter: Duration) -> HTTPPage {
        let seconds = Int(min(3600, max(1, retryAfter.inSeconds.rounded(.up))))
        return HTTPPage(
            status: .tooManyRequests,
            code: .limitReached,
            title: Text("Too many requests", zh: "请求过多"),
            lines: [
                Text(
                    "\(route.tunnelName) takes only so many requests from one address; try again in \(seconds) s.",
                    zh: "\(route.tunnelName) 限制同一地址的请求次数；请在 \(seconds) 秒后重试。"
                )
            ],
            retryAfter: seconds
        )
    }

    /// The request itself cannot be answered.
    static func refused(_ refusal: HTTPRefusal) -> HTTPPage {
        var page = HTTPPage(
            status: refusal.status,
            code: refusal.code,
            title: Text("The request was refused", zh: "请求被拒绝"),
            lines: [refusal.reason]
        )
        if refusal == .connect {
            page.fields = [HTTPField(name: "Allow", value: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
        }
        return page
    }
}
