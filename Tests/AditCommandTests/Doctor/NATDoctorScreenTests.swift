// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Foundation
import Testing

@testable import adit

@Suite struct NATDoctorScreenTests {
    private static let reports: [NATReport] = [
        .carrier, .symmetric, .opened, .firewalled, .poorServer, .hotel, .silent,
    ]

    @Test func `a home router behind a carrier is told with all that was found`() {
        let screen = """
            UDP out        ✓ tunnel.example.com:3478 in 21 ms
            IPv6           ✗ none
            seen as        61.140.3.9
            type           port-restricted cone: only the very endpoint that was sent to
                           can answer
            mapping        same port for every destination  (good for direct)
                           endpoint-independent mapping (EIM), RFC 4787
            filtering      by address and port
                           address and port-dependent filtering (APDF), RFC 4787
            ports          keeps the local port
            hairpin        no, devices in here do not meet at the public address
            lifetime       45 s to 1 min → keepalive every 36 s
            TCP            like UDP
            hops           192.168.1.1 private → 100.66.0.1 carrier → ? → 61.140.3.9
            NAT            2 in a row, one is the carrier's (CGN, RFC 6598)
            port mapping   UPnP ✓ 100.66.3.4  PCP ✗  NAT-PMP ✗
            direct chance  good with home routers, fair with mobile networks

            reaches directly, if the other side has           UDP        TCP
            a public address                                  ✓ direct   ✓ direct
            full or address-restricted cone                   ✓ direct   ✓ direct
            port-restricted cone (most home routers)          ✓ direct   ✓ direct
            public address behind a firewall                  ✓ direct   ✓ direct
            symmetric, ports in sequence                      ~ mostly   ~ mostly
            symmetric, random ports (company networks)        ~ mostly   ✗ relayed
            symmetric in a carrier's block (mobile networks)  ~ mostly   ✗ relayed
            a network that lets no UDP out                    ✗ relayed  ✓ direct

            better:
              · the carrier shares one address among subscribers (CGN): ask it for a
                public IPv4 address, or use IPv6
              · switch IPv6 on in the router: with IPv6 on both sides there is no NAT in
                the way
              · send something every 36 s to keep a path open

            uncertain:
              · TCP filtering: guessed from UDP
            """
        #expect(text(.carrier, .english) == screen)
    }

    @Test func `the same in Chinese`() {
        let screen = """
            UDP 出站       ✓ tunnel.example.com:3478，21 ms
            IPv6           ✗ 没有
            外部地址       61.140.3.9
            类型           端口受限锥形：只有发送过的地址和端口才能应答
            映射           对所有目的地使用同一端口  （利于直连）
                           endpoint-independent mapping (EIM), RFC 4787
            过滤           按地址和端口放行
                           address and port-dependent filtering (APDF), RFC 4787
            端口分配       保留本地端口
            回环           不支持：内网设备不能经公网地址互访
            存活时间       45 s 至 1 min → 每 36 s 保活一次
            TCP            与 UDP 相同
            路径           192.168.1.1 内网 → 100.66.0.1 运营商 → ? → 61.140.3.9
            NAT            2 层，其中有运营商的（CGN，RFC 6598）
            端口映射       UPnP ✓ 100.66.3.4  PCP ✗  NAT-PMP ✗
            直连机会       与家用路由器好，与移动网络尚可

            对方处于下列网络时能否直连        UDP     TCP
            公网地址                          ✓ 直连  ✓ 直连
            完全锥形或地址受限锥形            ✓ 直连  ✓ 直连
            端口受限锥形（多数家用路由器）    ✓ 直连  ✓ 直连
            防火墙后的公网地址                ✓ 直连  ✓ 直连
            对称型，端口递增                  ~ 多半  ~ 多半
            对称型，随机端口（企业网络）      ~ 多半  ✗ 中继
            运营商端口段内对称型（移动网络）  ~ 多半  ✗ 中继
            不放行 UDP 的网络                 ✗ 中继  ✓ 直连

            改进：
              · 运营商让多个用户共用一个地址（CGN）：可向其申请公网 IPv4 地址，或使用 IPv6
              · 在路由器上开启 IPv6：双方都有 IPv6 时中间没有 NAT
              · 每 36 秒发送一次数据以保持通路

            不确定：
              · TCP 过滤：由 UDP 推测
            """
        #expect(text(.carrier, .chinese) == screen)
    }

