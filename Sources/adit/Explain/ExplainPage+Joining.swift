// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 101 to 122: reaching a server and being let in.
extension ExplainPage {
    static let serverUnreachable = ExplainPage(
        title: Text("the server cannot be reached", zh: "无法连接服务器"),
        meaning: Text(
            """
            No address of the server answered on its session port.
            Adit keeps trying for ever, at most 30 s apart; nothing has to be restarted.
            """,
            zh: """
                服务器的任何地址都没有在会话端口上应答。
                Adit 会一直重试，间隔最多 30 秒；无需重启任何东西。
                """
        ),
        causes: Text(
            """
            The cloud's firewall (security group) does not let the port in, the server is stopped,
            or this network lets nothing out on that port.
            "no answer" points to a firewall, "refused" to a server that is not running.
            """,
            zh: """
                云防火墙（安全组）没有放行该端口，服务器已停止，
                或当前网络不允许访问该端口。
                “无应答”多半是防火墙，“拒绝连接”说明服务器没有运行。
                """
        ),
        check: Text(
            """
            On the server:             adit server status
            From here, another port:   nc -vz HOST 7000
            """,
            zh: """
                在服务器上：  adit server status
                在本机：      nc -vz 主机 7000
                """
        ),
        fix: Text(
            "Allow the session port (7000/tcp unless changed) in the cloud's console, or start the server:  adit server",
            zh: "在云控制台放行会话端口（默认 7000/tcp），或启动服务器：  adit server"
        )
    )

    static let nameDoesNotResolve = ExplainPage(
        title: Text("the server's name does not resolve", zh: "服务器域名无法解析"),
        meaning: Text(
            "DNS gave no address for the server's name. The name is asked for again at every try.",
            zh: "DNS 没有返回服务器域名的地址。每次重试都会重新解析。"
        ),
        causes: Text(
            "A typing error, a missing record, a network that is not up yet, or a DNS filter.",
            zh: "拼写错误、缺少解析记录、网络尚未就绪，或 DNS 被过滤。"
        ),
        check: Text("getent hosts HOST", zh: "getent hosts 主机名"),
        fix: Text(
            "Correct the name or add its A record. With an address instead of a name:  adit join 203.0.113.7/CODE",
            zh: "改正域名或添加 A 记录。也可直接使用 IP：  adit join 203.0.113.7/邀请码"
        )
    )

    static let inviteUsed = ExplainPage(
        title: Text("this invite was already used", zh: "该邀请已被使用"),
        meaning: Text("An invite lets one computer in, once.", zh: "一个邀请只能让一台电脑加入一次。"),
        causes: Text(
            "Another computer used it, or this one did and its state folder was lost since.",
            zh: "另一台电脑用过它；或者本机用过，但状态目录后来丢失了。"
        ),
        check: Text("adit status    shows whether this computer has joined", zh: "adit status    查看本机是否已加入"),
        fix: Text("Ask for a new one. On the server:  adit server invite", zh: "索取新的邀请。在服务器上：  adit server invite")
    )

    static let inviteExpired = ExplainPage(
        title: Text("this invite's time is over", zh: "该邀请已过期"),
        meaning: Text(
            "Invites are good for a short time, so that one found later in a chat opens nothing.",
            zh: "邀请只在短时间内有效，以免日后从聊天记录中泄露。"
        ),
        causes: Text("More time passed than the server allowed.", zh: "已超过服务器允许的时间。"),
        check: Text("The server prints how long each invite is valid.", zh: "服务器生成邀请时会显示有效期。"),
        fix: Text("Ask for a new one. On the server:  adit server invite", zh: "索取新的邀请。在服务器上：  adit server invite")
    )

    static let inviteWrong = ExplainPage(
        title: Text("this is not an invite of that server", zh: "这不是该服务器的邀请"),
        meaning: Text(
            """
            The code has a wrong character, or was made by another server.
            Its letters are those of Crockford's base 32; case and hyphens do not matter.
            """,
            zh: """
                邀请码有错误字符，或由另一台服务器生成。
                字母采用 Crockford Base32；大小写和连字符不影响。
                """
        ),
        causes: Text(
            "A line that was cut while copying, or an invite from before the server was set up anew.",
            zh: "复制时被截断，或邀请是在服务器重装之前生成的。"
        ),
        check: Text(
            "The whole has the form  HOST/XXXX-XXXX-…  with 29 letters and digits.",
            zh: "完整格式为  主机/XXXX-XXXX-…  ，共 29 个字符。"
        ),
        fix: Text(
            "Copy it once more, or make a new one on the server:  adit server invite",
            zh: "重新复制，或在服务器上生成新的：  adit server invite"
        )
    )

    static let inviteLimit = ExplainPage(
        title: Text("a limit of the invite or of tries is reached", zh: "邀请或尝试次数达到上限"),
        meaning: Text(
            "The server slows down and then refuses addresses that try many codes.",
            zh: "服务器会先放慢、随后拒绝频繁尝试邀请码的地址。"
        ),
        causes: Text(
            "Several wrong codes from this network, or an invite for several computers that is used up.",
            zh: "本网络多次输入错误，或多次使用的邀请已用完。"
        ),
        check: Text("adit server status    on the server", zh: "在服务器上：  adit server status"),
        fix: Text(
            "Wait a few minutes, then use a fresh invite:  adit server invite",
            zh: "等待几分钟后使用新的邀请：  adit server invite"
        )
    )

