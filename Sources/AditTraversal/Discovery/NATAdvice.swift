// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What would make direct paths likelier, or possible.
package enum NATAdvice: Sendable, Hashable {
    /// Sign in on the page that answers in place of every other.
    case signIn(location: String?)
    /// Let UDP out.
    case allowUDP
    /// Only the ports of the web leave: the server has to be there too.
    case useWebPorts
    /// Switch IPv6 on.
    case enableIPv6
    /// IPv6 is there and makes direct paths without a NAT.
    case useIPv6
    /// Switch PCP, NAT-PMP or UPnP on in the router.
    case enablePortMapping
    /// The router opens ports: that is the best way in.
    case usePortMapping
    /// The router draws a new port for each destination: make it keep the port.
    case keepPorts
    /// Two routers translate one behind the other: put one into bridge mode.
    case bridgeMode
    /// Ask the carrier for an address of one's own.
    case publicAddress
    /// The firewall can be opened for one port.
    case openFirewall
    /// Keep mappings alive by sending this often.
    case keepalive(Duration)
    /// Mappings end at an age, used or not: move to a fresh socket before.
    case renewSockets(Duration)
    /// Other connections leave as different addresses: keep to one line.
    case oneLine
    /// There is nothing to improve.
    case nothing

    /// The advice in words.
    package var text: Text {
        switch self {
        case .signIn(let location):
            if let location {
                return Text("sign in at \(location), then try again", zh: "先在 \(location) 登录，再重试")
            }
            return Text(
                "open any page in a browser and sign in to this network, then try again",
                zh: "先用浏览器打开任意网页，登录本网络后重试"
            )
        case .allowUDP:
            return Text(
                "allow UDP out in the firewall (port 3478 to the server, and high ports for direct paths)",
                zh: "请在防火墙放行出站 UDP（到服务器的 3478 端口，直连还需要高位端口）"
            )
        case .useWebPorts:
            return Text(
                "run the server on port 443: only the ports of the web leave this network",
                zh: "请把服务器放在 443 端口：本网络只放行网页端口"
            )
        case .enableIPv6:
            return Text(
                "switch IPv6 on in the router: with IPv6 on both sides there is no NAT in the way",
                zh: "在路由器上开启 IPv6：双方都有 IPv6 时中间没有 NAT"
            )
        case .useIPv6:
            return Text(
                "IPv6 works here: peers with IPv6 are reached directly",
                zh: "本网络 IPv6 可用：有 IPv6 的对端可以直连"
            )
        case .enablePortMapping:
            return Text(
                "switch UPnP, NAT-PMP or PCP on in the router: one opened port makes every peer reachable directly",
                zh: "在路由器上开启 UPnP、NAT-PMP 或 PCP：打开一个端口后任何对端都能直连"
            )
        case .usePortMapping:
            return Text(
                "the router opens ports on request: direct paths work with every peer (try: adit map)",
                zh: "路由器会按请求打开端口：与任何对端都能直连（可试：adit map）"
            )
        case .keepPorts:
            return Text(
                "make the router keep the port: on pfSense and OPNsense an outbound NAT rule with static port; or use a router"
                    + " with one port for every destination",
                zh: "让路由器保留端口：pfSense、OPNsense 可添加带“静态端口”的出站 NAT 规则；或换用对所有目的地都使用同一端口的路由器"
            )
        case .bridgeMode:
            return Text(
                "two NATs stand one behind the other: put the provider's box into bridge mode, or your own router into access"
                    + " point mode",
                zh: "有两层 NAT：请把光猫改为桥接模式，或把自己的路由器改为接入点模式"
            )
        case .publicAddress:
            return Text(
                "the carrier shares one address among subscribers (CGN): ask it for a public IPv4 address, or use IPv6",
                zh: "运营商让多个用户共用一个地址（CGN）：可向其申请公网 IPv4 地址，或使用 IPv6"
            )
        case .openFirewall:
            return Text(
                "this address is public: open one port in the firewall and every peer reaches it directly",
                zh: "本机地址是公网地址：在防火墙放行一个端口后任何对端都能直连"
            )
        case .keepalive(let interval):
            let seconds = max(1, Int(interval.inSeconds))
            return Text(
                "send something every \(seconds) s to keep a path open",
                zh: "每 \(seconds) 秒发送一次数据以保持通路"
            )
        case .renewSockets(let age):
            let seconds = max(1, Int(age.inSeconds))
            return Text(
                "paths end after about \(seconds) s even when in use: move to a fresh socket before",
                zh: "通路即使在使用中也会在约 \(seconds) 秒后失效：请提前换用新的套接字"
            )
        case .oneLine:
            return Text(
                "connections leave as different addresses: bind Adit to one line if the router balances over several",
                zh: "连接会从不同地址出去：若路由器在多条线路间分流，请让 Adit 固定走一条"
            )
        case .nothing:
            return Text("nothing to improve: direct paths work", zh: "无需改进：可以直连")
        }
    }
}

extension NATReport {
    /// What would improve this network, the most useful first; `nothing` alone when nothing would.
    package var advice: [NATAdvice] {
        var advice: [NATAdvice] = []
        switch access.value {
        case .captivePortal: return [.signIn(location: captivePortal.value.flatMap { $0?.location })]
        case .webOnly: return [.useWebPorts, .allowUDP]
        case .udpBlocked: advice.append(.allowUDP)
        case .full, nil: break
        case .some(.none): return []
        }
        let hasIPv6 = udpV6.reach.value == true
        let opensPorts = portMappings.contains { $0.isAvailable }
        let isReachable = [NATKind.open, .fullCone].contains { $0 == udp.kind.value }
        let isCarrier = isCarrierGrade.value == true
        if hasIPv6 { advice.append(.useIPv6) }
        if udp.kind.value == .firewall { advice.append(.openFirewall) }
        if udp.isTranslated.value == true, !isReachable {
            if opensPorts, !isCarrier, natCount.value ?? 1 < 2 {
                advice.append(.usePortMapping)
            } else if isCarrier {
                advice.append(.publicAddress)
            } else {
                if natCount.value ?? 1 > 1 { advice.append(.bridgeMode) }
                if !opensPorts, !portMappings.isEmpty { advice.append(.enablePortMapping) }
            }
            if udp.kind.value == .symmetric, !isCarrier, udp.allocation.value != .preserving {
                advice.append(.keepPorts)
            }
            if !hasIPv6 { advice.append(.enableIPv6) }
        }
        if udp.pooling.value == .arbitrary { advice.append(.oneLine) }
        if let lifetime = udp.lifetime.value {
            if lifetime.dead != nil { advice.append(.keepalive(lifetime.keepalive)) }
            if let age = lifetime.maximumAge { advice.append(.renewSockets(age)) }
        }
        return advice.isEmpty && access.value != nil ? [.nothing] : advice
    }
}
