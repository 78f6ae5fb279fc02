// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
package import AditTraversal
package import AditWire

/// A TURN server as people write it: `turn:HOST[:PORT][?transport=udp|tcp]` or `turns:HOST[:PORT]` (RFC 7065).
package struct TURNPlace: Sendable, Hashable {
    /// The port of TURN (RFC 8656 section 20).
    package static let port: UInt16 = 3478
    /// The port of TURN over TLS.
    package static let tlsPort: UInt16 = 5349

    /// The host.
    package var host: String
    /// Over what it is asked, and on which port each time.
    package var ways: [Way]

    /// One way to a server.
    package struct Way: Sendable, Hashable {
        /// Over what.
        package var transport: STUNTransport
        /// On which port.
        package var port: UInt16
    }

    /// Reads one; nil for anything else.
    package init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let scheme = text[..<colon].lowercased()
        guard scheme == "turn" || scheme == "turns" else { return nil }
        var rest = text[text.index(after: colon)...]
        if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
        var transport: Substring?
        if let mark = rest.firstIndex(of: "?") {
            let query = rest[rest.index(after: mark)...].lowercased()
            guard query == "transport=udp" || query == "transport=tcp" else { return nil }
            transport = Substring(query).dropFirst(10)
            rest = rest[..<mark]
        }
        let isSecure = scheme == "turns"
        guard let place = HostPort(String(rest), defaultPort: isSecure ? Self.tlsPort : Self.port) else { return nil }
        host = place.host
        switch (isSecure, transport) {
        case (true, "udp"?): return nil
        case (true, _): ways = [Way(transport: .tls, port: place.port)]
        case (false, "udp"?): ways = [Way(transport: .udp, port: place.port)]
        case (false, "tcp"?): ways = [Way(transport: .tcp, port: place.port)]
        case (false, _):
            ways = [Way(transport: .udp, port: place.port), Way(transport: .tcp, port: place.port)]
            // Another port says nothing about where TLS is.
            if place.port == Self.port { ways.append(Way(transport: .tls, port: Self.tlsPort)) }
        }
    }
}

/// What a relay did.
package enum TURNFinding: Sendable, Equatable {
    /// There was an allocation.
    case answered(TURNQuery.Finding)
    /// The server refused it.
    case refused(TURNFailure)
    /// It could not be asked; why.
    case failed(String)
}

/// How to ask a relay.
package struct TURNWish: Sendable, Hashable {
    /// The user; empty when none is known.
    package var username: String
    /// The password.
    package var password: String
    /// The realm, where the server gave it beforehand.
    package var realm: String?
    /// A nonce, where the server gave one beforehand.
    package var nonce: String?

    /// Makes it from its parts.
    package init(username: String, password: String, realm: String? = nil, nonce: String? = nil) {
        self.username = username
        self.password = password
        self.realm = realm
        self.nonce = nonce
    }

    /// What a server offered at login.
    package init(_ offer: TURNOffer) {
        self.init(
            username: offer.username,
            password: offer.password,
            realm: offer.realm.isEmpty ? nil : offer.realm,
            nonce: offer.nonce.isEmpty || offer.realm.isEmpty ? nil : offer.nonce
        )
    }
}

/// `adit doctor turn:…`: whether a TURN server relays, over UDP, TCP and TLS.
package struct TURNDoctor: Sendable {
    private let probes: any DoctorProbes
    private let clock: @Sendable () -> Duration

    /// Makes a doctor; the clock gives the time since some origin.
    package init(probes: any DoctorProbes, clock: @escaping @Sendable () -> Duration) {
        self.probes = probes
        self.clock = clock
    }

    /// Asks a server every way at once.
    package func examine(_ place: TURNPlace, _ wish: TURNWish?) async -> DoctorReport {
        let start = clock()
        let server = HostPort(host: place.host, port: place.ways.first?.port ?? TURNPlace.port)
        let subject = DoctorSubject(server: server, trust: .unverified(name: place.host), isJoined: false)
        var name = NameFinding.found([], after: .zero)
        if let address = IPAddress(place.host) {
            name = .found([IPEndpoint(address, server.port)], after: .zero)
        } else {
            name = await probes.resolve(place.host, port: server.port)
        }
        var hops = [DoctorJudgement.dns(name, subject)]
        if case .found(let addresses, _) = name, let address = addresses.first?.address {
            let wish = wish ?? TURNWish(username: "", password: "")
            var found: [(TURNPlace.Way, TURNFinding)] = []
            await withTaskGroup(of: (TURNPlace.Way, TURNFinding).self) { group in
                for way in place.ways {
                    group.addTask {
                        let endpoint = IPEndpoint(address, way.port)
                        return (way, await probes.turn(at: endpoint, host: place.host, over: way.transport, wish))
                    }
                }
                for await finding in group { found.append(finding) }
            }
            let ordered = place.ways.compactMap { way in found.first { $0.0 == way } }
            hops += DoctorJudgement.turn(ordered, hasUser: !wish.username.isEmpty, isAskedFor: true)
        }
        return DoctorReport(server: server, isJoined: false, hops: hops, time: clock() - start)
    }
}

