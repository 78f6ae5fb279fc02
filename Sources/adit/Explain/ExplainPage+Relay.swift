// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes of relays: `adit doctor`, `adit doctor turn:…`.
extension ExplainPage {
    static let relayUnusable = ExplainPage(
        title: Text("the TURN server does not relay", zh: "TURN 服务器无法中继"),
        meaning: Text(
            """
            Devices that find no direct path meet at a relay (TURN, RFC 8656). This one gave none, or what is sent
            through it does not arrive. Tunnels do not need it.
            """,
            zh: """
                找不到直连路径的设备通过中继（TURN，RFC 8656）连接。该服务器没有分配中继，或经中继发送的数据没有到达。
                隧道不需要它。
                """
        ),
        causes: Text(
            """
            The user or the password is wrong, or their time is over.
            A firewall lets the server's TURN port in, and the UDP ports of its relays not.
            This network blocks UDP (then TCP and TLS work), or what answers is no TURN server.
            The user has as many relays as it may have, or the server is full.
            """,
            zh: """
                用户名或密码错误，或已过期。
                防火墙放行了 TURN 端口，但没有放行中继使用的 UDP 端口。
                本网络封锁 UDP（此时 TCP 和 TLS 可用），或应答的不是 TURN 服务器。
                该用户的中继数已达上限，或服务器已满。
                """
        ),
        check: Text(
            """
            adit doctor                               the relay of your own server, over UDP, TCP and TLS
            adit doctor turn:HOST --user NAME         any TURN server
            adit server status                        on the server: where it relays, and for whom
            """,
            zh: """
                adit doctor                               检查自己服务器的中继（UDP、TCP、TLS）
                adit doctor turn:主机 --user 用户名       检查任意 TURN 服务器
                adit server status                        在服务器上查看：中继的位置和使用者
                """
        ),
        fix: Text(
            """
            Allow the TURN port (3478, UDP and TCP), TLS (5349) and the range of relay ports (UDP) in the server's firewall.
            For an expired user: any running adit gets new credentials by itself.
            """,
            zh: """
                在服务器防火墙放行 TURN 端口（3478，UDP 和 TCP）、TLS（5349）以及中继端口范围（UDP）。
                凭据过期时：运行中的 adit 会自动获取新凭据。
                """
        )
    )
}
