// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

// What findings mean, in the reader's language; the terms of the RFCs stand in `term`.

extension MappingBehavior {
    /// What it means.
    package var meaning: Text {
        switch self {
        case .endpointIndependent: Text("same port for every destination", zh: "对所有目的地使用同一端口")
        case .addressDependent: Text("a new port for each destination address", zh: "每个目的地址使用一个新端口")
        case .addressAndPortDependent: Text("a new port for each destination", zh: "每个目的地（地址和端口）使用一个新端口")
        }
    }

    /// The term of RFC 4787.
    package var term: String {
        switch self {
        case .endpointIndependent: "endpoint-independent mapping (EIM)"
        case .addressDependent: "address-dependent mapping (ADM)"
        case .addressAndPortDependent: "address and port-dependent mapping (APDM)"
        }
    }
}

extension FilteringBehavior {
    /// What it means.
    package var meaning: Text {
        switch self {
        case .endpointIndependent: Text("everybody gets in", zh: "放行任何来源")
        case .addressDependent: Text("by address", zh: "按地址放行")
        case .addressAndPortDependent: Text("by address and port", zh: "按地址和端口放行")
        }
    }

    /// The term of RFC 4787.
    package var term: String {
        switch self {
        case .endpointIndependent: "endpoint-independent filtering (EIF)"
        case .addressDependent: "address-dependent filtering (ADF)"
        case .addressAndPortDependent: "address and port-dependent filtering (APDF)"
        }
    }
}

extension PortAllocation {
    /// What it means.
    package var meaning: Text {
        switch self {
        case .preserving: return Text("keeps the local port", zh: "保留本地端口")
        case .random: return Text("random ports", zh: "随机端口")
        case .sequential(let step):
            let sign = step < 0 ? "−" : "+"
            return Text(
                "one after the other, step \(sign)\(step.magnitude)",
                zh: "依次递\(step < 0 ? "减" : "增")，步长 \(sign)\(step.magnitude)"
            )
        case .block(let range):
            return Text(
                "random ports of a block, about \(range.lowerBound)-\(range.upperBound)",
                zh: "端口段内随机，约 \(range.lowerBound)-\(range.upperBound)"
            )
        }
    }
}

extension NATKind {
    /// The classic name.
    package var name: Text {
        switch self {
        case .open: Text("open internet", zh: "开放互联网")
        case .firewall: Text("firewall without NAT", zh: "仅防火墙，无 NAT")
        case .fullCone: Text("full cone", zh: "完全锥形")
        case .addressRestrictedCone: Text("address-restricted cone", zh: "地址受限锥形")
        case .portRestrictedCone: Text("port-restricted cone", zh: "端口受限锥形")
        case .symmetric: Text("symmetric", zh: "对称型")
        case .blocked: Text("blocked", zh: "不通")
        }
    }

    /// What it means for direct paths.
    package var meaning: Text {
        switch self {
        case .open: Text("anybody can reach this machine", zh: "任何人都能访问本机")
        case .firewall:
            Text("the address is public, but only answers get in", zh: "地址是公网地址，但只放行应答")
        case .fullCone:
            Text("once a socket has sent something, anybody can reach it", zh: "套接字发出过数据后，任何人都能访问它")
        case .addressRestrictedCone:
            Text("addresses that were sent to can answer from any port", zh: "发送过的地址可以从任意端口应答")
        case .portRestrictedCone:
            Text("only the very endpoint that was sent to can answer", zh: "只有发送过的地址和端口才能应答")
        case .symmetric:
            Text("every destination sees another port, which peers have to guess", zh: "每个目的地看到的端口都不同，对端只能猜测")
        case .blocked: Text("nothing passes", zh: "全部不通")
        }
    }
}

extension InternetAccess {
    /// What it means.
    package var meaning: Text {
        switch self {
        case .full: Text("UDP and TCP get out", zh: "UDP 和 TCP 均可出网")
        case .udpBlocked: Text("TCP gets out, UDP does not", zh: "TCP 可出网，UDP 不行")
        case .webOnly: Text("only the ports of the web (80, 443) get out", zh: "只有网页端口（80、443）可出网")
        case .captivePortal: Text("a sign-in page holds everything back", zh: "登录页面拦截了一切")
        case .none: Text("nothing gets out", zh: "无法出网")
        }
    }
}

extension AddressPooling {
    /// What it means.
    package var meaning: Text {
        switch self {
        case .paired: Text("one external address", zh: "同一外部地址")
        case .arbitrary: Text("different external addresses", zh: "外部地址不固定")
        }
    }
}

extension AddressRealm {
    /// The word for it.
    package var name: Text {
        switch self {
        case .private: Text("private", zh: "内网")
        case .carrier: Text("carrier", zh: "运营商")
        case .public: Text("public", zh: "公网")
        }
    }
}

