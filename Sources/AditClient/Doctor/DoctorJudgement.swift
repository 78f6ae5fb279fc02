// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal

/// What findings mean, in words, with one remedy each: this computer, its name service and its session.
enum DoctorJudgement {
    /// The clocks may be apart by so much before a person is told, in seconds.
    static let clockLimit: Int64 = 120

    static let notJoined = DoctorHop(
        .server,
        .warning,
        facts: [Text("this computer has not joined a server", zh: "本机尚未加入服务器")],
        error: AditError(
            .notJoined,
            Text("this computer has not joined a server", zh: "本机尚未加入服务器"),
            fix: Text(
                "adit join INVITE    (on the server:  adit server invite), or look at any server:  adit doctor HOST",
                zh: "adit join 邀请    （在服务器上：  adit server invite），或检查任意服务器：  adit doctor 主机"
            )
        )
    )

    static func computer(_ network: LocalNetwork, environment: [String: String], isLocal: Bool) -> DoctorHop {
        var facts: [Text] = []
        var isUsable = isLocal
        for (address, gateway) in [(network.address, network.gateway), (network.addressV6, network.gatewayV6)] {
            guard let address else { continue }
            isUsable = true
            let interface = network.interfaces.first { $0.addresses.contains(address) }?.name ?? "?"
            facts.append(
                gateway.map {
                    Text("\(address) on \(interface), router \($0)", zh: "\(address)（\(interface)），路由器 \($0)")
                }
                    ?? Text("\(address) on \(interface)", zh: "\(address)（\(interface)）")
            )
        }
        if !facts.isEmpty, network.addressV6 == nil { facts.append(Text("no IPv6", zh: "没有 IPv6")) }
        guard isUsable else {
            let names = network.interfaces.map(\.name).joined(separator: ", ")
            let error = AditError(
                .serverUnreachable,
                Text("this computer is not connected to a network", zh: "本机没有连接网络"),
                why: [
                    Text("there is no default route", zh: "没有默认路由"),
                    names.isEmpty
                        ? Text("no interface is up", zh: "没有启用的网络接口")
                        : Text("interfaces that are up: \(names)", zh: "已启用的接口：\(names)"),
                ],
                fix: Text("connect the cable or Wi-Fi; then:  ip route", zh: "请连接网线或 Wi-Fi，然后查看：  ip route")
            )
            return DoctorHop(.computer, .broken, facts: [error.what] + error.why, error: error)
        }
        if isLocal, facts.isEmpty { facts.append(Text("the server is on this computer", zh: "服务器就在本机")) }
        var state = DoctorHop.State.good
        let proxies = ["http_proxy", "https_proxy", "all_proxy"].filter { name in
            !(environment[name] ?? environment[name.uppercased()] ?? "").isEmpty
        }
        if !proxies.isEmpty {
            let names = proxies.map { environment[$0].map { $0.isEmpty } == false ? $0 : $0.uppercased() }
                .joined(separator: ", ")
            facts.append(
                Text(
                    "\(names) is set; Adit connects directly and does not use a proxy",
                    zh: "设置了 \(names)；Adit 直接连接，不使用代理"
                )
            )
            state = .warning
        }
        let tunnels = network.interfaces.filter { $0.isVirtual && ($0.isDefault || isVPN($0.name)) }.map(\.name)
        if !tunnels.isEmpty {
            let names = tunnels.joined(separator: ", ")
            let carries = network.interfaces.contains { $0.isVirtual && $0.isDefault }
            facts.append(
                carries
                    ? Text("a VPN carries all traffic: \(names)", zh: "所有流量经过 VPN：\(names)")
                    : Text("another VPN is up: \(names)", zh: "另一个 VPN 已启用：\(names)")
            )
            state = .warning
        }
        return DoctorHop(.computer, state, facts: facts)
    }

    private static func isVPN(_ name: String) -> Bool {
        ["tun", "tap", "wg", "utun", "ppp", "tailscale", "zt", "nebula"].contains { name.hasPrefix($0) }
    }

