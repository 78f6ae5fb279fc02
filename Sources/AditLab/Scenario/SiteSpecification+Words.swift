// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

extension SiteSpecification {
    /// What stands at this site's edge, a line for each box, for people.
    package var words: [Text] {
        var lines = router.words(
            carrier == nil ? Text("router", zh: "路由器") : Text("home router", zh: "家用路由器")
        )
        if let carrier { lines += carrier.words(Text("carrier NAT", zh: "运营商 NAT")) }
        if mtu != 1500 {
            lines.append(Text("access line: packets of at most \(mtu) bytes", zh: "接入线路：数据包最大 \(mtu) 字节"))
        }
        return lines
    }
}

extension BoxSpecification {
    fileprivate func words(_ name: Text) -> [Text] {
        var lines: [Text] = []
        if udp == tcp {
            lines.append(Text("\(name.english): \(udp.words.english)", zh: "\(name.chinese)：\(udp.words.chinese)"))
        } else {
            lines.append(
                Text("\(name.english), UDP: \(udp.words.english)", zh: "\(name.chinese)，UDP：\(udp.words.chinese)")
            )
            lines.append(
                Text("\(name.english), TCP: \(tcp.words.english)", zh: "\(name.chinese)，TCP：\(tcp.words.chinese)")
            )
        }
        let extras = self.extras
        if !extras.isEmpty {
            lines.append(
                Text(
                    "\(name.english): " + extras.map(\.english).joined(separator: ", "),
                    zh: "\(name.chinese)：" + extras.map(\.chinese).joined(separator: "，")
                )
            )
        }
        return lines
    }

    private var extras: [Text] {
        var extras: [Text] = []
        switch unsolicited {
        case .drop: break
        case .reset: extras.append(Text("refuses unsolicited packets (RST, ICMP)", zh: "拒绝未经请求的数据包（RST、ICMP）"))
        case .accept: extras.append(Text("answers unsolicited packets itself", zh: "自己应答未经请求的数据包"))
        }
        if hasHairpin { extras.append(Text("hairpin", zh: "支持回环（hairpin）")) }
        if poolSize > 1 {
            extras.append(Text("\(poolSize) public addresses, any for each flow", zh: "\(poolSize) 个公网地址，每条流任取其一"))
        }
        if let capacity { extras.append(Text("room for \(capacity) flows", zh: "最多 \(capacity) 条流")) }
        if udpLifetime != 30 {
            extras.append(Text("UDP mappings live \(udpLifetime) s", zh: "UDP 映射保留 \(udpLifetime) 秒"))
        }
        if isLifetimeAbsolute { extras.append(Text("mappings end even when used", zh: "映射到期即失效，使用中也不例外")) }
        if !isRefreshedByInbound { extras.append(Text("only outbound packets refresh", zh: "仅出站数据包可续期")) }
        if !tracksWindows { extras.append(Text("does not track TCP's numbers", zh: "不跟踪 TCP 序列号")) }
        if dropsICMP { extras.append(Text("swallows ICMP errors", zh: "丢弃 ICMP 错误")) }
        return extras
    }
}

extension TransportRule {
    /// The rule in plain words with the classic name.
    package var words: Text {
        switch self {
        case .nat(let rule): rule.words
        case .open: Text("public address, nothing filtered", zh: "公网地址，不过滤")
        case .firewall:
            Text("public address behind a firewall that lets in only answers", zh: "公网地址，防火墙只放行应答")
        case .blocked: Text("blocked", zh: "被阻断")
        case .web: Text("only TCP to ports 80 and 443 gets out", zh: "只允许 TCP 访问 80 和 443 端口")
        }
    }
}

extension NATRule {
    /// The rule in plain words with the classic name.
    package var words: Text {
        let classic = NATKind(ClassicNATKind(mapping: mapping, filtering: filtering)).name
        let terms = "\(mapping.word.uppercased())/\(filtering.word.uppercased())"
        let ports = allocation.words
        return Text(
            "\(classic.english) (\(terms)), \(ports.english)",
            zh: "\(classic.chinese)（\(terms)），\(ports.chinese)"
        )
    }
}

extension PortAllocation {
    /// Where new ports come from, in plain words.
    package var words: Text {
        switch self {
        case .preserving: Text("keeps the port where it can", zh: "尽量保留端口号")
        case .random: Text("random ports", zh: "随机端口")
        case .sequential(let step):
            Text("each new port \(step > 0 ? "+" : "")\(step)", zh: "新端口依次 \(step > 0 ? "+" : "")\(step)")
        case .block(let range):
            Text(
                "random ports of \(range.lowerBound)-\(range.upperBound)",
                zh: "\(range.lowerBound)-\(range.upperBound) 内的随机端口"
            )
        }
    }
}