extension NATPeer {
    /// What the peer is behind.
    package var name: Text {
        switch self {
        case .open: Text("a public address", zh: "公网地址")
        case .openCone: Text("full or address-restricted cone", zh: "完全锥形或地址受限锥形")
        case .portRestrictedCone: Text("port-restricted cone (most home routers)", zh: "端口受限锥形（多数家用路由器）")
        case .firewall: Text("public address behind a firewall", zh: "防火墙后的公网地址")
        case .sequentialSymmetric: Text("symmetric, ports in sequence", zh: "对称型，端口递增")
        case .randomSymmetric: Text("symmetric, random ports (company networks)", zh: "对称型，随机端口（企业网络）")
        case .carrierBlock: Text("symmetric in a carrier's block (mobile networks)", zh: "运营商端口段内对称型（移动网络）")
        }
    }
}

extension NATChance {
    /// The word for it.
    package var name: Text {
        switch self {
        case .direct: Text("direct", zh: "可直连")
        case .good: Text("mostly direct", zh: "多半可直连")
        case .poor: Text("rarely direct", zh: "很少能直连")
        case .relay: Text("by relay", zh: "经中继")
        }
    }
}

extension NATServerReport.Fault {
    /// What is wrong.
    package var meaning: Text {
        switch self {
        case .broken: Text("its answers make no sense", zh: "其应答无法理解")
        case .refuses: Text("it answers with an error", zh: "其应答为错误")
        case .absurdAddress: Text("it says that this machine has an impossible address", zh: "它给出的本机地址不可能成立")
        case .ownAddress: Text("it says that this machine has the server's own address", zh: "它把自己的地址当成了本机地址")
        case .outvoted: Text("most other servers saw another address", zh: "其他多数服务器看到的是另一地址")
        }
    }
}

extension NATDoubt {
    /// The reason, as it stands behind "because" or in brackets.
    package var reason: Text {
        switch self {
        case .notMeasured: Text("not measured", zh: "未测量")
        case .notApplicable: Text("does not apply here", zh: "此处不适用")
        case .noServer: Text("no STUN server was given", zh: "没有给出 STUN 服务器")
        case .noAnswer: Text("no STUN server answered", zh: "没有 STUN 服务器应答")
        case .fewAnswers: Text("too few answers came in time", zh: "按时到达的应答太少")
        case .oneAddress: Text("the server has one address", zh: "服务器只有一个地址")
        case .onePort: Text("the server has one port", zh: "服务器只有一个端口")
        case .noChangeRequest:
            Text("the server cannot answer from another address (RFC 5780)", zh: "服务器不能从另一地址应答（RFC 5780）")
        case .alternateSilent:
            Text("the server's answers from its other address arrive nowhere", zh: "服务器从另一地址发出的应答无处可达")
        case .noConnectBack: Text("the server does not connect back over TCP", zh: "服务器不支持 TCP 回连")
        case .noResponsePort:
            Text("the server cannot answer to another port (RFC 5780)", zh: "服务器不能应答到另一端口（RFC 5780）")
        case .guessedFromUDP: Text("guessed from UDP", zh: "由 UDP 推测")
        case .serversDisagree:
            Text(
                "the servers contradict each other: one is wrong, or traffic leaves by several lines",
                zh: "服务器的说法互相矛盾：其中之一有误，或流量经多条线路出网"
            )
        case .absurdAnswer: Text("a server gave an impossible address", zh: "某个服务器给出了不可能的地址")
        case .inconsistent:
            Text("the measurements contradict each other; this is the stricter reading", zh: "测量结果互相矛盾，此处取较严的一种")
        case .addressChanged: Text("the address changed while measuring", zh: "测量期间地址发生了变化")
        case .estimated: Text("estimated", zh: "估计值")
        case .silentRouters: Text("the routers on the way do not answer", zh: "沿途路由器不应答")
        case .readFromAddresses: Text("read from addresses on the way", zh: "由沿途地址推断")
        case .hiddenByMapping: Text("the mapping hides it", zh: "被映射方式掩盖")
        case .independentServers:
            Text("seen by comparing servers that do not belong together", zh: "由互不相干的服务器比较得出")
        }
    }
}

extension NATReport {
    /// How good the chances of direct paths are, in one line.
    package var chanceSummary: Text {
        func best(_ peer: NATPeer) -> NATChance { reach.first { $0.peer == peer }?.best ?? .relay }
        let home = best(.portRestrictedCone)
        let mobile = best(.carrierBlock)
        if udp.reach.value != true, tcp.reach.value != true {
            return Text("none: everything goes by relay", zh: "没有：全部经中继")
        }
        switch (home, mobile) {
        case (.direct, .direct): return Text("good with everybody", zh: "与任何网络都好")
        case (.direct, .good):
            return Text("good with home routers, fair with mobile networks", zh: "与家用路由器好，与移动网络尚可")
        case (.direct, _):
            return Text("good with home routers, poor with mobile networks", zh: "与家用路由器好，与移动网络差")
        case (.good, _):
            return Text("fair with home routers, poor with mobile networks", zh: "与家用路由器尚可，与移动网络差")
        default:
            return Text("poor, except with open networks", zh: "差，仅与开放网络好")
        }
    }
}