    static func dns(_ finding: NameFinding, _ subject: DoctorSubject) -> DoctorHop {
        let host = subject.server.host
        switch finding {
        case .found(let addresses, let time):
            guard IPAddress(host) == nil else {
                return DoctorHop(.dns, .good, facts: [Text("\(host) is an address", zh: "\(host) 是地址，无需解析")])
            }
            let shown = addresses.map { $0.address.description }
            let unique = shown.enumerated().filter { shown.firstIndex(of: $1) == $0 }.map(\.element)
            return DoctorHop(
                .dns,
                .good,
                facts: [Text(verbatim: "\(host) → \(unique.prefix(4).joined(separator: ", "))")],
                time: time
            )
        case .unknown(let words):
            let error = AditError(
                .nameDoesNotResolve,
                Text("the name \(host) does not exist", zh: "域名 \(host) 不存在"),
                why: [Text("the resolver answers: \(words)", zh: "解析器的回答：\(words)")],
                fix: Text(
                    "check the spelling, or add a record for \(host) where its domain is managed",
                    zh: "请检查拼写，或在域名管理处为 \(host) 添加解析记录"
                )
            )
            return DoctorHop(.dns, .broken, facts: [error.what] + error.why, error: error)
        case .noResolver(let words):
            let error = AditError(
                .nameDoesNotResolve,
                Text("no name server answers", zh: "没有域名服务器应答"),
                why: [Text(verbatim: words)],
                fix: Text(
                    "check this computer's DNS (/etc/resolv.conf), or name the server by its address",
                    zh: "请检查本机的 DNS（/etc/resolv.conf），或用地址指定服务器"
                )
            )
            return DoctorHop(.dns, .broken, facts: [error.what] + error.why, error: error)
        }
    }

    /// TCP, TLS and the session's answer.
    static func session(_ finding: SessionFinding, _ subject: DoctorSubject) -> [DoctorHop] {
        guard let address = finding.address, let tls = finding.tls else {
            return [unreachable(finding, subject), DoctorHop(.tls, .skipped), DoctorHop(.session, .skipped)]
        }
        let failed = finding.failures.map { Text(verbatim: "\($0.address): \($0.reason)") }
        let server = DoctorHop(
            .server,
            .good,
            facts: [Text(verbatim: "\(address)/tcp")] + failed,
            time: finding.connectTime
        )
        let secure = self.tls(tls, subject)
        guard secure.state != .broken, let hello = finding.hello else {
            return [server, secure, DoctorHop(.session, .skipped)]
        }
        return [server, secure, self.hello(hello)]
    }

    private static func unreachable(_ finding: SessionFinding, _ subject: DoctorSubject) -> DoctorHop {
        let port = subject.server.port
        let isRefused = finding.failures.contains { $0.end == .refused }
        let isUnreachable = !finding.failures.isEmpty && finding.failures.allSatisfy { $0.end == .unreachable }
        let fix: Text =
            if isRefused {
                Text(
                    "start the server there:  adit server    (or correct the port \(port))",
                    zh: "在那台机器上启动服务器：  adit server    （或改正端口 \(port)）"
                )
            } else if isUnreachable {
                Text("check this computer's routes:  ip route", zh: "请检查本机路由：  ip route")
            } else {
                Text(
                    "allow \(port)/tcp in the server's cloud firewall (security group); is the machine up?",
                    zh: "在服务器的云防火墙（安全组）放行 \(port)/tcp；机器是否已开机？"
                )
            }
        let error = AditError(
            .serverUnreachable,
            Text("the server \(subject.server) cannot be reached", zh: "无法连接服务器 \(subject.server)"),
            why: finding.failures.map { Text(verbatim: "\($0.address): \($0.reason)") },
            fix: fix
        )
        return DoctorHop(.server, .broken, facts: [error.what] + error.why, error: error)
    }

