// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

/// Why visitors were turned away, in words.
enum RefusalWords {
    /// The reason with the limit that was reached; an unknown one as it came.
    static func reason(_ turned: TurnedAway) -> Text {
        let limit = Foreign.clean(turned.limit, limit: 32)
        switch turned.reason {
        case "allow-list": return Text("not on the allow list", zh: "不在允许的地址内")
        case "password": return Text("wrong password", zh: "密码错误")
        case "connections": return Text("connection limit \(limit)", zh: "连接数上限 \(limit)")
        case "connection-rate": return Text("connection rate \(limit)", zh: "连接速率上限 \(limit)")
        case "request-rate": return Text("request rate \(limit)", zh: "请求速率上限 \(limit)")
        case "device-connections":
            return Text("the server's limit of \(limit) connections", zh: "服务器的连接数上限 \(limit)")
        default: return Text(verbatim: Foreign.clean(turned.reason, limit: 64))
        }
    }
}
