// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 901 to 910: files, commands and processes.
extension ExplainPage {
    static let configuration = ExplainPage(
        title: Text("a configuration file is wrong", zh: "配置文件有误"),
        meaning: Text("The file is not used at all until every fault in it is gone.", zh: "在所有错误改正之前，该文件不会被使用。"),
        causes: Text(
            "A misspelt key, a value of the wrong kind, or a key in the wrong table.",
            zh: "键名拼写错误、值类型不对，或键放在错误的表中。"
        ),
        check: Text(
            "adit config check FILE    shows file, line, column and the nearest key",
            zh: "adit config check 文件    显示文件、行、列及最接近的键"
        ),
        fix: Text(
            "Correct the line that is shown. From frp:  adit config import frpc.toml",
            zh: "改正所示的行。从 frp 迁移：  adit config import frpc.toml"
        )
    )

    static let usage = ExplainPage(
        title: Text("a command was used wrongly", zh: "命令用法有误"),
        meaning: Text(
            "The command has no such argument, or one is missing. Nothing was done. The exit code is 2.",
            zh: "命令没有该参数，或缺少参数。未执行任何操作。退出码为 2。"
        ),
        causes: Text("A typing error, or a flag of another program.", zh: "输入错误，或使用了其他程序的选项。"),
        check: Text("adit COMMAND --help", zh: "adit 命令 --help"),
        fix: Text("adit --help", zh: "adit --help")
    )

    static let state = ExplainPage(
        title: Text("the state folder cannot be used", zh: "无法使用状态目录"),
        meaning: Text(
            """
            Adit keeps this computer's key and its servers in a folder that only its user may read:
            $ADIT_HOME, else /var/lib/adit as root, else $XDG_STATE_HOME/adit or ~/.local/state/adit.
            """,
            zh: """
                Adit 将本机密钥和服务器信息保存在仅限本用户读取的目录中：
                $ADIT_HOME，否则 root 用 /var/lib/adit，否则 $XDG_STATE_HOME/adit 或 ~/.local/state/adit。
                """
        ),
        causes: Text(
            "The folder belongs to another user, the disk is full or read-only, or a file in it was changed.",
            zh: "目录属于其他用户、磁盘已满或只读，或其中文件被改动。"
        ),
        check: Text("ls -ld \"$ADIT_HOME\" ~/.local/state/adit", zh: "ls -ld \"$ADIT_HOME\" ~/.local/state/adit"),
        fix: Text(
            "Run as the same user as before, or choose a folder:  export ADIT_HOME=/path",
            zh: "以原来的用户运行，或指定目录：  export ADIT_HOME=/路径"
        )
    )

    static let cannotListen = ExplainPage(
        title: Text("a port cannot be listened on", zh: "无法监听端口"),
        meaning: Text("The server could not open one of its own ports.", zh: "服务器无法打开自己的某个端口。"),
        causes: Text(
            "Another program has the port, or ports below 1024 need more rights.",
            zh: "其他程序占用了端口，或 1024 以下端口需要更高权限。"
        ),
        check: Text("ss -ltnp    shows which program it is", zh: "ss -ltnp    查看占用的程序"),
        fix: Text(
            "Stop the other program, or change the port in the server's configuration file.",
            zh: "停止该程序，或在服务器配置文件中更换端口。"
        )
    )

    static let serverProcess = ExplainPage(
        title: Text("another server runs here, or none does", zh: "已有服务器在运行，或没有服务器在运行"),
        meaning: Text("One state folder belongs to one running server.", zh: "一个状态目录只能由一个服务器进程使用。"),
        causes: Text(
            "adit server was started twice, or a command needs a running server of the same user and there is none.",
            zh: "adit server 启动了两次，或命令需要同一用户的服务器而它没有运行。"
        ),
        check: Text("adit server status", zh: "adit server status"),
        fix: Text(
            "Start it:  adit server   or use another folder for a second one:  ADIT_HOME=/path adit server",
            zh: "启动：  adit server   或为第二个服务器另选目录：  ADIT_HOME=/路径 adit server"
        )
    )

    static let certificateUnusable = ExplainPage(
        title: Text("a certificate or its key cannot be used", zh: "证书或其密钥无法使用"),
        meaning: Text(
            "The server ends https itself with a certificate from files, and one of these files is not usable.",
            zh: "服务器用文件中的证书提供 https，其中某个文件无法使用。"
        ),
        causes: Text(
            "A file is missing or not readable for the server, it is not PEM, or the key belongs to another certificate.",
            zh: "文件不存在或服务器无权读取，不是 PEM 格式，或密钥与证书不匹配。"
        ),
        check: Text(
            "openssl x509 -in fullchain.pem -noout -subject -enddate -ext subjectAltName",
            zh: "openssl x509 -in fullchain.pem -noout -subject -enddate -ext subjectAltName"
        ),
        fix: Text(
            "Give the whole chain, the server's own certificate first, and its unencrypted key:  --certificate fullchain.pem --key key.pem",
            zh: "请提供完整证书链（服务器证书在最前）及未加密的密钥：--certificate fullchain.pem --key key.pem"
        )
    )

    static let protocolBroken = ExplainPage(
        title: Text("the other side broke the protocol", zh: "对方违反了协议"),
        meaning: Text(
            "Bytes arrived that no correct peer sends. The connection was closed; others are not disturbed.",
            zh: "收到了正常对端不会发送的数据。连接已关闭，其他连接不受影响。"
        ),
        causes: Text(
            "Another program on that port, a proxy that changes traffic, a scanner, or a fault in one side.",
            zh: "端口上是其他程序、中间代理改动了流量、扫描器，或某一端有缺陷。"
        ),
        check: Text(
            "adit version    on both sides; is there a proxy between them?",
            zh: "在两端运行  adit version；两者之间是否有代理？"
        ),
        fix: Text(
            "Check host and port; if they are right, report it with the line from the log.",
            zh: "检查主机和端口；若无误，请附上日志行反馈。"
        )
    )
}
