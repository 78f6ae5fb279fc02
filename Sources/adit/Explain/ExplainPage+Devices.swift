// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 212 and 410 to 413: services and paths between two devices.
extension ExplainPage {
    static let serviceUnknown = ExplainPage(
        title: Text("the device has no such service for others", zh: "设备没有向其他设备开放该服务"),
        meaning: Text(
            """
            The other device is online, and none of its processes offers a service of that name to this device.
            Whoever may not use a service is told the same as if there were none.
            """,
            zh: """
                对方设备在线，但它的进程没有向本设备提供该名称的服务。
                无权使用服务的设备得到的答复与服务不存在时相同。
                """
        ),
        causes: Text(
            """
            The process that offers it was stopped, the name is another one, or the service is not for this device.
            Just after that device has connected again it may take a moment until the server knows its services.
            """,
            zh: """
                提供该服务的进程已停止，服务名称不同，或该服务不对本设备开放。
                该设备刚刚重新连接时，服务器可能需要片刻才知道它的服务。
                """
        ),
        check: Text(
            "adit status                            on that device: what it offers, and to whom",
            zh: "adit status                            在该设备上：它提供哪些服务、对谁开放"
        ),
        fix: Text("On that device:  adit expose SERVICE", zh: "在该设备上：  adit expose 服务")
    )

    static let deviceUnknown = ExplainPage(
        title: Text("no device of that name", zh: "没有该名称的设备"),
        meaning: Text(
            "Devices are known to each other by the names that their server gave them, and no member has this one.",
            zh: "设备之间以服务器给出的名称相识，而没有成员使用此名称。"
        ),
        causes: Text(
            """
            A typing error, a device that was removed or joined another server, or the name of this device itself.
            A second computer with the same host name was called NAME-2 when it joined.
            """,
            zh: """
                名称输入有误；设备已被移除或加入了其他服务器；或者就是本设备的名称。
                主机名相同的第二台电脑加入时被命名为 名称-2。
                """
        ),
        check: Text(
            """
            adit status                            shows the name of this device
            adit server devices                    on the server: all names
            """,
            zh: """
                adit status                            显示本设备的名称
                adit server devices                    在服务器上：所有名称
                """
        ),
        fix: Text("Use a name from that list:  adit ping NAME", zh: "使用列表中的名称：  adit ping 名称")
    )

    static let pathsOff = ExplainPage(
        title: Text("the device takes no part in finding paths", zh: "设备不参与路径查找"),
        meaning: Text(
            """
            The device has a session with the server, and none of its processes takes messages of other devices.
            Its tunnels are not affected.
            """,
            zh: """
                该设备与服务器保持会话，但没有一个进程接收其他设备的消息。
                它的隧道不受影响。
                """
        ),
        causes: Text(
            """
            It runs with --no-paths (key: paths = false), an older version of Adit runs there, or the server is older.
            """,
            zh: "它以 --no-paths（配置项 paths = false）运行，或那里运行着旧版 Adit，或服务器版本较旧。"
        ),
        check: Text(
            """
            adit status                            on that device: which processes run
            adit version                           on both devices and the server
            """,
            zh: """
                adit status                            在该设备上：有哪些进程
                adit version                           在两台设备和服务器上
                """
        ),
        fix: Text("On that device:  adit up", zh: "在该设备上：  adit up")
    )

    static let deviceKeyChanged = ExplainPage(
        title: Text("another key than before speaks for a device", zh: "设备的密钥与先前不同"),
        meaning: Text(
            """
            A device is its key. When two devices meet for the first time each remembers the other's key in devices.json,
            and takes nothing from anybody else under that name. Nothing was sent to the other key.
            """,
            zh: """
                设备的身份就是密钥。两台设备初次见面时，各自在 devices.json 中记住对方的密钥，
                此后不接受任何以同一名称出现的其他密钥。没有向新密钥发送任何数据。
                """
        ),
        causes: Text(
            """
            The device was set up anew and joined again under its old name, or it runs with another ADIT_HOME.
            Or somebody who controls the server puts a device of their own in its place.
            """,
            zh: """
                设备重新安装后以旧名称再次加入，或以另一个 ADIT_HOME 运行。
                也可能是控制服务器的人用自己的设备冒充。
                """
        ),
        check: Text(
            """
            adit status                            on that device: the fingerprint of its key
            """,
            zh: """
                adit status                            在该设备上：其密钥的指纹
                """
        ),
        fix: Text(
            """
            Only when both fingerprints are the same, read over another way than this server:
            adit trust NAME SHA256:…
            """,
            zh: """
                通过此服务器以外的方式核对，确认两处指纹相同后：
                adit trust 名称 SHA256:…
                """
        )
    )

    static let noPath = ExplainPage(
        title: Text("no path to the device", zh: "没有到该设备的路径"),
        meaning: Text(
            "Both devices talked through the server, and packets reach the other neither directly nor through a relay.",
            zh: "两台设备通过服务器交换了消息，但数据包既不能直达，也不能经中继到达对方。"
        ),
        causes: Text(
            """
            The server relays nothing (turn = off, or its ports are closed in a firewall) and the two NATs let nothing
            through directly; or one of the devices was told to use direct paths only (--p2p only).
            """,
            zh: """
                服务器不提供中继（turn = off，或防火墙关闭了其端口），且两端的 NAT 不允许直连；
                或其中一台设备被设为只用直连（--p2p only）。
                """
        ),
        check: Text(
            """
            adit ping NAME --trace                 every step on the way
            adit doctor nat                        what the NAT here does
            adit doctor                            whether the server's relay answers
            """,
            zh: """
                adit ping 名称 --trace                 显示每一步
                adit doctor nat                        本地 NAT 的行为
                adit doctor                            服务器的中继是否应答
                """
        ),
        fix: Text(
            "Open the server's relay (3478/udp and tcp, 5349/tcp), or leave --p2p at auto.",
            zh: "开放服务器的中继端口（3478/udp、3478/tcp、5349/tcp），或让 --p2p 保持 auto。"
        )
    )
}