    private static func tls(_ tls: SessionFinding.TLS, _ subject: DoctorSubject) -> DoctorHop {
        switch tls {
        case .up(let fingerprint, let time):
            let key = fingerprint?.description ?? "?"
            switch subject.trust {
            case .pinned, .pinnedPrefix:
                let fact = Text("the pinned key \(short(key))", zh: "密钥与记录一致 \(short(key))")
                return DoctorHop(.tls, .good, facts: [fact], time: time)
            case .publicAuthorities, .authorities:
                let fact = Text("an authority vouches for the key", zh: "证书机构为密钥担保")
                return DoctorHop(.tls, .good, facts: [fact], time: time)
            case .unverified, .plain:
                let fact = Text("shows the key \(key), not compared: not joined", zh: "出示密钥 \(key)，未加入，无法核对")
                return DoctorHop(.tls, .good, facts: [fact], time: time)
            }
        case .untrusted(let error):
            return DoctorHop(.tls, .broken, facts: [error.what] + error.why, error: error)
        case .answersHTTP(let answer): return portal(.tls, answer, port: subject.server.port)
        case .notTLS:
            let error = AditError(
                .protocolBroken,
                Text(
                    "something else answers on port \(subject.server.port)",
                    zh: "端口 \(subject.server.port) 上应答的是别的程序"
                ),
                why: [Text("its answer to TLS is not TLS", zh: "对 TLS 的应答不是 TLS")],
                fix: Text(
                    "check the port; is it the session port of  adit server  (7000 unless changed)?",
                    zh: "请检查端口；它是否是  adit server  的会话端口（默认 7000）？"
                )
            )
            return DoctorHop(.tls, .broken, facts: [error.what] + error.why, error: error)
        case .broken(let words):
            let error = AditError(
                .serverUnreachable,
                Text("the connection ends during the TLS handshake", zh: "连接在 TLS 握手期间中断"),
                why: [Text(verbatim: words)],
                fix: Text(
                    "a filter or proxy on the way may cut it: try another network, or another session port",
                    zh: "途中的过滤器或代理可能切断了连接：请换一个网络，或更换会话端口"
                )
            )
            return DoctorHop(.tls, .broken, facts: [error.what] + error.why, error: error)
        case .silent:
            let error = AditError(
                .serverUnreachable,
                Text("the server does not answer the TLS handshake", zh: "服务器没有应答 TLS 握手"),
                why: [Text("TCP connects, then nothing comes in time", zh: "TCP 已连接，之后没有任何应答")],
                fix: Text(
                    "look at the server:  adit server status; or something on the way swallows TLS: try another network",
                    zh: "查看服务器：  adit server status；或途中有设备吞掉了 TLS：请换一个网络"
                )
            )
            return DoctorHop(.tls, .broken, facts: [error.what] + error.why, error: error)
        }
    }

    /// Somebody else answered with HTTP.
    static func portal(_ name: DoctorHop.Name, _ answer: HTTPFinding, port: UInt16) -> DoctorHop {
        let place = answer.location.map { " → " + String($0.prefix(200)) } ?? ""
        let error = AditError(
            .captivePortal,
            Text("something on the way answers in place of the server", zh: "途中有设备代替服务器应答"),
            why: [
                Text(
                    "port \(port) answers HTTP \(answer.status)\(place)",
                    zh: "端口 \(port) 应答 HTTP \(answer.status)\(place)"
                )
            ],
            fix: answer.location.map { place in
                Text(
                    "sign in to this network:  \(String(place.prefix(200)))",
                    zh: "请登录此网络：  \(String(place.prefix(200)))"
                )
            }
                ?? Text(
                    "open a web page to sign in to this network, or check what listens on port \(port)",
                    zh: "请打开任意网页登录此网络，或检查端口 \(port) 上的程序"
                )
        )
        return DoctorHop(name, .broken, facts: [error.what] + error.why, error: error)
    }

    private static func hello(_ hello: SessionFinding.Hello) -> DoctorHop {
        let error: AditError
        switch hello {
        case .adit(let time):
            return DoctorHop(.session, .good, facts: [Text("answers as Adit", zh: "按 Adit 协议应答")], time: time)
        case .frp:
            error = AditError(
                .versionsApart,
                Text("the server is a plain frp server", zh: "对方是普通 frp 服务器"),
                fix: Text("for an frp server use:  adit frpc -c FILE", zh: "对 frp 服务器请用：  adit frpc -c 文件")
            )
        case .refused(let words):
            error = AditError(
                .versionsApart,
                Text("the server refuses this version", zh: "服务器拒绝此版本"),
                why: [Text(verbatim: String(words.prefix(200)))],
                fix: Text("compare  adit version  on both sides", zh: "比较两端的  adit version")
            )
        case .garbage:
            error = AditError(
                .protocolBroken,
                Text("what answers behind TLS is not an Adit server", zh: "TLS 之后应答的不是 Adit 服务器"),
                fix: Text(
                    "check the port; is it the session port of  adit server?",
                    zh: "请检查端口；它是否是  adit server  的会话端口？"
                )
            )
        case .silent:
            error = AditError(
                .protocolBroken,
                Text("the server does not answer behind TLS", zh: "TLS 之后服务器没有应答"),
                fix: Text("look at the server:  adit server status", zh: "查看服务器：  adit server status")
            )
        }
        return DoctorHop(.session, .broken, facts: [error.what] + error.why, error: error)
    }

    private static func short(_ fingerprint: String) -> String {
        fingerprint.count > 20 ? "\(fingerprint.prefix(13))…\(fingerprint.suffix(3))" : fingerprint
    }
}
