// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// What happened in a play, in both languages.
enum PlayWords {
    static func step(_ event: PunchEvent, _ site: SiteName) -> Text {
        let name = site.rawValue
        switch event {
        case .seen(let endpoint, let local):
            return endpoint == local
                ? Text(
                    "the server sees \(name) as \(endpoint), its own address",
                    zh: "服务器看到 \(name) 为 \(endpoint)，即其自身地址"
                )
                : Text("the server sees \(name) (\(local)) as \(endpoint)", zh: "服务器看到 \(name)（\(local)）为 \(endpoint)")
        case .began(let targets):
            let list = targets.map(\.description).joined(separator: ", ")
            return Text("\(name) begins to send to \(list)", zh: "\(name) 开始发往 \(list)")
        case .learnt(let endpoint):
            return Text(
                "\(name) gets a packet from \(endpoint), which nobody had told it, and sends there too",
                zh: "\(name) 收到来自 \(endpoint) 的包，此前无人告知该地址，也向那里发送"
            )
        case .retried(let end):
            return Text(
                "\(name)'s attempt to connect \(end.words.english); it tries again",
                zh: "\(name) 的连接尝试\(end.words.chinese)，再次尝试"
            )
        case .step(let step):
            guard step.number > 0 else { return step.words }
            return Text("step \(step.number): \(step.words.english)", zh: "第 \(step.number) 步：\(step.words.chinese)")
        case .spent(let packets):
            return Text("\(name) has sent \(packets) packets to find the way", zh: "\(name) 为寻找通路发送了 \(packets) 个包")
        case .connected(let remote):
            return Text(
                "\(name) reaches \(site.other.rawValue) at \(remote), both directions proved",
                zh: "\(name) 通过 \(remote) 与 \(site.other.rawValue) 双向连通"
            )
        case .failed(let failure):
            return Text("\(name) gives up: \(failure.words.english)", zh: "\(name) 放弃：\(failure.words.chinese)")
        }
    }

    static func step(_ drop: PlayDrop) -> Text {
        let times = drop.count == 1 ? "" : " (\(drop.count)x)"
        let ports =
            drop.portCount == 1
            ? Text("", zh: "") : Text(" and \(drop.portCount - 1) other ports", zh: " 等 \(drop.portCount) 个端口")
        let node = node(drop.node)
        return Text(
            "\(node.english) drops \(drop.source)\(ports.english) -> \(drop.destination)\(times):"
                + " \(drop.reason.words.english)",
            zh: "\(node.chinese)丢弃 \(drop.source)\(ports.chinese) -> \(drop.destination)\(times)："
                + drop.reason.words.chinese
        )
    }

    /// What people call a node of the lab.
    static func node(_ name: String) -> Text {
        let words = name.split(separator: " ")
        guard let last = words.last, words.count > 1, SiteName(rawValue: String(last)) != nil else {
            switch name {
            case "internet": return Text("the internet", zh: "互联网")
            case "carrier NAT": return Text("the carrier's NAT", zh: "运营商 NAT ")
            default: return Text("\(name)", zh: "\(name) ")
            }
        }
        return words[0] == "carrier"
            ? Text("\(last)'s carrier NAT", zh: "\(last) 的运营商 NAT ") : Text("\(last)'s router", zh: "\(last) 的路由器")
    }
}

extension PlayOutcome {
    /// Why there is no path, from what the boxes on the way dropped; empty when there is one, or nothing is known.
    package var reasons: [Text] {
        guard !isConnected else { return [] }
        var reasons: [Text] = []
        for site in SiteName.allCases {
            let name = site.rawValue
            if let failure = sides[site]?.failure, failure == .noServer || failure == .noPeer {
                reasons.append(Text("\(name): \(failure.words.english)", zh: "\(name)：\(failure.words.chinese)"))
            }
        }
        let telling = drops.filter { $0.reason != .lost }.sorted { $0.count > $1.count }
        for site in SiteName.allCases {
            // What was meant for this site ended at its boxes; the most frequent says why.
            let seen = sides[site.other]?.targets.last
            let peer = sides[site.other]?.seen?.address
            let incoming = telling.first { drop in
                guard drop.reason != .portClosed else { return false }
                return drop.destination == seen || (drop.site == site && drop.source.address == peer)
            }
            if let incoming { reasons.append(words(of: incoming, to: site)) }
        }
        return reasons
    }

