// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What `adit` alone prints: what one can do, a line each.
enum Welcome {
    private static let rows: [(command: String, words: Text)] = [
        ("adit join INVITE", Text("connect this computer to a server, once", zh: "把本机接入一台服务器，只需一次")),
        (
            "adit http 3000",
            Text(
                "a website        → http://…   (adit 3000 does the same)",
                zh: "一个网站        → http://…   （adit 3000 效果相同）"
            )
        ),
        ("adit tcp 25565", Text("a port           → host:port", zh: "一个端口        → 主机:端口")),
        ("adit client -c FILE", Text("many tunnels from a file", zh: "用文件开多条隧道")),
        ("adit status", Text("what runs on this computer", zh: "本机正在运行什么")),
        ("adit server", Text("on the machine with the public address", zh: "在有公网地址的机器上运行")),
        ("adit server invite", Text("an invite for one more computer", zh: "为新的电脑生成邀请")),
        ("adit config check FILE", Text("is this file right?", zh: "检查配置文件")),
        ("adit config import FILE", Text("turn a file of frpc into one of Adit", zh: "把 frpc 配置转换为 Adit 配置")),
        ("adit frps · adit frpc", Text("frp's programs, with frp's files", zh: "frp 的程序，使用 frp 的配置")),
        ("adit explain ADIT-201", Text("more about an error, offline", zh: "离线查看错误说明")),
        ("adit COMMAND --help", Text("the flags of a command", zh: "命令的全部选项")),
    ]

    /// The rows in one language.
    static func lines(_ style: ScreenStyle) -> [String] {
        rows.map { style.spell("  " + Figures.padded($0.command, 26) + $0.words.in(style.language)) }
    }
}
