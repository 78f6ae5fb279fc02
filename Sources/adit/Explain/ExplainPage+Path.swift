// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 103 and 104: what stands between a device and its server.
extension ExplainPage {
    static let captivePortal = ExplainPage(
        title: Text("something on the way answers in place of the server", zh: "途中有设备代替服务器应答"),
        meaning: Text(
            """
            A connection to the server was answered with a web page that is not the server's.
            Nothing was sent to whoever answers: the server has to show its key first.
            """,
            zh: """
                连接服务器时，得到的应答是别处的网页。
                没有向其发送任何数据：服务器必须先出示密钥。
                """
        ),
        causes: Text(
            """
            A hotel, train or office network that wants a sign-in first, a proxy that catches all traffic,
            or another web server on the port that Adit's server should have.
            """,
            zh: """
                酒店、列车或办公网络要求先登录，代理截获了所有流量，
                或本应属于 Adit 服务器的端口上运行着别的网站。
                """
        ),
        check: Text(
            """
            adit doctor                            shows what was answered
            curl -v http://HOST:7000/              shows it in full
            """,
            zh: """
                adit doctor                            显示得到的应答
                curl -v http://主机:7000/              显示完整应答
                """
        ),
        fix: Text(
            "Open any web page, sign in to this network and try again. If there is no portal, correct the port.",
            zh: "打开任意网页并登录此网络后重试。如果没有登录页面，请改正端口。"
        )
    )

    static let udpBlocked = ExplainPage(
        title: Text("UDP does not reach the server", zh: "UDP 无法到达服务器"),
        meaning: Text(
            "TCP works and UDP does not. Everything goes on over TCP; only direct paths between devices may be missing.",
            zh: "TCP 正常而 UDP 不通。一切仍通过 TCP 进行，只是设备之间可能无法直连。"
        ),
        causes: Text(
            """
            The cloud's firewall lets 3478/tcp in and not 3478/udp, the server's STUN service is off,
            or this network lets no UDP out, as some offices and public networks do.
            """,
            zh: """
                云防火墙放行了 3478/tcp 但没有放行 3478/udp，服务器的 STUN 服务已关闭，
                或当前网络不允许 UDP 外出（某些办公和公共网络如此）。
                """
        ),
        check: Text(
            """
            adit doctor          from another network too
            On the server:       adit server status
            """,
            zh: """
                adit doctor          换一个网络再试
                在服务器上：         adit server status
                """
        ),
        fix: Text(
            "Allow 3478/udp in the cloud's console. If only this network blocks UDP, nothing has to be done.",
            zh: "在云控制台放行 3478/udp。如果只是当前网络封锁 UDP，则无需处理。"
        )
    )
}