    static let deviceRemoved = ExplainPage(
        title: Text("the owner removed this device", zh: "本设备已被所有者移除"),
        meaning: Text(
            "The server no longer accepts this computer's key. Adit stops, because trying again cannot help.",
            zh: "服务器不再接受本机的密钥。重试没有意义，因此 Adit 会退出。"
        ),
        causes: Text("Somebody removed the device on the server.", zh: "有人在服务器上移除了该设备。"),
        check: Text("adit server status    on the server lists the devices", zh: "在服务器上用  adit server status  查看设备列表"),
        fix: Text("Join again with a new invite:  adit join INVITE", zh: "用新的邀请重新加入：  adit join 邀请")
    )

    static let tokenRefused = ExplainPage(
        title: Text("the token is wrong, empty or missing", zh: "令牌错误、为空或缺失"),
        meaning: Text("The shared secret of this side is not the server's.", zh: "本端的共享密钥与服务器不一致。"),
        causes: Text(
            "A typing error, a changed token, or a token in the wrong section of a configuration file.",
            zh: "输入错误、令牌已更换，或写在配置文件的错误位置。"
        ),
        check: Text(
            "adit config check FILE    shows which keys were understood",
            zh: "adit config check 文件    检查哪些键被识别"
        ),
        fix: Text(
            "Use the server's token, or better, join with an invite and no token:  adit join INVITE",
            zh: "使用服务器的令牌；更好的办法是用邀请加入，无需令牌：  adit join 邀请"
        )
    )

    static let notJoined = ExplainPage(
        title: Text("this computer has not joined a server", zh: "本机尚未加入服务器"),
        meaning: Text("Adit does not know which server to use.", zh: "Adit 不知道要使用哪台服务器。"),
        causes: Text(
            """
            adit join was never run here, or ran as another user, or with another ADIT_HOME.
            Each user has a state folder of their own.
            """,
            zh: """
                从未在此运行 adit join，或由其他用户、用其他 ADIT_HOME 运行过。
                每个用户有各自的状态目录。
                """
        ),
        check: Text("adit status", zh: "adit status"),
        fix: Text(
            """
            adit join INVITE        an invite comes from  adit server invite  on the server
            adit http 3000 --server HOST:PORT --token T        without joining
            """,
            zh: """
                adit join 邀请        在服务器上用  adit server invite  生成邀请
                adit http 3000 --server 主机:端口 --token 令牌        不加入直接使用
                """
        )
    )

    static let serverKeyChanged = ExplainPage(
        title: Text("the server's key is not the expected one", zh: "服务器密钥与预期不符"),
        meaning: Text(
            "The other side could not prove to be the server that this computer joined. Nothing was sent to it.",
            zh: "对方无法证明自己是本机加入的那台服务器。没有向其发送任何内容。"
        ),
        causes: Text(
            """
            The server was set up anew, the name now leads to another machine,
            or somebody sits between this computer and the server.
            Without a pinned key: no public authority vouches for the certificate.
            """,
            zh: """
                服务器被重装、域名指向了另一台机器，
                或有人在本机与服务器之间拦截。
                未固定密钥时：证书没有受信任机构签发。
                """
        ),
        check: Text(
            "Compare the two fingerprints on the screen with  adit server status  on the server.",
            zh: "将屏幕上的两个指纹与服务器上  adit server status  的输出比较。"
        ),
        fix: Text(
            "When the owner confirms the new key, join again with a new invite:  adit join INVITE",
            zh: "所有者确认新密钥后，用新的邀请重新加入：  adit join 邀请"
        )
    )

    static let clockOff = ExplainPage(
        title: Text("the two clocks are too far apart", zh: "两端时钟相差过大"),
        meaning: Text("A certificate or a time-limited proof is judged by the clock.", zh: "证书和有时限的凭证需要正确的时钟。"),
        causes: Text(
            "A small computer without a battery clock, or a suspended virtual machine.",
            zh: "没有电池时钟的小型设备，或被挂起的虚拟机。"
        ),
        check: Text("date -u    on both sides", zh: "在两端运行  date -u"),
        fix: Text("sudo timedatectl set-ntp true", zh: "sudo timedatectl set-ntp true")
    )

    static let versionsApart = ExplainPage(
        title: Text("the two sides have no wire in common", zh: "两端没有共同的协议版本"),
        meaning: Text(
            "The other side answered, but not in a protocol that this version speaks.",
            zh: "对方有应答，但协议与本版本不兼容。"
        ),
        causes: Text(
            "The port belongs to another program (a web server), one side is much older, or TLS is on at one side only.",
            zh: "端口属于其他程序（如网页服务器）、一端版本过旧，或仅一端启用了 TLS。"
        ),
        check: Text("adit version    on both sides", zh: "在两端运行  adit version"),
        fix: Text("Correct the port, or upgrade the older side.", zh: "改正端口，或升级较旧的一端。")
    )
}