    private func words(of drop: PlayDrop, to site: SiteName) -> Text {
        let name = site.rawValue
        let node = PlayWords.node(drop.node)
        let own = (sides[site]?.targets ?? []).map(\.description).joined(separator: ", ")
        switch drop.reason {
        case .filtered where sides[site]?.targets.contains(drop.source) == true:
            let used = drops.first { $0.destination == drop.source && $0.source.address == drop.destination.address }
            let port = used.map { ", \($0.source.port)" } ?? ""
            return Text(
                "\(node.english) does not let \(drop.source) in at \(drop.destination.port), the port of \(name)'s flow to the"
                    + " server: what \(name) sends to \(site.other.rawValue) has another\(port)",
                zh: "\(node.chinese)不放行 \(drop.source) 到端口 \(drop.destination.port)，那是 \(name) 到服务器的流所用端口："
                    + "\(name) 发往 \(site.other.rawValue) 的包使用另一端口\(port)"
            )
        case .filtered:
            return Text(
                "\(node.english) does not let \(drop.source) in at \(drop.destination.port): \(name) has sent only to \(own)",
                zh: "\(node.chinese)不放行 \(drop.source) 到端口 \(drop.destination.port)：\(name) 只发送过 \(own)"
            )
        case .noMapping:
            return Text(
                "\(node.english) has no mapping at \(drop.destination) for what comes from \(drop.source)",
                zh: "\(node.chinese)在 \(drop.destination) 没有映射可供来自 \(drop.source) 的包使用"
            )
        default:
            return Text(
                "\(node.english) drops \(drop.source) -> \(drop.destination): \(drop.reason.words.english)",
                zh: "\(node.chinese)丢弃 \(drop.source) -> \(drop.destination)：\(drop.reason.words.chinese)"
            )
        }
    }
}

extension PunchFailure {
    /// The reason for people.
    package var words: Text {
        switch self {
        case .noServer: Text("the server does not answer", zh: "服务器没有应答")
        case .noPeer: Text("the other side never came to the server", zh: "对端从未联系服务器")
        case .nothingHeard: Text("nothing was heard of the other side", zh: "没有收到对端的任何包")
        case .oneWay:
            Text("the other side is heard, but does not hear this one", zh: "能收到对端，但对端收不到本端")
        case .socket(let end):
            Text("the host's socket ended: it \(end.words.english)", zh: "主机的套接字已结束：\(end.words.chinese)")
        case .unsuitable:
            Text("the tactic is not for these NATs", zh: "该策略不适用于这样的 NAT")
        case .exhausted: Text("every port of the search was tried", zh: "搜索的端口已全部试过")
        }
    }
}

extension SocketEnd {
    var words: Text {
        switch self {
        case .finished: Text("was ended", zh: "被结束")
        case .reset: Text("was reset", zh: "被重置")
        case .refused: Text("was refused", zh: "被拒绝")
        case .timedOut: Text("got no answer", zh: "没有应答")
        case .unreachable: Text("found no way", zh: "无路可达")
        case .addressUnavailable: Text("found its port taken", zh: "端口已被占用")
        case .denied: Text("was not allowed", zh: "不被允许")
        case .malformed: Text("got what it does not understand", zh: "收到无法理解的数据")
        }
    }
}

extension LabDropReason {
    /// The reason for people.
    package var words: Text {
        switch self {
        case .noMapping: Text("no mapping", zh: "没有映射")
        case .filtered: Text("not let in by the filter", zh: "被过滤")
        case .hairpin: Text("it does not turn packets around (no hairpin)", zh: "不支持回环（hairpin）")
        case .blocked: Text("blocked", zh: "被阻断")
        case .tableFull: Text("its table is full", zh: "映射表已满")
        case .noPort: Text("no port is left", zh: "没有可用端口")
        case .invalid: Text("does not fit the connection that it tracks", zh: "与其跟踪的连接不符")
        case .lost: Text("lost on the way", zh: "途中丢失")
        case .queueFull: Text("its queue is full", zh: "队列已满")
        case .linkDown: Text("the line is down", zh: "线路中断")
        case .timeToLive: Text("its time to live ended", zh: "TTL 耗尽")
        case .tooBig: Text("too big", zh: "包过大")
        case .noRoute: Text("no route there", zh: "没有路由")
        case .noHost: Text("nobody has the address", zh: "该地址无人使用")
        case .notForThisHost: Text("not its address", zh: "不是它的地址")
        case .portClosed: Text("nobody listens there", zh: "无人监听")
        case .icmp: Text("ICMP is not let through", zh: "ICMP 不放行")
        }
    }
}
