// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes of looking at the network: `adit doctor nat`.
extension ExplainPage {
    static let stunSilent = ExplainPage(
        title: Text("no STUN server answers", zh: "没有 STUN 服务器应答"),
        meaning: Text(
            """
            What a NAT does is seen by asking a STUN server (RFC 8489) how it sees this computer. None of the servers
            answered, over UDP or TCP, so that nothing can be said. The exit code is 1.
            """,
            zh: """
                要了解 NAT 的行为，需要询问 STUN 服务器（RFC 8489）看到的本机地址。所有服务器在 UDP 和 TCP 上
                均无应答，因此无法得出结论。退出码为 1。
                """
        ),
        causes: Text(
            """
            The server does not answer STUN, or its firewall lets port 3478 (UDP and TCP) not in.
            This network is down, or lets only web pages out.
            """,
            zh: """
                服务器不提供 STUN，或其防火墙未放行 3478 端口（UDP 和 TCP）。
                本网络不通，或只放行网页流量。
                """
        ),
        check: Text(
            """
            adit doctor                        which part of the way to your server is broken
            adit server status                 on the server: where it answers STUN
            """,
            zh: """
                adit doctor                        到服务器的哪一段不通
                adit server status                 在服务器上查看：STUN 监听的位置
                """
        ),
        fix: Text(
            "Open UDP and TCP port 3478 on the server, or ask another one:  adit doctor nat --stun HOST:PORT",
            zh: "在服务器上放行 UDP 和 TCP 3478 端口，或换一台询问：  adit doctor nat --stun 主机:端口"
        )
    )
}
