// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditWire
import Testing

@testable import AditClient

/// Looks that find what a test says.
private struct FakeProbes: DoctorProbes {
    static let address = IPEndpoint(.v4(0xCB00_7107), 7000)

    var local = LocalNetwork(
        interfaces: [LocalInterface(name: "eth0", addresses: [.v4(0xC0A8_0105)], isDefault: true)],
        gateway: .v4(0xC0A8_0101),
        address: .v4(0xC0A8_0105)
    )
    var variables: [String: String] = [:]
    var running: [DeviceStatus] = []
    var name = NameFinding.found([Self.address], after: .milliseconds(3))
    var sessionFinding = FakeProbes.goodSession
    var page = NamesFinding.answered(HTTPFinding(status: 404, isAdit: true, date: 1_000_000, time: .milliseconds(2)))
    var udp = STUNFinding.answered(mapped: IPEndpoint(.v4(9), 9), after: .milliseconds(4))
    var tcp = STUNFinding.answered(mapped: IPEndpoint(.v4(9), 9), after: .milliseconds(4))

    static var goodSession: SessionFinding {
        var finding = SessionFinding()
        finding.address = address
        finding.connectTime = .milliseconds(20)
        finding.tls = .up(nil, after: .milliseconds(21))
        finding.hello = .adit(after: .milliseconds(22))
        return finding
    }

    func network() -> LocalNetwork { local }
    func environment() -> [String: String] { variables }
    func processes() -> [DeviceStatus] { running }
    func unixTime() -> Int64 { 1_000_030 }
    func resolve(_ host: String, port: UInt16) async -> NameFinding { name }
    func session(at addresses: [IPEndpoint], host: String, trust: ServerTrust) async -> SessionFinding {
        sessionFinding
    }
    func names(at address: IPEndpoint, host: String, isTLS: Bool) async -> NamesFinding { page }
    func stun(at address: IPEndpoint, host: String, over transport: STUNTransport) async -> STUNFinding {
        transport == .udp ? udp : tcp
    }

    var relay = TURNFinding.answered(Self.relayed)
    var overTCP: TURNFinding?
    static let relayed = TURNQuery.Finding(
        relayed: IPEndpoint(.v4(0xCB00_7107), 50_000),
        mapped: IPEndpoint(.v4(9), 9),
        allocateTime: .milliseconds(40),
        echo: .arrived(.milliseconds(20))
    )

    func turn(
        at address: IPEndpoint,
        host: String,
        over transport: STUNTransport,
        _ wish: TURNWish
    ) async -> TURNFinding {
        transport == .udp ? relay : overTCP ?? relay
    }
}

@Suite struct DoctorTests {
    private static var subject: DoctorSubject {
        DoctorSubject(
            server: HostPort(host: "tunnel.example.com", port: 7000),
            trust: .pinnedPrefix([]),
            isJoined: true,
            domain: "example.com",
            httpPort: 80,
            httpsPort: 443,
            stun: STUNOffer(port: 3478, tlsPort: 5349)
        )
    }

    private func report(_ change: (inout FakeProbes) -> Void = { _ in }) async -> DoctorReport {
        var probes = FakeProbes()
        change(&probes)
        return await Doctor(probes: probes) { .zero }.examine(Self.subject)
    }

    /// The first broken hop and its code.
    private func broken(_ change: (inout FakeProbes) -> Void) async -> (DoctorHop.Name?, ErrorCode?) {
        let report = await report(change)
        #expect(report.firstBroken == nil || report.fix != nil, "whatever is broken has one remedy")
        return (report.firstBroken?.name, report.firstBroken?.error?.code)
    }

