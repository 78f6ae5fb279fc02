// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 301 to 501: names, ports and what may be open.
extension ExplainPage {
    static let nameInvalid = ExplainPage(
        title: Text("the name is not valid", zh: "名称无效"),
        meaning: Text(
            "A name is part of a web address: letters a to z, digits and hyphens, at most 63 of them.",
            zh: "名称是网址的一部分：只能用 a–z、数字和连字符，最多 63 个字符。"
        ),
        causes: Text(
            "A space, an underscore or a dot in the name, or a hyphen at its beginning or end.",
            zh: "名称含空格、下划线或点，或以连字符开头、结尾。"
        ),
        check: Text("Compare with:  my-blog-2", zh: "参考：  my-blog-2"),
        fix: Text("adit http 3000 --name my-blog", zh: "adit http 3000 --name my-blog")
    )

    static let nameTaken = ExplainPage(
        title: Text("the name belongs to another device", zh: "名称属于另一台设备"),
        meaning: Text(
            "A name stays with the device that first asked for it, also while it is offline.",
            zh: "名称归首先申请的设备所有，离线时也保留。"
        ),
        causes: Text("Another device of this server uses or keeps the name.", zh: "该服务器的另一台设备正在使用或保留该名称。"),
        check: Text("adit server status    on the server shows whose it is", zh: "在服务器上用  adit server status  查看归属"),
        fix: Text("Choose another:  adit http 3000 --name NAME", zh: "换一个名称：  adit http 3000 --name 名称")
    )

    static let nameReserved = ExplainPage(
        title: Text("the name is reserved", zh: "名称被保留"),
        meaning: Text(
            "The server keeps some names for itself, and a released name rests before somebody else gets it.",
            zh: "服务器为自身保留部分名称；释放的名称需经过一段时间才能分配给他人。"
        ),
        causes: Text(
            "A name such as www or api, or one that others may still trust as belonging to its earlier owner.",
            zh: "例如 www、api，或他人可能仍信任其前任所有者的名称。"
        ),
        check: Text("Try another name.", zh: "尝试其他名称。"),
        fix: Text("adit http 3000 --name NAME", zh: "adit http 3000 --name 名称")
    )

    static let notAllowed = ExplainPage(
        title: Text("this device may not open that", zh: "本设备无权开放该隧道"),
        meaning: Text("An invite can limit names, ports and kinds of tunnel.", zh: "邀请可以限制名称、端口和隧道类型。"),
        causes: Text("The device joined with such a limit.", zh: "本设备加入时带有此类限制。"),
        check: Text("adit server status    on the server", zh: "在服务器上：  adit server status"),
        fix: Text("Ask the owner for a wider invite, then:  adit join INVITE", zh: "向所有者索取权限更大的邀请，然后：  adit join 邀请")
    )

    static let portTaken = ExplainPage(
        title: Text("the public port is taken", zh: "公网端口已被占用"),
        meaning: Text("Another tunnel or another program holds that port on the server.", zh: "服务器上该端口已被其他隧道或程序占用。"),
        causes: Text("Ports stay with the device that first got them.", zh: "端口归首先获得它的设备所有。"),
        check: Text("adit server status    on the server", zh: "在服务器上：  adit server status"),
        fix: Text(
            "Leave --port out to be given a free one that stays yours:  adit tcp 25565",
            zh: "不写 --port，由服务器分配并为你保留：  adit tcp 25565"
        )
    )

    static let portBlockedByBrowsers = ExplainPage(
        title: Text("browsers refuse this port", zh: "浏览器拒绝该端口"),
        meaning: Text(
            "The Fetch standard lists ports that browsers never open, 6000 and 10080 among them. Other programs can.",
            zh: "Fetch 标准规定了浏览器禁止访问的端口，如 6000 和 10080。其他程序可以使用。"
        ),
        causes: Text("The port was chosen by hand.", zh: "端口由人工指定。"),
        check: Text("curl opens the address although a browser does not.", zh: "浏览器打不开而 curl 可以。"),
        fix: Text("Choose another port, or none:  adit tcp 8080", zh: "换一个端口，或不指定：  adit tcp 8080")
    )

