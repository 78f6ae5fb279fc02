// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Codes 201 to 221: what the tunnel leads to.
extension ExplainPage {
    static let nothingListens = ExplainPage(
        title: Text("nothing listens where the tunnel points", zh: "隧道指向的地方没有程序监听"),
        meaning: Text(
            "The tunnel is held: its address is yours, and it opens by itself when the port answers.",
            zh: "隧道已保留：地址归你所有，端口有应答后自动开放。"
        ),
        causes: Text("The app is not running, or it uses another port.", zh: "程序没有运行，或使用了其他端口。"),
        check: Text("ss -ltnp    lists what listens on this computer", zh: "ss -ltnp    列出本机监听的端口"),
        fix: Text("Start the app, or name its port:  adit http 5173", zh: "启动程序，或指定正确端口：  adit http 5173")
    )

    static let wrongScheme = ExplainPage(
        title: Text("the target speaks HTTPS where HTTP was said, or the reverse", zh: "目标使用 HTTPS 而非 HTTP，或相反"),
        meaning: Text("The app answered in the other of the two protocols.", zh: "程序使用的是另一种协议。"),
        causes: Text(
            "Development servers with a certificate of their own listen with HTTPS.",
            zh: "自带证书的开发服务器使用 HTTPS。"
        ),
        check: Text("curl -vk https://localhost:PORT/", zh: "curl -vk https://localhost:端口/"),
        fix: Text(
            "Say which one:  adit http https://localhost:8443   or   adit http http://localhost:3000",
            zh: "明确写出协议：  adit http https://localhost:8443   或   adit http http://localhost:3000"
        )
    )

    static let refusedInContainer = ExplainPage(
        title: Text("refused, and Adit runs in a container", zh: "连接被拒绝，且 Adit 运行在容器中"),
        meaning: Text(
            "Inside a container, localhost is the container itself, not the computer around it.",
            zh: "在容器内，localhost 是容器自身，而不是宿主机。"
        ),
        causes: Text("The app runs on the host or in another container.", zh: "程序运行在宿主机或另一个容器中。"),
        check: Text("docker ps    shows the names of the containers", zh: "docker ps    查看容器名称"),
        fix: Text(
            """
            An app on the host:             adit http host.docker.internal:8080
              (Linux: start the container with  --add-host host.docker.internal:host-gateway)
            An app in another container:    adit http web:8080    on the same Docker network
            """,
            zh: """
                程序在宿主机上：      adit http host.docker.internal:8080
                  （Linux：启动容器时加  --add-host host.docker.internal:host-gateway）
                程序在另一个容器中：  adit http web:8080    需在同一 Docker 网络
                """
        )
    )

    static let otherAddress = ExplainPage(
        title: Text("the target listens on another address", zh: "目标监听在其他地址"),
        meaning: Text(
            "Something listens on that port, but not on the address that was asked.",
            zh: "该端口有程序监听，但不在所请求的地址上。"
        ),
        causes: Text(
            "The app was told to listen on one address only, for example on the LAN's.",
            zh: "程序只监听某个地址，例如局域网地址。"
        ),
        check: Text("ss -ltn    shows the address in front of each port", zh: "ss -ltn    查看每个端口前的地址"),
        fix: Text("Name the address:  adit http 192.168.1.5:3000", zh: "写明地址：  adit http 192.168.1.5:3000")
    )

    static let hostRejected = ExplainPage(
        title: Text("the app rejects the Host header", zh: "程序拒绝 Host 头"),
        meaning: Text(
            "The app answers only to names that it knows. Adit sends it its own name instead, and says so.",
            zh: "程序只接受已知的主机名。Adit 会改为发送其自身的名称，并给出提示。"
        ),
        causes: Text(
            "Vite, webpack, Rails and Django development servers check the header against DNS rebinding.",
            zh: "Vite、webpack、Rails、Django 等开发服务器会检查该头以防 DNS 重绑定。"
        ),
        check: Text(
            "curl -H 'Host: example.com' http://localhost:3000/",
            zh: "curl -H 'Host: example.com' http://localhost:3000/"
        ),
        fix: Text(
            """
            Nothing to do. To send the public name all the same:  --host-header keep
            and add that one name (never all names) to the framework's list of allowed hosts.
            """,
            zh: """
                无需处理。若要照原样发送公网名称：  --host-header keep
                并只把这一个名称（切勿放行全部）加入框架的允许列表。
                """
        )
    )

    static let appTooSlow = ExplainPage(
        title: Text("the app does not answer in time", zh: "程序没有及时应答"),
        meaning: Text(
            "The app accepted the connection and then sent nothing for a long time.",
            zh: "程序接受了连接，但很久没有返回数据。"
        ),
        causes: Text(
            "A long computation, a breakpoint in a debugger, or a deadlock in the app.",
            zh: "长时间计算、调试断点，或程序死锁。"
        ),
        check: Text("curl -v http://localhost:PORT/    on this computer", zh: "在本机运行  curl -v http://localhost:端口/"),
        fix: Text("Look at the app's own log; answer early and stream the rest.", zh: "查看程序日志；尽早返回响应并以流方式发送其余内容。")
    )

    static let targetLoop = ExplainPage(
        title: Text("the target is the tunnel itself", zh: "目标就是隧道自身"),
        meaning: Text(
            "The tunnel would lead into the server that serves it, round and round.",
            zh: "隧道会指回为它服务的服务器，形成循环。"
        ),
        causes: Text("The target is the server's own session port or public name.", zh: "目标是服务器自身的会话端口或公网名称。"),
        check: Text("Compare the target with the address of the server:  adit status", zh: "将目标与服务器地址比较：  adit status"),
        fix: Text("Name the port of the app instead:  adit http 3000", zh: "改为程序的端口：  adit http 3000")
    )

    static let targetRefused = ExplainPage(
        title: Text("this address may not be a tunnel's target", zh: "该地址不能作为隧道目标"),
        meaning: Text(
            "Some addresses hand out secrets to whoever asks from inside a network.",
            zh: "某些地址会向内网访问者提供机密信息。"
        ),
        causes: Text(
            "The target is a cloud's metadata address, a link-local address, or a name that resolves to one.",
            zh: "目标是云元数据地址、链路本地地址，或解析到它们的域名。"
        ),
        check: Text("getent hosts HOST", zh: "getent hosts 主机名"),
        fix: Text("If it is really meant:  --target-allow HOST", zh: "如果确实需要：  --target-allow 主机")
    )

    static let deviceOffline = ExplainPage(
        title: Text("the device is offline", zh: "设备离线"),
        meaning: Text(
            "The name belongs to a device that is not connected now. The name is kept for it.",
            zh: "该名称属于一台当前未连接的设备，名称仍为其保留。"
        ),
        causes: Text("The computer sleeps, lost its network, or adit was stopped there.", zh: "电脑休眠、断网，或 adit 已停止。"),
        check: Text("adit server status    on the server says since when", zh: "在服务器上用  adit server status  查看离线时间"),
        fix: Text(
            "Wake the computer and run its tunnel again, for example  adit http 3000",
            zh: "唤醒电脑并重新运行隧道，例如  adit http 3000"
        )
    )
}