    @Test func aGoodWayHasNothingBroken() async {
        let report = await report()
        #expect(report.firstBroken == nil)
        #expect(report.fix == nil)
        #expect(
            report.hops.map(\.name) == [
                .computer, .dns, .server, .tls, .session, .clock, .http, .https, .stunUDP, .stunTCP, .stunTLS, .tunnels,
            ]
        )
        #expect(report.hops.dropLast().allSatisfy { $0.state == .good })
        #expect(report.hop(.tunnels)?.state == .skipped)
    }

    @Test func eachHopThatBreaksIsTheFirst() async {
        #expect(await broken { $0.local = LocalNetwork() } == (.computer, .serverUnreachable))
        #expect(await broken { $0.name = .unknown("no such name") } == (.dns, .nameDoesNotResolve))
        #expect(await broken { $0.name = .noResolver("no answer") } == (.dns, .nameDoesNotResolve))
        let refused = ConnectFailure(address: FakeProbes.address, end: .refused, reason: "Connection refused")
        #expect(
            await broken { probes in
                probes.sessionFinding = SessionFinding()
                probes.sessionFinding.failures = [refused]
                // What lies beside the way is broken too, and is not what a person has to look at.
                probes.page = .failed(refused)
                probes.udp = .failed("no answer")
                probes.tcp = .failed("no answer")
            } == (.server, .serverUnreachable)
        )
        let key = AditError(.serverKeyChanged, "another key", fix: "get a new invite")
        #expect(await broken { $0.sessionFinding.tls = .untrusted(key) } == (.tls, .serverKeyChanged))
        #expect(await broken { $0.sessionFinding.tls = .notTLS } == (.tls, .protocolBroken))
        #expect(await broken { $0.sessionFinding.tls = .silent } == (.tls, .serverUnreachable))
        #expect(await broken { $0.sessionFinding.tls = .broken("reset") } == (.tls, .serverUnreachable))
        let portal = HTTPFinding(status: 302, location: "http://login.test/", time: .zero)
        #expect(await broken { $0.sessionFinding.tls = .answersHTTP(portal) } == (.tls, .captivePortal))
        #expect(await broken { $0.sessionFinding.hello = .frp } == (.session, .versionsApart))
        #expect(await broken { $0.sessionFinding.hello = .refused("no") } == (.session, .versionsApart))
        #expect(await broken { $0.sessionFinding.hello = .garbage } == (.session, .protocolBroken))
        #expect(await broken { $0.sessionFinding.hello = .silent } == (.session, .protocolBroken))
        #expect(await broken { $0.page = .answered(portal) } == (.http, .captivePortal))
        #expect(await broken { $0.page = .failed(refused) } == (.http, .serverUnreachable))
        #expect(await broken { $0.page = .notHTTP("no answer") } == (.http, .protocolBroken))
    }

    @Test func whatLiesBehindABrokenHopIsNotJudged() async {
        let report = await report { $0.sessionFinding.tls = .notTLS }
        #expect(report.hop(.server)?.state == .good)
        #expect(report.hop(.session)?.state == .skipped)
        let unnamed = await self.report { $0.name = .unknown("no") }
        #expect([.server, .tls, .session].allSatisfy { unnamed.hop($0)?.state == .skipped })
        #expect(unnamed.hop(.stunUDP) == nil)
    }

    @Test func blockedUDPIsAWarningWithARemedy() async {
        let report = await report { $0.udp = .failed("no answer in 3 s") }
        #expect(report.firstBroken == nil)
        #expect(report.hop(.stunUDP)?.error?.code == .udpBlocked)
        #expect(report.fix == report.hop(.stunUDP)?.error?.fix)
    }

    @Test func theRelayIsBesideTheWay() async {
        var subject = Self.subject
        subject.turn = TURNOffer(
            port: 3478,
            tlsPort: 5349,
            username: "2000000:desk",
            password: "secret",
            realm: "adit",
            expiresAt: 2_000_000
        )
        var probes = FakeProbes()
        let examine = { (probes: FakeProbes, subject: DoctorSubject) in
            await Doctor(probes: probes) { .zero }.examine(subject)
        }
        let good = await examine(probes, subject)
        #expect([.turnUDP, .turnTCP, .turnTLS].allSatisfy { good.hop($0)?.state == .good })
        #expect(good.hop(.turnUDP)?.facts.last?.english == "a datagram to itself came back in 20 ms")
        probes.relay = .refused(.unauthorized)
        let refused = await examine(probes, subject)
        #expect(refused.firstBroken == nil)
        #expect(refused.hop(.turnTLS)?.error?.code == .relayUnusable)
        // With credentials that are over nothing can be said.
        subject.turn?.expiresAt = 1_000_000
        #expect(await examine(probes, subject).hop(.turnUDP) == nil)
    }

    @Test func aRelayThatWasAskedAboutIsBrokenWhenNoWayWorks() async throws {
        let place = try #require(TURNPlace("turn:203.0.113.7"))
        #expect(place.ways.map(\.transport) == [.udp, .tcp, .tls])
        #expect(TURNPlace("turn:a.test:4000?transport=tcp")?.ways.map(\.port) == [4000])
        #expect(TURNPlace("turns:a.test")?.ways == [.init(transport: .tls, port: 5349)])
        for wrong in ["a.test", "turn:", "stun:a.test", "turns:a.test?transport=udp", "turn:a.test?transport=sctp"] {
            #expect(TURNPlace(wrong) == nil, "\(wrong)")
        }
        var probes = FakeProbes()
        probes.relay = .failed("no answer")
        probes.overTCP = .answered(FakeProbes.relayed)
        let half = await TURNDoctor(probes: probes) { .zero }.examine(place, nil)
        #expect(half.firstBroken == nil)
        #expect(half.hop(.turnUDP)?.state == .warning)
        probes.overTCP = nil
        let none = await TURNDoctor(probes: probes) { .zero }.examine(place, nil)
        #expect(none.firstBroken?.name == .turnUDP)
        #expect(none.firstBroken?.error?.code == .relayUnusable)
        probes.relay = .refused(.unauthorized)
        let locked = await TURNDoctor(probes: probes) { .zero }.examine(place, nil)
        #expect(locked.fix?.english.contains("--user") == true)
    }

    @Test func theRemedyOfAPortalIsItsPage() async {
        let portal = HTTPFinding(status: 302, location: "http://login.test/?a", time: .zero)
        let report = await report { $0.sessionFinding.tls = .answersHTTP(portal) }
        #expect(report.fix?.english == "sign in to this network:  http://login.test/?a")
    }

    @Test func theRemedyFitsTheFailure() async {
        let fix = { (end: SocketEnd) async -> String? in
            await report { probes in
                probes.sessionFinding = SessionFinding()
                probes.sessionFinding.failures = [ConnectFailure(address: FakeProbes.address, end: end, reason: "x")]
            }.fix?.english
        }
        #expect(await fix(.refused)?.contains("adit server") == true)
        #expect(await fix(.timedOut)?.contains("firewall") == true)
        #expect(await fix(.unreachable)?.contains("ip route") == true)
    }

    @Test func clocksThatAreApartAreAWarning() async {
        let page = HTTPFinding(status: 404, isAdit: true, date: 900_000, time: .zero)
        let report = await report { $0.page = .answered(page) }
        #expect(report.hop(.clock)?.state == .warning)
        #expect(report.hop(.clock)?.error?.code == .clockOff)
        #expect(report.hop(.clock)?.facts.first?.english == "100030 s apart from the server")
        #expect(report.firstBroken == nil)
    }

    @Test func proxiesAndVPNsAreNamed() async {
        let report = await report { probes in
            probes.variables = ["HTTPS_PROXY": "http://p:1", "http_proxy": ""]
            probes.local.interfaces.append(LocalInterface(name: "wg0", addresses: [.v4(1)], isVirtual: true))
        }
        let computer = report.hop(.computer)
        #expect(computer?.state == .warning)
        #expect(computer?.facts.contains { $0.english.hasPrefix("HTTPS_PROXY is set") } == true)
        #expect(computer?.facts.contains { $0.english == "another VPN is up: wg0" } == true)
        // The bridge of a container network is no VPN.
        let bridge = await self.report {
            $0.local.interfaces.append(LocalInterface(name: "docker0", addresses: [.v4(1)], isVirtual: true))
        }
        #expect(bridge.hop(.computer)?.state == .good)
    }

    @Test func runningTunnelsAreSummedUp() async {
        var status = DeviceStatus(pid: 7, server: "tunnel.example.com:7000", startedAt: 0)
        status.isConnected = true
        var web = DeviceStatus.Tunnel(name: "web", kind: "http", target: "localhost:3000")
        web.state = .open
        var held = web
        held.name = "held"
        held.state = .held
        held.code = "ADIT-201"
        held.problem = "nothing listens"
        status.tunnels = [web]
        let good = status
        #expect(await report { $0.running = [good] }.hop(.tunnels)?.facts.first?.english == "1 of 1 open")
        status.tunnels = [web, held]
        let troubled = status
        #expect(await broken { $0.running = [troubled] } == (.tunnels, .nothingListens))
        status.isConnected = false
        let away = status
        #expect(await broken { $0.running = [away] } == (.tunnels, .serverUnreachable))
        // Another server's process says nothing about this one.
        var other = away
        other.server = "elsewhere:7000"
        let foreign = other
        #expect(await broken { $0.running = [foreign] } == (nil, nil))
    }

    @Test func withoutAServerThisComputerIsLookedAt() async {
        let report = await Doctor(probes: FakeProbes()) { .zero }.examine(nil)
        #expect(report.firstBroken == nil)
        #expect(report.fix?.english.contains("adit join") == true)
        #expect(report.hops.map(\.name) == [.computer, .server, .tunnels])
        var alone = FakeProbes()
        alone.local = LocalNetwork()
        let off = await Doctor(probes: alone) { .zero }.examine(nil)
        #expect(off.firstBroken?.name == .computer)
    }

    @Test func aServerOnThisComputerNeedsNoNetwork() async {
        var probes = FakeProbes()
        probes.local = LocalNetwork()
        var subject = Self.subject
        subject.server = HostPort(host: "127.0.0.1", port: 7000)
        let report = await Doctor(probes: probes) { .zero }.examine(subject)
        #expect(report.hop(.computer)?.state == .good)
        #expect(report.hop(.dns)?.facts.first?.english == "127.0.0.1 is an address")
    }

    @Test func everyWordIsThereInBothLanguages() async {
        let reports = [
            await report(), await report { $0.local = LocalNetwork() }, await report { $0.name = .unknown("x") },
            await report { $0.sessionFinding.tls = .notTLS }, await report { $0.udp = .failed("x") },
        ]
        for hop in reports.flatMap(\.hops) {
            for text in [hop.error?.what, hop.error?.fix].compactMap({ $0 }) {
                #expect(text.english != text.chinese)
            }
        }
    }

    @Test func theHeadOfAnAnswerIsRead() {
        let head =
            "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n<html>"
        let answer = HTTPFinding(head: Array(head.utf8), time: .zero)
        #expect(answer?.status == 302)
        #expect(answer?.location == "http://portal.test/")
        #expect(answer?.date == 784_111_777)
        #expect(answer?.isAdit == false)
        #expect(
            HTTPFinding(head: Array("HTTP/1.1 404 N\r\nadit-error: ADIT-222\r\n\r\n".utf8), time: .zero)?.isAdit == true
        )
        for text in ["", "SSH-2.0-x\r\n", "HTTP/1.1", "HTTP/1.1 9 x\r\n\r\n", "HTTP/1.1 999 x\r\n\r\n", "\u{0}\u{1}"] {
            #expect(HTTPFinding(head: Array(text.utf8), time: .zero) == nil)
        }
        #expect(HTTPFinding.unixTime(of: "Thu, 01 Jan 1970 00:00:00 GMT") == 0)
        #expect(HTTPFinding.unixTime(of: "Thu, 29 Feb 2024 12:00:00 GMT") == 1_709_208_000)
        #expect(HTTPFinding.unixTime(of: "yesterday") == nil)
        #expect(!HTTPFinding.isWhole(Array("HTTP/1.1 200 OK\r\nA: b\r\n".utf8)))
        #expect(HTTPFinding.isWhole(Array("HTTP/1.1 200 OK\r\nA: b\r\n\r\n".utf8)))
    }

    @Test func portsOfNamesAreReadFromTheAddressesOfTunnels() {
        #expect(DoctorSubject.port(of: "http://a.test:8080/x", "http://", 80) == 8080)
        #expect(DoctorSubject.port(of: "https://a.test", "https://", 443) == 443)
        #expect(DoctorSubject.port(of: "a.test:22", "https://", 443) == nil)
    }
}