    static let portOutsideRange = ExplainPage(
        title: Text("the port is outside the server's range", zh: "端口不在服务器的范围内"),
        meaning: Text(
            "The server gives out a range of ports, 20000 to 20999 unless changed.",
            zh: "服务器只分配一段端口，默认 20000–20999。"
        ),
        causes: Text("A wanted port outside that range.", zh: "请求的端口不在该范围内。"),
        check: Text("adit server status    on the server", zh: "在服务器上：  adit server status"),
        fix: Text(
            "Choose a port of the range, or leave --port out:  adit tcp 22 --port 20022",
            zh: "选择范围内的端口，或不写 --port：  adit tcp 22 --port 20022"
        )
    )

    static let takenOver = ExplainPage(
        title: Text("a newer run took the tunnel over", zh: "隧道被较新的进程接管"),
        meaning: Text(
            "The same tunnel was opened again on this device; the newer one has it now.",
            zh: "同一设备上再次打开了同一隧道；现在归新进程。"
        ),
        causes: Text("A second terminal or a service runs the same command.", zh: "另一个终端或服务运行了同样的命令。"),
        check: Text("adit status    lists every running process", zh: "adit status    列出所有运行中的进程"),
        fix: Text("Stop one of them, or give it a name of its own:  --name NAME", zh: "停止其中一个，或另取名称：  --name 名称")
    )

    static let kindUnavailable = ExplainPage(
        title: Text("this kind of tunnel is not available", zh: "不支持该类型的隧道"),
        meaning: Text(
            "The server, or this version, does not offer the kind that was asked for.",
            zh: "服务器或当前版本不提供所请求的类型。"
        ),
        causes: Text(
            "Web names are switched off on the server, or a file names a kind that this version does not have.",
            zh: "服务器关闭了网页域名，或配置文件使用了本版本没有的类型。"
        ),
        check: Text("adit server status    on the server", zh: "在服务器上：  adit server status"),
        fix: Text("Use a port instead of a name:  adit tcp 3000", zh: "改用端口：  adit tcp 3000")
    )

    static let wildcardMissing = ExplainPage(
        title: Text("the wildcard record of the domain is missing", zh: "域名缺少通配符解析"),
        meaning: Text(
            "Web names are sub-domains; without a wildcard record browsers do not find them.",
            zh: "网页名称是子域名；没有通配符解析，浏览器无法找到。"
        ),
        causes: Text("DNS has an entry for the domain but none for *.domain.", zh: "DNS 有主域名记录，但没有 *.域名 的记录。"),
        check: Text("getent hosts anything.tunnel.example.com", zh: "getent hosts anything.tunnel.example.com"),
        fix: Text(
            "At your DNS provider add:  *.tunnel  A  (the server's address)",
            zh: "在 DNS 服务商处添加：  *.tunnel  A  （服务器地址）"
        )
    )

    static let limitReached = ExplainPage(
        title: Text("a limit is reached", zh: "达到上限"),
        meaning: Text(
            "The server bounds what one device may use, and a tunnel what its visitors may use.",
            zh: "服务器限制单台设备的用量，隧道也可限制其访客的用量。"
        ),
        causes: Text(
            "Too many tunnels, connections or tries at once; or the tunnel's --max-connections, --connection-rate or --request-rate.",
            zh: "隧道、连接或尝试次数过多；或达到隧道的 --max-connections、--connection-rate、--request-rate。"
        ),
        check: Text("adit status    shows this computer's tunnels", zh: "adit status    查看本机隧道"),
        fix: Text("Close tunnels that are not needed, or ask the owner for more.", zh: "关闭不需要的隧道，或向所有者申请更多额度。")
    )

    static let riskyPort = ExplainPage(
        title: Text("a port that is attacked within a day", zh: "一天之内就会被攻击的端口"),
        meaning: Text(
            "SSH, RDP, SMB, VNC, Telnet, databases and Docker on a public port are found by scanners at once.",
            zh: "SSH、RDP、SMB、VNC、Telnet、数据库和 Docker 一旦公开，会立即被扫描发现。"
        ),
        causes: Text("adit tcp was asked for such a port, for everybody.", zh: "adit tcp 请求向所有人开放此类端口。"),
        check: Text(
            "The ports: 22 23 445 2375 3306 3389 5432 5900 6379 9200 27017",
            zh: "这些端口：22 23 445 2375 3306 3389 5432 5900 6379 9200 27017"
        ),
        fix: Text(
            """
            Only from known networks:   adit tcp 22 --allow 203.0.113.0/24
            All the same:               adit tcp 22 --public
            """,
            zh: """
                仅允许已知网段：  adit tcp 22 --allow 203.0.113.0/24
                仍要公开：        adit tcp 22 --public
                """
        )
    )
}
