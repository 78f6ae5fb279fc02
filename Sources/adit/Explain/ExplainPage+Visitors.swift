// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension ExplainPage {
    static let nameUnknown = ExplainPage(
        title: Text("nothing is shared under this name", zh: "该名称下没有共享任何内容"),
        meaning: Text(
            "A visitor asked the server for a name that no tunnel has.",
            zh: "访客向服务器请求了一个没有任何隧道使用的名称。"
        ),
        causes: Text(
            "The link is mistyped, the tunnel expired, or the request's Host header was changed on its way.",
            zh: "链接有误、隧道已过期，或请求的 Host 头在途中被改动。"
        ),
        check: Text("adit status    lists the addresses of this computer", zh: "adit status    列出本机的公网地址"),
        fix: Text("Send the address that  adit http  printed.", zh: "请发送  adit http  显示的地址。")
    )

    static let visitorRefused = ExplainPage(
        title: Text("the visitor's address is not allowed", zh: "访客的地址不被允许"),
        meaning: Text(
            "The tunnel is open to chosen addresses only, and the visitor came from another one.",
            zh: "该隧道只对指定地址开放，而访客来自其他地址。"
        ),
        causes: Text(
            "The list given with --allow lacks the visitor's network, or their address changed.",
            zh: "--allow 的名单中没有访客的网络，或访客的地址已变化。"
        ),
        check: Text("the row of the request shows the visitor's address", zh: "请求行会显示访客的地址"),
        fix: Text("adit http 3000 --allow 203.0.113.0/24", zh: "adit http 3000 --allow 203.0.113.0/24")
    )

    static let signInNeeded = ExplainPage(
        title: Text("the tunnel asks for a password", zh: "该隧道需要密码"),
        meaning: Text(
            "The visitor sent no user and password, or wrong ones (HTTP Basic authentication).",
            zh: "访客没有提供用户名和密码，或提供的不正确（HTTP Basic 认证）。"
        ),
        causes: Text("The tunnel was opened with --auth user:password.", zh: "隧道是用 --auth 用户:密码 打开的。"),
        check: Text("curl -u USER:PASSWORD ADDRESS", zh: "curl -u 用户:密码 地址"),
        fix: Text("Ask the person who shares it for the password.", zh: "请向共享者询问密码。")
    )

    static let misdirected = ExplainPage(
        title: Text("the request names another host than its connection", zh: "请求的主机名与连接不一致"),
        meaning: Text(
            "A TLS connection was made for one name and then asked for another one. Each name needs its own connection.",
            zh: "TLS 连接是为某个名称建立的，请求中却是另一个名称。每个名称需要各自的连接。"
        ),
        causes: Text(
            "A program sets the Host header by hand, or a proxy on the way reuses connections for other names.",
            zh: "程序手动设置了 Host 头，或途中的代理为其他名称复用了连接。"
        ),
        check: Text(
            "curl -v https://NAME/    shows the name of the certificate and the Host header",
            zh: "curl -v https://名称/    会显示证书名称和 Host 头"
        ),
        fix: Text(
            "Ask for the same name in the address (TLS server name) and in Host. Browsers do so by themselves.",
            zh: "让地址（TLS 服务器名）与 Host 使用同一个名称。浏览器会自动如此。"
        )
    )

    static let movedToTLS = ExplainPage(
        title: Text("the name is open at https", zh: "该名称请使用 https 访问"),
        meaning: Text(
            "The server has a certificate for this name and sends visitors of http to https (status 307).",
            zh: "服务器有该名称的证书，会把 http 访客转到 https（状态码 307）。"
        ),
        causes: Text(
            "The address was opened with http://. Browsers follow by themselves; some programs have to be told to.",
            zh: "使用了 http:// 地址。浏览器会自动跳转，部分程序需要显式开启。"
        ),
        check: Text("curl -I http://NAME/    shows the new address", zh: "curl -I http://名称/    会显示新地址"),
        fix: Text(
            "Use the https address. The server's owner can switch this off:  redirectToHTTPS = false",
            zh: "请使用 https 地址。服务器所有者可关闭跳转：redirectToHTTPS = false"
        )
    )
}
