// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension DeviceControl {
    /// Refusals that stay the same until somebody changes something; trying again would only make noise.
    static let needsPerson: Set<ErrorCode> = [
        .nameInvalid, .nameTaken, .nameReserved, .notAllowed, .portBlockedByBrowsers, .portOutsideRange, .takenOver,
        .kindUnavailable, .riskyPort, .targetRefused,
    ]

    /// The other side speaks frp's protocol but not Adit's extension.
    static let notAdit = AditError(
        .versionsApart,
        Text("The server is not an Adit server", zh: "对方不是 Adit 服务器"),
        why: [Text("it answered as a plain frp server", zh: "它以普通 frp 服务器的方式应答")],
        fix: Text("for an frp server use: adit frpc -c FILE", zh: "对 frp 服务器请用 adit frpc -c 文件")
    )

    /// An Adit server of before there were guests.
    static let takesNoGuests = AditError(
        .versionsApart,
        Text("This Adit server has no private proxies for frp clients", zh: "此 Adit 服务器不支持 frp 客户端的私有代理"),
        why: [Text("its version does not know them", zh: "其版本过旧")],
        fix: Text("update Adit on the server", zh: "请升级服务器上的 Adit")
    )

    /// What a plain frp server's words about a login mean.
    static func refusal(_ text: String) -> AditError {
        AditError(
            .tokenRefused,
            Text("The server refused the login", zh: "服务器拒绝了登录"),
            why: [Text(verbatim: clean(text))],
            fix: Text("compare auth.token on both sides", zh: "请核对两端的 auth.token")
        )
    }

    /// What a plain frp server's words about a proxy mean.
    ///
    /// A port or a name that is in use may become free, so these stay worth another try.
    static func registrationRefusal(_ text: String) -> AditError {
        AditError(
            .limitReached,
            Text("The server refused the proxy", zh: "服务器拒绝了该代理"),
            why: [Text(verbatim: clean(text))]
        )
    }

    /// A peer's words without control characters, at most 300 of them.
    private static func clean(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(300).filter { $0.value >= 32 && $0.value != 127 }))
    }
}