extension DoctorJudgement {
    /// What came of asking a relay each way.
    ///
    /// - Parameter isAskedFor: whether the relay is what a person asked about; else it is beside the way.
    static func turn(
        _ findings: [(way: TURNPlace.Way, finding: TURNFinding)],
        hasUser: Bool,
        isAskedFor: Bool
    ) -> [DoctorHop] {
        let works = findings.contains { if case .answered = $0.finding { true } else { false } }
        return findings.map { way, finding in
            let name: DoctorHop.Name =
                switch way.transport {
                case .udp: .turnUDP
                case .tcp: .turnTCP
                case .tls: .turnTLS
                }
            let port = "\(way.port)/\(way.transport == .udp ? "udp" : way.transport == .tcp ? "tcp" : "tls")"
            switch finding {
            case .answered(let found): return answered(name, port, found)
            case .refused(let failure):
                let words = words(failure, hasUser: hasUser)
                return refused(name, port, words, fix(failure, hasUser: hasUser), isBroken: isAskedFor && !works)
            case .failed(let words):
                let fix = Text(
                    "is it a TURN server, and does its firewall let \(port) in?",
                    zh: "确认它是 TURN 服务器，且防火墙放行 \(port)"
                )
                return refused(name, port, Text(verbatim: words), fix, isBroken: isAskedFor && !works)
            }
        }
    }

    private static func answered(_ name: DoctorHop.Name, _ port: String, _ found: TURNQuery.Finding) -> DoctorHop {
        let fact = Text("\(port), relays at \(found.relayed)", zh: "\(port)，中继地址 \(found.relayed)")
        var hop = DoctorHop(name, .good, facts: [fact], time: found.allocateTime)
        switch found.echo {
        case .arrived(let time):
            let shown = max(Int((time.inSeconds * 1000).rounded()), 1)
            hop.facts.append(
                Text("a datagram to itself came back in \(shown) ms", zh: "发给自己的数据报 \(shown) 毫秒后返回")
            )
        case .refused:
            hop.facts.append(
                Text("it does not relay to its own address; not tried further", zh: "它不向自身地址中继，未再尝试")
            )
        case .lost:
            hop.state = .warning
            let what = Text("a datagram to itself did not come back", zh: "发给自己的数据报没有返回")
            hop.facts.append(what)
            hop.error = AditError(
                .relayUnusable,
                what,
                why: [fact],
                fix: Text(
                    "allow the relay's UDP ports in the server's firewall:  \(found.relayed.port)/udp and its neighbours",
                    zh: "在服务器防火墙放行中继的 UDP 端口：  \(found.relayed.port)/udp 及其相邻端口"
                )
            )
        }
        return hop
    }

    private static func refused(
        _ name: DoctorHop.Name,
        _ port: String,
        _ words: Text,
        _ fix: Text,
        isBroken: Bool
    ) -> DoctorHop {
        let fact = Text("\(port): \(words.english)", zh: "\(port)：\(words.in(.chinese))")
        let error = AditError(
            .relayUnusable,
            Text("no relay over \(port)", zh: "\(port) 无法中继"),
            why: [fact],
            fix: fix
        )
        return DoctorHop(name, isBroken ? .broken : .warning, facts: [fact], error: error)
    }

    private static func words(_ failure: TURNFailure, hasUser: Bool) -> Text {
        switch failure {
        case .timedOut: Text("no answer in 3 s", zh: "3 秒内无应答")
        case .unauthorized:
            hasUser
                ? Text("the user or the password is wrong, or expired", zh: "用户名或密码错误，或已过期")
                : Text("it answers, and wants a user and a password", zh: "有应答，需要用户名和密码")
        case .forbidden: Text("the server forbids it (403)", zh: "服务器禁止（403）")
        case .mismatch: Text("the server knows another allocation (437)", zh: "服务器上已有其他分配（437）")
        case .family: Text("the address family is not supported (440)", zh: "不支持该地址族（440）")
        case .quota: Text("the user has its share of relays (486)", zh: "该用户的中继数已达上限（486）")
        case .capacity: Text("the server is full (508)", zh: "服务器已满（508）")
        case .refused(let number, let reason): Text(verbatim: "\(number) \(reason.prefix(80))")
        case .malformed: Text("the answer is not TURN", zh: "应答不是 TURN")
        case .disconnected: Text("the connection was closed", zh: "连接被关闭")
        case .tooMany: Text("too many permissions", zh: "权限过多")
        }
    }

    private static func fix(_ failure: TURNFailure, hasUser: Bool) -> Text {
        switch failure {
        case .unauthorized:
            hasUser
                ? Text("check user and password with the server's owner", zh: "请与服务器管理员核对用户名和密码")
                : Text(
                    "adit doctor turn:HOST --user NAME --password PASSWORD",
                    zh: "adit doctor turn:主机 --user 用户名 --password 密码"
                )
        case .quota, .capacity: Text("try again in a minute", zh: "一分钟后重试")
        default:
            Text(
                "is it a TURN server, and does its firewall let it in?",
                zh: "确认它是 TURN 服务器，且防火墙已放行"
            )
        }
    }
}