    @Test func `TCP is told apart where the router treats it otherwise`() {
        let screen = """
            UDP out        ✓ tunnel.example.com:3478 in 21 ms
            IPv6           ✗ none
            seen as        198.51.100.2
            type           symmetric: every destination sees another port, which peers
                           have to guess
            mapping        a new port for each destination  (bad for direct)
                           address and port-dependent mapping (APDM), RFC 4787
            filtering      by address and port
                           address and port-dependent filtering (APDF), RFC 4787
            ports          one after the other, step +2
            hairpin        no, devices in here do not meet at the public address
            lifetime       not measured: adit doctor nat --lifetime
            TCP            symmetric · a new port for each destination · by address and
                           port · random ports
                           address and port-dependent mapping (APDM), address and
                           port-dependent filtering (APDF), RFC 5382
            hops           192.168.1.1 private → 198.51.100.2
            NAT            1
            port mapping   UPnP ✗  PCP ✗  NAT-PMP ✗
            direct chance  fair with home routers, poor with mobile networks

            reaches directly, if the other side has           UDP        TCP
            a public address                                  ✓ direct   ✓ direct
            full or address-restricted cone                   ✓ direct   ✓ direct
            port-restricted cone (most home routers)          ~ mostly   ✗ relayed
            public address behind a firewall                  ~ mostly   ✗ relayed
            symmetric, ports in sequence                      ~ mostly   ✗ relayed
            symmetric, random ports (company networks)        ✗ relayed  ✗ relayed
            symmetric in a carrier's block (mobile networks)  ~ rarely   ✗ relayed
            a network that lets no UDP out                    ✗ relayed  ✗ relayed

            better:
              · switch UPnP, NAT-PMP or PCP on in the router: one opened port makes every
                peer reachable directly
              · make the router keep the port: on pfSense and OPNsense an outbound NAT
                rule with static port; or use a router with one port for every destination
              · switch IPv6 on in the router: with IPv6 on both sides there is no NAT in
                the way

            uncertain:
              · number of NATs: read from addresses on the way
              · carrier's NAT: read from addresses on the way
            """
        #expect(text(.symmetric, .english) == screen)
    }

    @Test func `a router that opens ports changes the table`() {
        let screen = """
            UDP 出站       ✓ tunnel.example.com:3478，21 ms
            IPv6           ✗ 没有
            外部地址       198.51.100.2
            类型           对称型：每个目的地看到的端口都不同，对端只能猜测
            映射           每个目的地（地址和端口）使用一个新端口  （不利于直连）
                           address and port-dependent mapping (APDM), RFC 4787
            过滤           按地址和端口放行
                           address and port-dependent filtering (APDF), RFC 4787
            端口分配       依次递增，步长 +2
            回环           不支持：内网设备不能经公网地址互访
            存活时间       未测量：adit doctor nat --lifetime
            TCP            对称型 · 每个目的地（地址和端口）使用一个新端口 · 按地址和端口
                           放行 · 随机端口
                           address and port-dependent mapping (APDM), address and
                           port-dependent filtering (APDF), RFC 5382
            路径           192.168.1.1 内网 → 198.51.100.2
            NAT            1 层
            端口映射       UPnP ✗  PCP ✗  NAT-PMP ✓ 198.51.100.2
            直连机会       用路由器开的端口（NAT-PMP），与任何网络都好

            对方处于下列网络时能否直连        UDP     TCP
            公网地址                          ✓ 直连  ✓ 直连
            完全锥形或地址受限锥形            ✓ 直连  ✓ 直连
            端口受限锥形（多数家用路由器）    ✓ 直连  ✓ 直连
            防火墙后的公网地址                ✓ 直连  ✓ 直连
            对称型，端口递增                  ✓ 直连  ✓ 直连
            对称型，随机端口（企业网络）      ✓ 直连  ✓ 直连
            运营商端口段内对称型（移动网络）  ✓ 直连  ✓ 直连
            不放行 UDP 的网络                 ✗ 中继  ✓ 直连

            改进：
              · 路由器会按请求打开端口：与任何对端都能直连（可试：adit map）
              · 让路由器保留端口：pfSense、OPNsense 可添加带“静态端口”的出站 NAT 规则；或
                换用对所有目的地都使用同一端口的路由器
              · 在路由器上开启 IPv6：双方都有 IPv6 时中间没有 NAT
            """
        #expect(text(.opened, .chinese) == screen)
    }

    @Test func `a firewall without a NAT is told as one`() {
        let screen = """
            UDP out        ✓ tunnel.example.com:3478 in 21 ms
            IPv6           ✓ 2001:db8::20
            seen as        198.51.100.77
            type           firewall without NAT: the address is public, but only answers
                           get in
            mapping        no NAT: the address is this computer's own
            filtering      by address and port
                           address and port-dependent filtering (APDF), RFC 4787
            lifetime       not measured: adit doctor nat --lifetime
            TCP            like UDP
            direct chance  good with home routers, fair with mobile networks

            reaches directly, if the other side has           UDP        TCP
            a public address                                  ✓ direct   ✓ direct
            full or address-restricted cone                   ✓ direct   ✓ direct
            port-restricted cone (most home routers)          ✓ direct   ✓ direct
            public address behind a firewall                  ✓ direct   ✓ direct
            symmetric, ports in sequence                      ~ mostly   ~ mostly
            symmetric, random ports (company networks)        ~ mostly   ✗ relayed
            symmetric in a carrier's block (mobile networks)  ~ mostly   ✗ relayed
            a network that lets no UDP out                    ✗ relayed  ✓ direct

            better:
              · IPv6 works here: peers with IPv6 are reached directly
              · this address is public: open one port in the firewall and every peer
                reaches it directly
            """
        #expect(text(.firewalled, .english) == screen)
    }

