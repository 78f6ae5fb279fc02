// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire

/// What lies beside the session's way: clocks, names, STUN, and what runs here.
extension DoctorJudgement {
    static func clock(server: Int64?, here: Int64) -> DoctorHop {
        guard let server else { return DoctorHop(.clock, .skipped) }
        let apart = abs(here - server)
        let figure = Text("\(apart) s apart from the server", zh: "与服务器相差 \(apart) 秒")
        guard apart > clockLimit else { return DoctorHop(.clock, .good, facts: [figure]) }
        let error = AditError(
            .clockOff,
            Text("this computer's clock and the server's are \(apart) s apart", zh: "本机与服务器的时钟相差 \(apart) 秒"),
            fix: Text("on the one that is wrong:  timedatectl set-ntp true", zh: "在时钟不准的一端：  timedatectl set-ntp true")
        )
        return DoctorHop(.clock, .warning, facts: [figure], error: error)
    }

    /// - Parameter isReached: whether the session port was reached: where it was not, this port says nothing new.
    static func names(
        _ name: DoctorHop.Name,
        _ finding: NamesFinding,
        port: UInt16,
        isReached: Bool
    ) -> DoctorHop {
        switch finding {
        case .answered(let answer):
            guard !answer.isAdit else {
                return DoctorHop(name, .good, facts: [Text(verbatim: "\(port)/tcp")], time: answer.time)
            }
            return portal(name, answer, port: port)
        case .notHTTP(let words):
            let error = AditError(
                .protocolBroken,
                Text("the port for names, \(port), does not answer as it should", zh: "域名端口 \(port) 的应答不正常"),
                why: [Text(verbatim: words)],
                fix: Text("look at the server:  adit server status", zh: "查看服务器：  adit server status")
            )
            return DoctorHop(name, isReached ? .broken : .skipped, facts: [error.what] + error.why, error: error)
        case .failed(let failure):
            let error = AditError(
                .serverUnreachable,
                Text("the port for names, \(port), cannot be reached", zh: "无法连接域名端口 \(port)"),
                why: [Text(verbatim: "\(failure.address): \(failure.reason)")],
                fix: Text(
                    "allow \(port)/tcp in the server's cloud firewall (security group)",
                    zh: "在服务器的云防火墙（安全组）放行 \(port)/tcp"
                )
            )
            return DoctorHop(name, isReached ? .broken : .skipped, facts: [error.what] + error.why, error: error)
        }
    }

    /// STUN is needed for direct paths alone, so what is missing is a warning.
    static func stun(
        udp: STUNFinding?,
        tcp: STUNFinding?,
        tls: STUNFinding?,
        _ offer: STUNOffer?,
        isReached: Bool
    ) -> [DoctorHop] {
        guard let offer else { return [] }
        var hops: [DoctorHop] = []
        let others = [tcp, tls].contains { finding in
            if case .answered? = finding { true } else { false }
        }
        let kinds: [(DoctorHop.Name, STUNFinding?, UInt16, String)] = [
            (.stunUDP, udp, offer.port, "udp"), (.stunTCP, tcp, offer.port, "tcp"),
            (.stunTLS, tls, offer.tlsPort, "tls"),
        ]
        for (name, finding, port, word) in kinds {
            switch finding {
            case nil: continue
            case .answered(let mapped, let time):
                let fact = Text(
                    "\(port)/\(word), sees this computer as \(mapped)",
                    zh: "\(port)/\(word)，看到本机为 \(mapped)"
                )
                hops.append(DoctorHop(name, .good, facts: [fact], time: time))
            case .failed(let words):
                let fact = Text(verbatim: "\(port)/\(word): \(words)")
                guard isReached || others else {
                    hops.append(DoctorHop(name, .skipped, facts: [fact]))
                    continue
                }
                hops.append(
                    DoctorHop(name, .warning, facts: [fact], error: name == .stunUDP ? blocked(port, words) : nil)
                )
            }
        }
        return hops
    }

    private static func blocked(_ port: UInt16, _ words: String) -> AditError {
        AditError(
            .udpBlocked,
            Text("UDP does not reach the server; TCP is used", zh: "UDP 无法到达服务器，改用 TCP"),
            why: [Text(verbatim: "\(port)/udp: \(words)")],
            fix: Text(
                "allow \(port)/udp in the server's cloud firewall; else this network blocks UDP and nothing is to be done",
                zh: "在服务器的云防火墙放行 \(port)/udp；若仍不行，则是当前网络封锁了 UDP，无需处理"
            )
        )
    }

    static func tunnels(_ processes: [DeviceStatus]) -> DoctorHop? {
        guard !processes.isEmpty else {
            return DoctorHop(.tunnels, .skipped, facts: [Text("nothing runs here", zh: "没有运行中的隧道")])
        }
        if let process = processes.first(where: { !$0.isConnected }) {
            let error = AditError(
                .serverUnreachable,
                Text("the running adit (pid \(process.pid)) is not connected", zh: "运行中的 adit（进程 \(process.pid)）未连接"),
                why: process.problem.map { [Text(verbatim: String($0.prefix(200)))] } ?? [],
                fix: Text("it tries again by itself; see:  adit status", zh: "它会自动重试；查看：  adit status")
            )
            return DoctorHop(.tunnels, .broken, facts: [error.what] + error.why, error: error)
        }
        let all = processes.flatMap(\.tunnels)
        let open = all.filter { $0.state == .open }
        let words = Text("\(open.count) of \(all.count) open", zh: "\(all.count) 个中 \(open.count) 个开放")
        let troubled = all.filter { $0.state != .open }
        guard let first = troubled.first else { return DoctorHop(.tunnels, .good, facts: [words]) }
        let facts = troubled.prefix(5).map { tunnel in
            let why = tunnel.problem.map { ": " + String($0.prefix(200)) } ?? ""
            return Text(verbatim: "\(tunnel.name) → \(tunnel.target) \(tunnel.state.rawValue)\(why)")
        }
        let code = first.code.flatMap { Int($0.drop { !$0.isNumber }) }.flatMap(ErrorCode.init) ?? .nothingListens
        let error = AditError(
            code,
            Text("the tunnel \(first.name) is not open", zh: "隧道 \(first.name) 未开放"),
            why: first.problem.map { [Text(verbatim: String($0.prefix(200)))] } ?? [],
            fix: Text("adit explain \(code)", zh: "adit explain \(code)")
        )
        return DoctorHop(.tunnels, .broken, facts: [words] + facts, error: error)
    }
}
