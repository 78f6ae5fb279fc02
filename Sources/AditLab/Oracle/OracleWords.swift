// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// The reasons of the oracle in both languages.
enum OracleWords {
    static func blocked(_ site: SiteName, _ transport: PunchTransport) -> Text {
        Text(
            "\(transport.name) does not get out of \(site.rawValue)'s network",
            zh: "\(site.rawValue) 的网络不放行 \(transport.name)"
        )
    }

    static func web(_ site: SiteName) -> Text {
        Text(
            "\(site.rawValue)'s network lets out only connections to ports 80 and 443, where no peer listens",
            zh: "\(site.rawValue) 的网络只放行到 80 和 443 端口的连接，对端不在这些端口上监听"
        )
    }

    static let sameNetwork = Text(
        "both are in one network and reach each other there by their own addresses",
        zh: "双方在同一网络内，可用内网地址直达"
    )

    static let noHairpin = Text(
        "both are behind one carrier NAT that does not turn packets to its own address around (no hairpin)",
        zh: "双方在同一运营商 NAT 之后，而它不支持回环（hairpin）"
    )

    static let bothKeepTheirPort = Text(
        "both NATs show one port to every destination, so the address that the server saw is right, and each side's own"
            + " packet opens its NAT for the other's",
        zh: "两边 NAT 对所有目的地都使用同一端口，服务器看到的地址就是正确地址；各自发出的包为对方打开自己的 NAT"
    )

    static func coneLearns(cone: SiteName, dependent: SiteName, isOpen: Bool) -> Text {
        let whom = isOpen ? "everybody" : "every port of an address it has sent to"
        let whomChinese = isOpen ? "任何人" : "它发送过的地址的任何端口"
        return Text(
            "\(dependent.rawValue)'s NAT takes a new port towards \(cone.rawValue), but \(cone.rawValue)'s lets in \(whom)"
                + " and learns the port from \(dependent.rawValue)'s packet",
            zh: "\(dependent.rawValue) 的 NAT 对 \(cone.rawValue) 换用新端口，但 \(cone.rawValue) 的 NAT 放行\(whomChinese)，"
                + "从收到的包得知新端口"
        )
    }

    static func coneIsClosed(cone: SiteName, dependent: SiteName) -> Text {
        Text(
            "\(dependent.rawValue)'s NAT gives every destination a new port, and \(cone.rawValue) lets in only the address and"
                + " port it has sent to",
            zh: "\(dependent.rawValue) 的 NAT 对每个目的地都换用新端口，而 \(cone.rawValue) 只放行它发送过的地址和端口"
        )
    }

    static func strangersEnter(_ open: SiteName) -> Text {
        Text(
            "\(open.rawValue) lets in strangers at the address that the server saw, and answers through it",
            zh: "\(open.rawValue) 在服务器看到的地址上放行陌生来源，并经由该地址应答"
        )
    }

    static let bothTakeNewPorts = Text(
        "both NATs give every destination a new port, so neither side knows where to send",
        zh: "两边 NAT 对每个目的地都换用新端口，双方都不知道该发往何处"
    )

    static let relay = Text("a server carries everything", zh: "由服务器转发全部数据")

    static func prediction(_ site: SiteName, window: Int, rate: Double) -> Text {
        Text(
            "\(site.rawValue)'s next port follows from the last: \(window) in a row cover other people's \(Int(rate)) flows/s",
            zh: "\(site.rawValue) 的下一端口可由上一端口推知：连续 \(window) 个猜测可覆盖他人每秒 \(Int(rate)) 条流"
        )
    }

    static func birthday(_ site: SiteName, sockets: Int, probes: Int, ports: Int) -> Text {
        Text(
            "\(site.rawValue) opens \(sockets) of \(ports) ports, the other side tries \(probes): 1 - (1 - N/R)^M",
            zh: "\(site.rawValue) 打开 \(ports) 个端口中的 \(sockets) 个，对端尝试 \(probes) 个：1 - (1 - N/R)^M"
        )
    }

    static let birthdayRefused = Text(
        "a NAT refuses early SYNs, which ends their sockets before the right ones meet",
        zh: "NAT 会拒绝先到的 SYN，套接字在相遇之前就已失效"
    )

    static func sequenceWindow(sockets: Int, rate: Double) -> Text {
        Text(
            "both next ports follow from the last: \(sockets) sockets each, all to the middle of the other's range, with"
                + " \(Int(rate)) flows/s of others",
            zh: "双方的下一端口都可推知：各开 \(sockets) 个套接字，全部发往对方范围的中点；他人每秒 \(Int(rate)) 条流"
        )
    }

    static func sequenceAgainstRandom(_ random: SiteName, _ sockets: Int, _ ports: Int) -> Text {
        Text(
            "\(random.rawValue) opens \(sockets) of its \(ports) ports towards the other's next one: 1 - exp(-N/R)",
            zh: "\(random.rawValue) 用其 \(ports) 个端口中的 \(sockets) 个发往对方的下一端口：1 - exp(-N/R)"
        )
    }

    static func mutualBirthday(_ sockets: Int, _ ports: Int, _ otherPorts: Int) -> Text {
        Text(
            "\(sockets) sockets and guesses on each side in blocks of \(ports) and \(otherPorts) ports: 1 - exp(-K^2/(R1 R2))",
            zh: "双方各 \(sockets) 个套接字与猜测，端口块为 \(ports) 和 \(otherPorts)：1 - exp(-K^2/(R1 R2))"
        )
    }

    static func portMapping(_ sites: [SiteName]) -> Text {
        let names = sites.map(\.rawValue)
        return Text(
            "certain if the router of \(names.joined(separator: " or ")) gives a port (PCP, NAT-PMP, UPnP)",
            zh: "若 \(names.joined(separator: " 或 ")) 的路由器提供端口（PCP、NAT-PMP、UPnP）则必成"
        )
    }
}
