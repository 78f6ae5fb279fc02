// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Pages about ports that the router is asked for.
extension ExplainPage {
    static let routerSilent = ExplainPage(
        title: Text("the router opens no ports by itself", zh: "路由器不会自动开放端口"),
        meaning: Text(
            "adit map asked the router for a port by PCP, NAT-PMP and UPnP, and none of the three was answered.",
            zh: "adit map 通过 PCP、NAT-PMP 和 UPnP 向路由器申请端口，三种方式都没有回应。"
        ),
        causes: Text(
            "UPnP and NAT-PMP are off, as in many offices and hotels; a guest Wi-Fi keeps devices apart; a VPN carries all.",
            zh: "路由器关闭了 UPnP 和 NAT-PMP（办公室、酒店、移动网络常见）；访客 Wi-Fi 隔离了设备；或所有流量都走 VPN。"
        ),
        check: Text("adit doctor nat    shows what the router answers", zh: "adit doctor nat    查看路由器的回应"),
        fix: Text(
            """
            Turn on UPnP or NAT-PMP in the router's settings, or forward the port there by hand.
            Without access to the router, use a tunnel:  adit tcp 25565
            """,
            zh: """
                在路由器设置里打开 UPnP 或 NAT-PMP，或手动转发端口。
                无法设置路由器时使用隧道：  adit tcp 25565
                """
        )
    )

    static let routerRefused = ExplainPage(
        title: Text("the router does not give the port", zh: "路由器不开放该端口"),
        meaning: Text(
            "The router answers requests for ports, and said no to this one.",
            zh: "路由器会回应端口请求，但拒绝了这一个。"
        ),
        causes: Text(
            "It allows only some devices or ports (often none below 1024), another device has the port, or its table is full.",
            zh: "设置只允许部分设备或端口（常常不允许 1024 以下）；端口属于其他设备；映射表已满；或它自己没有联网。"
        ),
        check: Text("The router's page lists its port mappings.", zh: "路由器页面会列出端口映射。"),
        fix: Text(
            "Ask for another port:  adit map 25565 --external 25570    or allow this computer in the router's settings.",
            zh: "换一个端口：  adit map 25565 --external 25570    或在路由器设置里允许本机。"
        )
    )

    static let doubleNAT = ExplainPage(
        title: Text("two NATs between this computer and the internet", zh: "本机与互联网之间有两层 NAT"),
        meaning: Text(
            "The router opened the port, and its outside is not the internet: another router or the carrier translates addresses again.",
            zh: "路由器开放了端口，但它的外侧并不是互联网：另一台路由器或运营商又转换了一次地址。"
        ),
        causes: Text(
            """
            100.64.x.x outside: the carrier shares one public address among customers (CGN).
            10.x, 172.16.x or 192.168.x outside: a second router, such as the provider's box, stands before this one.
            """,
            zh: """
                外侧是 100.64.x.x：运营商让多个客户共用一个公网地址（CGN）。
                外侧是 10.x、172.16.x 或 192.168.x：前面还有一台路由器，例如运营商的光猫。
                """
        ),
        check: Text("adit doctor nat    counts the NATs", zh: "adit doctor nat    数出 NAT 的层数"),
        fix: Text(
            """
            CGN: ask the carrier for a public address, use IPv6, or a tunnel:  adit tcp 25565
            Two routers: set the provider's box to bridge mode, or forward the port there too.
            """,
            zh: """
                CGN：向运营商申请公网地址、使用 IPv6，或使用隧道：  adit tcp 25565
                两台路由器：把运营商设备改为桥接模式，或在那里也转发该端口。
                """
        )
    )
}
