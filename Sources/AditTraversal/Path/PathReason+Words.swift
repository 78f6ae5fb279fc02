// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension PathReason {
    /// The whole sentence: how packets go, and why.
    package func sentence(_ kind: PathKind, a: String, b: String) -> Text {
        let why = words(a: a, b: b)
        let how: Text =
            switch kind {
            case .none: Text("no path", zh: "没有路径")
            // Each end may reach the relay over another transport: that is no part of what both tell.
            case .relayed: Text("relayed", zh: "经中继")
            case .direct(.udp): Text("direct", zh: "直连")
            case .direct(.tcp): Text("direct over TCP", zh: "TCP 直连")
            }
        return Text("\(how.english): \(why.english)", zh: "\(how.chinese)：\(why.chinese)")
    }

    /// Why, with the names of both devices in place of "you" and "they".
    package func words(a: String, b: String) -> Text {
        directWords(a: a, b: b) ?? otherWords(a: a, b: b)
    }

    private func directWords(a: String, b: String) -> Text? {
        func name(_ side: PathSide) -> String { side == .a ? a : b }
        switch self {
        case .sameNetwork(let addressA, let addressB):
            return Text(
                "\(a) (\(addressA)) and \(b) (\(addressB)) are in the same network",
                zh: "\(a)（\(addressA)）与 \(b)（\(addressB)）在同一网络中"
            )
        case .ipv6(let addressA, let addressB):
            return Text(
                "\(a) (\(addressA)) and \(b) (\(addressB)) both have IPv6, with no NAT in between",
                zh: "\(a)（\(addressA)）与 \(b)（\(addressB)）都有 IPv6，中间没有 NAT"
            )
        case .portMapping(let side, let endpoint):
            return Text(
                "\(name(side))'s router opened port \(endpoint.port) of \(endpoint.address) for it",
                zh: "\(name(side)) 的路由器为它打开了 \(endpoint.address) 的端口 \(endpoint.port)"
            )
        case .publicAddress(let side, let address):
            return Text(
                "\(name(side)) has the public address \(address), where everybody can reach it",
                zh: "\(name(side)) 有公网地址 \(address)，任何人都能访问"
            )
        case .punched(_, let kindA, let kindB):
            let kinds = Self.kinds(kindA, kindB, a, b)
            return Text(
                "each lets in what it has sent to (\(kinds.english))",
                zh: "双方都放行自己发送过的地址（\(kinds.chinese)）"
            )
        case .learnt(let side, let port, _, let filter):
            let kind = Self.name(filter)
            return Text(
                "\(name(side))'s NAT gives each destination a port of its own, and \(name(side.other)) (\(kind.english)) learnt "
                    + "the right one, \(port), from the first packet",
                zh: "\(name(side)) 的 NAT 对每个目的地使用不同端口，\(name(side.other))（\(kind.chinese)）从首个数据包得知其端口 \(port)"
            )
        case .tcpForLackOfUDP(let sides, let kindA, let kindB):
            let place = Self.names(sides, a, b)
            let kinds = Self.kinds(kindA, kindB, a, b)
            return Text(
                "UDP is blocked at \(place.english), and TCP from both sides met (\(kinds.english))",
                zh: "\(place.chinese) 的网络不放行 UDP，双方的 TCP 连接相遇（\(kinds.chinese)）"
            )
        case .predicted(let side, _, let step, let guesses):
            return Text(
                "\(name(side))'s NAT gives its ports one after the other (\(Self.step(step))), and \(name(side.other)) guessed "
                    + "the right one within \(guesses)",
                zh:
                    "\(name(side)) 的 NAT 依次分配端口（\(Self.step(step, isChinese: true))），\(name(side.other)) 在 \(guesses) 个之内猜中"
            )
        case .window(_, let stepA, let stepB, let sockets):
            return Text(
                "both NATs give their ports one after the other (\(a): \(Self.step(stepA)), \(b): \(Self.step(stepB))), and "
                    + "\(sockets) sockets on each side met",
                zh: "双方的 NAT 都依次分配端口（\(a)：\(Self.step(stepA, isChinese: true))，\(b)："
                    + "\(Self.step(stepB, isChinese: true))），各 \(sockets) 个套接字相遇"
            )
        case .birthday(let side, let sockets, let probes):
            return Text(
                "\(name(side))'s NAT draws its ports at random, and \(name(side.other)) found one of \(sockets) open ones after "
                    + "\(probes) probes",
                zh: "\(name(side)) 的 NAT 随机分配端口，\(name(side.other)) 试探 \(probes) 次后找到 \(sockets) 个开放端口之一"
            )
        case .block(let sides, let ports, let probes):
            let place = Self.owners(sides, a, b)
            return Text(
                "\(place.english) of \(ports) ports, and \(probes) probes found one",
                zh: "\(place.chinese)（\(ports) 个端口），试探 \(probes) 次后找到"
            )
        case .hairpin(let address):
            return Text(
                "\(a) and \(b) share the public address \(address), whose NAT turns packets round",
                zh: "\(a) 与 \(b) 共用公网地址 \(address)，其 NAT 支持回环转发"
            )
        default: return nil
        }
    }

    private func otherWords(a: String, b: String) -> Text {
        func name(_ side: PathSide) -> String { side == .a ? a : b }
        switch self {
        case .searching(let kindA, let kindB):
            let kinds = Self.kinds(kindA, kindB, a, b)
            return Text(
                "a direct path is being looked for (\(kinds.english))",
                zh: "正在寻找直连路径（\(kinds.chinese)）"
            )
        case .symmetricMeetsStrict(let side, let strict, let end):
            let kind = Self.name(strict)
            let how = Self.words(end, a, b)
            return Text(
                "\(name(side))'s NAT gives each destination a port of its own, \(name(side.other)) (\(kind.english)) lets in only "
                    + "the very port it sent to, and \(how.english)",
                zh: "\(name(side)) 的 NAT 对每个目的地使用不同端口，\(name(side.other))（\(kind.chinese)）只放行发送过的端口，\(how.chinese)"
            )
        case .bothSymmetric(let allocationA, let allocationB, let end):
            let ports = (Self.words(allocationA), Self.words(allocationB))
            let how = Self.words(end, a, b)
            return Text(
                "both NATs give each destination a port of its own (\(a): \(ports.0.english), \(b): \(ports.1.english)), and "
                    + how.english,
                zh: "双方的 NAT 都对每个目的地使用不同端口（\(a)：\(ports.0.chinese)，\(b)：\(ports.1.chinese)），\(how.chinese)"
            )
        case .udpBlockedAndTCPSymmetric(let blocked, let symmetric):
            let place = Self.names(blocked, a, b)
            let nats = Self.nats(symmetric, a, b)
            return Text(
                "UDP is blocked at \(place.english), and over TCP \(nats.english) each destination a port of its own",
                zh: "\(place.chinese) 的网络不放行 UDP，而 TCP 上\(nats.chinese)对每个目的地使用不同端口"
            )
        case .onlyWeb(let sides):
            let place = Self.names(sides, a, b)
            return Text(
                "only the ports of the web (80, 443) leave the network of \(place.english)",
                zh: "\(place.chinese) 的网络只放行网页端口（80、443）"
            )
        case .relayOnly(let sides):
            let place = Self.names(sides, a, b)
            let verb = sides == .both ? "are" : "is"
            return Text(
                "\(place.english) \(verb) set to use the relay only (--p2p off)",
                zh: "\(place.chinese) 设为只用中继（--p2p off）"
            )
        case .noCommonFamily(let side):
            return Text(
                "\(name(side)) reaches the internet over IPv6 alone, and \(name(side.other)) over IPv4 alone",
                zh: "\(name(side)) 只能通过 IPv6 上网，而 \(name(side.other)) 只能通过 IPv4"
            )
        case .noAnswer(let time, let kindA, let kindB):
            let kinds = Self.kinds(kindA, kindB, a, b)
            return Text(
                "no direct packet came through in \(Self.seconds(time)) s (\(kinds.english))",
                zh: "\(Self.seconds(time)) 秒内没有直连数据包到达（\(kinds.chinese)）"
            )
        case .noHairpin(let address):
            return Text(
                "\(a) and \(b) share the public address \(address), whose NAT does not turn packets round (no hairpin)",
                zh: "\(a) 与 \(b) 共用公网地址 \(address)，其 NAT 不支持回环转发"
            )
        case .signallingLost:
            return Text(
                "the server passes no messages between \(a) and \(b), so that no direct path can be agreed on",
                zh: "服务器无法在 \(a) 与 \(b) 之间传递消息，无法商定直连路径"
            )
        case .noRelay(let lack, let inner):
            let why = inner.words(a: a, b: b)
            let and = Self.words(lack, a, b)
            return Text("\(why.english); \(and.english)", zh: "\(why.chinese)；\(and.chinese)")
        default:
            return Text("for a reason that this version does not know", zh: "原因超出本版本所知")
        }
    }

    private static func kinds(_ kindA: NATKind?, _ kindB: NATKind?, _ a: String, _ b: String) -> Text {
        let (nameA, nameB) = (name(kindA), name(kindB))
        return Text(
            "\(a): \(nameA.english), \(b): \(nameB.english)",
            zh: "\(a)：\(nameA.chinese)，\(b)：\(nameB.chinese)"
        )
    }

    private static func name(_ kind: NATKind?) -> Text {
        kind?.name ?? Text("NAT not known", zh: "NAT 类型未知")
    }

    private static func names(_ sides: PathSides, _ a: String, _ b: String) -> Text {
        switch sides {
        case .a: Text(verbatim: a)
        case .b: Text(verbatim: b)
        case .both: Text("\(a) and \(b)", zh: "\(a) 与 \(b)")
        }
    }

    private static func nats(_ sides: PathSides, _ a: String, _ b: String) -> Text {
        switch sides {
        case .a: Text("\(a)'s NAT gives", zh: "\(a) 的 NAT ")
        case .b: Text("\(b)'s NAT gives", zh: "\(b) 的 NAT ")
        case .both: Text("both NATs give", zh: "双方的 NAT 都")
        }
    }

    private static func owners(_ sides: PathSides, _ a: String, _ b: String) -> Text {
        switch sides {
        case .a: Text("\(a)'s NAT draws its ports from a block", zh: "\(a) 的 NAT 从端口段中分配端口")
        case .b: Text("\(b)'s NAT draws its ports from a block", zh: "\(b) 的 NAT 从端口段中分配端口")
        case .both: Text("both NATs draw their ports from blocks", zh: "双方的 NAT 都从端口段中分配端口")
        }
    }

    private static func words(_ allocation: PortAllocation?) -> Text {
        allocation?.meaning ?? Text("ports not known", zh: "端口规律未知")
    }

    private static func words(_ end: PathSearchEnd, _ a: String, _ b: String) -> Text {
        switch end {
        case .running: return Text("a search for it goes on", zh: "搜索仍在进行")
        case .foundNothing(let probes):
            return Text("a search of \(probes) probes found nothing", zh: "试探 \(probes) 次没有找到")
        case .notAllowed(let sides):
            let place = names(sides, a, b)
            return Text(
                "\(place.english) may not search (quiet or metered)",
                zh: "\(place.chinese) 不得搜索（安静模式或计费链路）"
            )
        case .hopeless: return Text("nobody can foresee it", zh: "无法预知")
        }
    }

    private static func words(_ lack: PathRelayLack, _ a: String, _ b: String) -> Text {
        switch lack {
        case .directOnly(let sides):
            let place = names(sides, a, b)
            let verb = sides == .both ? "want" : "wants"
            return Text("\(place.english) \(verb) no relay (--p2p only)", zh: "\(place.chinese) 不使用中继（--p2p only）")
        case .notOffered: return Text("the server offers no relay", zh: "服务器不提供中继")
        case .silent: return Text("the relay does not answer", zh: "中继没有应答")
        }
    }

    private static func step(_ step: Int, isChinese: Bool = false) -> String {
        let sign = step < 0 ? "−" : "+"
        return isChinese ? "步长 \(sign)\(step.magnitude)" : "step \(sign)\(step.magnitude)"
    }

    private static func seconds(_ time: Duration) -> String {
        let tenths = (time.components.seconds * 10) + time.components.attoseconds / 100_000_000_000_000_000
        return tenths >= 100 || tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
