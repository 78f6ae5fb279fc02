// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 211, 213, 214 and 311: private services of other devices, and private proxies of frp clients.
extension ExplainPage {
    static let serviceDown = ExplainPage(
        title: Text("the device is there, and its service does not answer", zh: "设备在线，但其服务没有应答"),
        meaning: Text(
            "The other device took the visit, and nobody answered where its service leads.",
            zh: "对方设备接受了访问，但服务指向的地方没有应答。"
        ),
        causes: Text(
            """
            The program is not running there, or listens on another port.
            A service that leads to a further machine needs that machine to be on.
            """,
            zh: """
                程序没有在那里运行，或监听在其他端口。
                如果服务指向另一台机器，那台机器需要开机。
                """
        ),
        check: Text(
            """
            adit status    on that device: what its services lead to
            ss -ltnp       on that device: what listens
            """,
            zh: """
                adit status    在该设备上：服务指向哪里
                ss -ltnp       在该设备上：有哪些程序监听
                """
        ),
        fix: Text(
            "Start the program there; for SSH:  sudo systemctl enable --now ssh",
            zh: "在那里启动程序；SSH：  sudo systemctl enable --now ssh"
        )
    )

    static let programMissing = ExplainPage(
        title: Text("a program that the command needs is not installed", zh: "命令所需的程序没有安装"),
        meaning: Text(
            "adit ssh runs the ssh of this computer through a connection to the other device, and finds none.",
            zh: "adit ssh 通过到对方设备的连接运行本机的 ssh，但没有找到它。"
        ),
        causes: Text("OpenSSH's client is not installed, or not in $PATH.", zh: "未安装 OpenSSH 客户端，或不在 $PATH 中。"),
        check: Text(verbatim: "command -v ssh"),
        fix: Text(
            """
            sudo apt install openssh-client
            Or any other client at a local port:  adit connect NAME/ssh 2222
            """,
            zh: """
                sudo apt install openssh-client
                或用其他客户端连接本地端口：  adit connect 名称/ssh 2222
                """
        )
    )

    static let serviceUnproven = ExplainPage(
        title: Text("the other end did not prove that it knows the secret", zh: "对方没有证明自己知道密钥"),
        meaning: Text(
            """
            A service with a secret is proven in both directions, on the connection between the two ends. Whoever answered let
            this end in and could not show the secret, so nothing was sent to it.
            """,
            zh: """
                带密钥的服务在两端之间的连接上互相证明。应答方放行了本端，却无法证明自己知道密钥，
                因此未向其发送任何数据。
                """
        ),
        causes: Text(
            """
            The service has no secret at its own end, or runs a version of Adit that does not prove it.
            Somebody between the two ends, such as the server, has put themselves in the place of the other.
            """,
            zh: """
                服务端没有设置密钥，或其 Adit 版本不会出示证明。
                两端之间的某一方（例如服务器）冒充了对方。
                """
        ),
        check: Text(
            "Compare the secret, and the version of Adit, at both ends; compare the server's fingerprint:  adit status",
            zh: "核对两端的密钥与 Adit 版本；核对服务器指纹：  adit status"
        ),
        fix: Text(
            "Give both ends the same long random secret, such as:  head -c 24 /dev/urandom | base64",
            zh: "两端使用同一个足够长的随机密钥，例如：  head -c 24 /dev/urandom | base64"
        )
    )

    static let proxyExists = ExplainPage(
        title: Text("another client has a private proxy of that name", zh: "已有其他客户端使用同名的私有代理"),
        meaning: Text(
            "stcp, sudp and xtcp proxies are found by user and name, which one client of a server has at a time.",
            zh: "stcp、sudp、xtcp 代理按 user 与名称查找，同一台服务器上同时只有一个客户端可以使用该名称。"
        ),
        causes: Text(
            """
            The same configuration runs twice, or two machines use the same  user  and  name.
            An earlier run was cut off, and the server has not noticed yet.
            """,
            zh: """
                同一份配置运行了两次，或两台机器使用了相同的 user 与 name。
                之前的进程异常中断，服务器尚未察觉。
                """
        ),
        check: Text("Look for another frpc with this configuration.", zh: "检查是否有另一个 frpc 使用此配置。"),
        fix: Text(
            "Give one of them another  name  or  user; the name is asked for again every 30 seconds.",
            zh: "为其中之一更换 name 或 user；客户端每 30 秒重新申请一次。"
        )
    )
}