    @Test func `what the server cannot show is not known`() {
        let screen = """
            UDP out        ✓ tunnel.example.com:3478 in 21 ms
            IPv6           ✗ none
            seen as        61.140.3.9
            mapping        not known: the server has one port
            filtering      not known: the server has one address
            hairpin        no, devices in here do not meet at the public address
            lifetime       not measured: adit doctor nat --lifetime
            NAT            1
            direct chance  not known

            reaches directly, if the other side has           UDP          TCP
            a public address                                  ✓ direct     ✓ direct
            full or address-restricted cone                   ? not known  ? not known
            port-restricted cone (most home routers)          ? not known  ? not known
            public address behind a firewall                  ? not known  ? not known
            symmetric, ports in sequence                      ? not known  ? not known
            symmetric, random ports (company networks)        ? not known  ? not known
            symmetric in a carrier's block (mobile networks)  ? not known  ? not known
            a network that lets no UDP out                    ✗ relayed    ? not known

            better:
              · switch IPv6 on in the router: with IPv6 on both sides there is no NAT in
                the way

            uncertain:
              · UDP mapping: the server has one port
              · UDP filtering: the server has one address
              · UDP ports: the server has one port
              · TCP mapping: the server has one port
              · TCP filtering: the server has one address
              · TCP ports: the server has one port
              · number of NATs: the routers on the way do not answer
              · carrier's NAT: the routers on the way do not answer
            """
        #expect(text(.poorServer, .english) == screen)
    }

    @Test func `a sign-in page cannot write on the screen`() {
        let screen = """
            UDP out        ✗ no answer
            access         ✗ a sign-in page holds everything back
            sign-in        a page answers in place of the web (302:
                           http://wifi.example/[2Jlogin)
            IPv6           ✗ none

            better:
              · sign in at http://wifi.example/[2Jlogin, then try again

            uncertain:
              · UDP out: no STUN server answered
              · TCP out: no STUN server answered
            """
        #expect(text(.hotel, .english) == screen)
    }

    @Test func `a network from which nothing answers`() {
        let screen = """
            UDP 出站       ✗ 没有应答
            网络           ✗ 无法出网
            IPv6           ✗ 没有

            不确定：
              · 可通过的流量：按时到达的应答太少
              · UDP 出站：没有 STUN 服务器应答
              · TCP 出站：没有 STUN 服务器应答
            """
        #expect(text(.silent, .chinese) == screen)
    }

    @Test func `every screen fits 80 columns and carries no control characters`() {
        for report in Self.reports {
            for language in Language.allCases {
                for style in [
                    ScreenStyle(language: language), ScreenStyle(language: language, isTerminal: true),
                    ScreenStyle(isUnicode: false),
                ] {
                    for line in NATDoctorScreen.lines(report, style) {
                        #expect(Figures.width(line) <= 80, "\(line)")
                        #expect(line.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 })
                        if !style.isUnicode { #expect(line.utf8.allSatisfy { $0 < 128 }) }
                    }
                }
            }
        }
    }

    @Test func `colours stand around marks alone and only where they are shown`() {
        let plain = NATDoctorScreen.lines(.carrier, ScreenStyle(isTerminal: true))
        let colored = NATDoctorScreen.lines(.carrier, ScreenStyle(hasColor: true, isTerminal: true))
        #expect(colored != plain)
        let stripped = colored.map { $0.replacing(/\u{1B}\[[0-9]*m/, with: "") }
        #expect(stripped == plain)
    }

    @Test(arguments: [
        ("one two three", 7, ["one two", "three"]), ("", 5, [""]), ("abcdefgh", 4, ["abcdefgh"]),
        ("中文，可以断行。", 6, ["中文，", "可以断", "行。"]), ("a 中文 b", 4, ["a 中", "文 b"]),
    ])
    func `text is broken at spaces and between Chinese characters`(_ text: String, _ width: Int, _ lines: [String]) {
        #expect(FactList.wrapped(text, width) == lines)
    }

    private func text(_ report: NATReport, _ language: Language) -> String {
        NATDoctorScreen.lines(report, ScreenStyle(language: language)).joined(separator: "\n")
    }
}
