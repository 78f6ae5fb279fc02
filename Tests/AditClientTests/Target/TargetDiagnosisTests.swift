// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditClient

@Suite struct TargetDiagnosisTests {
    private static let web = TunnelTarget(scheme: .http, host: "localhost", port: 3000)

    private static func port(_ address: String, _ port: UInt16, _ process: String?) throws -> ListeningPort {
        ListeningPort(IPEndpoint(try #require(IPAddress(address)), port), process: process)
    }

    private static func error(_ health: TargetHealth) throws -> AditError {
        guard case .fails(let error) = health else { throw Missing() }
        return error
    }

    private struct Missing: Error {}

    @Test("When nothing listens, what does is listed, and the likely one proposed")
    func nothingListens() throws {
        let diagnosis = TargetDiagnosis(
            listening: [
                try Self.port("127.0.0.1", 5432, "postgres"), try Self.port("::1", 5173, "node"),
                try Self.port("0.0.0.0", 8080, "java"), try Self.port("192.168.1.5", 9999, "x"),
            ],
            isInContainer: false
        )
        let error = try Self.error(diagnosis.health(.failed(.refused), of: Self.web, command: "http"))
        #expect(error.code == .nothingListens)
        #expect(error.what.english == "nothing answers on localhost:3000")
        #expect(error.why.first?.english == "listening here: 5173 node · 5432 postgres · 8080 java")
        #expect(error.fix?.english == "did you mean:  adit http 5173")
    }

    @Test("Without a likely port no port is proposed")
    func noProposal() throws {
        let diagnosis = TargetDiagnosis(
            listening: [try Self.port("127.0.0.1", 5432, "postgres")],
            isInContainer: false
        )
        let error = try Self.error(diagnosis.health(.failed(.refused), of: Self.web, command: "http"))
        #expect(error.fix?.english == "start the app; the tunnel opens by itself")
    }

    @Test("Of an address that refused and a family that is not there, the refusal counts")
    func familyAway() {
        let away = TargetFailure.other("connect(descriptor:addr:size:): Cannot assign requested address (errno: 99)")
        #expect(TargetDialer.moreTelling(.refused, away) == .refused)
        #expect(TargetDialer.moreTelling(away, .refused) == .refused)
        #expect(TargetDialer.moreTelling(.timedOut, .refused) == .timedOut)
        #expect(TargetDialer.moreTelling(.unresolved("localhost"), away) == away)
    }

    @Test("Another address of this machine is named")
    func otherAddress() throws {
        let diagnosis = TargetDiagnosis(
            listening: [try Self.port("192.168.1.5", 3000, "node")],
            isInContainer: false
        )
        let error = try Self.error(diagnosis.health(.failed(.refused), of: Self.web, command: "http"))
        #expect(error.code == .otherAddress)
        #expect(error.fix?.english == "adit http 192.168.1.5:3000")
    }

    @Test("IPv6's loopback is another address when IPv4's was said")
    func otherLoopback() throws {
        let diagnosis = TargetDiagnosis(listening: [try Self.port("::1", 3000, "node")], isInContainer: false)
        let target = TunnelTarget(scheme: .http, host: "127.0.0.1", port: 3000)
        let error = try Self.error(diagnosis.health(.failed(.refused), of: target, command: "http"))
        #expect(error.fix?.english == "adit http [::1]:3000")
    }

    @Test("In a container its host and its neighbours are proposed")
    func container() throws {
        let diagnosis = TargetDiagnosis(listening: [], isInContainer: true)
        let error = try Self.error(diagnosis.health(.failed(.refused), of: Self.web, command: "http"))
        #expect(error.code == .refusedInContainer)
        #expect(error.fix?.english.contains("host.docker.internal:3000") == true)
    }

    @Test("TLS where HTTP was said gives the corrected command, and the reverse")
    func scheme() throws {
        let diagnosis = TargetDiagnosis(listening: [], isInContainer: false)
        let secure = try Self.error(diagnosis.health(.speaksTLS, of: Self.web, command: "http"))
        #expect(secure.code == .wrongScheme)
        #expect(secure.fix?.english == "adit http https://localhost:3000")
        let target = TunnelTarget(scheme: .https, host: "localhost", port: 3000)
        let clear = try Self.error(diagnosis.health(.speaksClear, of: target, command: "http"))
        #expect(clear.fix?.english == "adit http http://localhost:3000")
    }

    @Test("The beginning of an answer tells the status, TLS or neither")
    func judges() {
        let after = Duration.milliseconds(3)
        #expect(
            TargetProbe.judge(Array("HTTP/1.1 204 No Content\r\n".utf8), after: after)
                == .answered(status: 204, after: after, start: "HTTP/1.1 204 No Content\r\n")
        )
        #expect(TargetProbe.judge([0x15, 0x03, 0x01, 0x00, 0x02], after: after) == .speaksTLS)
        #expect(
            TargetProbe.judge(
                Array("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".utf8),
                after: after
            ) == .speaksTLS
        )
        #expect(TargetProbe.judge(Array("SSH-2.0-OpenSSH_9.6\r\n".utf8), after: after) == .silent(after: after))
        #expect(TargetProbe.judge([], after: after) == .silent(after: after))
        #expect(TargetProbe.judge(Array("HTTP/1.1 2x4 ?\r\n".utf8), after: after) == .silent(after: after))
    }

    @Test("An app that takes its own name only is recognized")
    func hostCheck() {
        func answer(_ status: Int, _ text: String) -> ProbeResult {
            .answered(status: status, after: .zero, start: text)
        }
        let blocked = answer(403, "HTTP/1.1 403 Forbidden\r\n\r\nBlocked request. This host is not allowed.")
        let fine = answer(200, "HTTP/1.1 200 OK\r\n\r\nhello")
        let error = HostCheck.rejection(publicName: blocked, ownName: fine, target: Self.web)
        #expect(error?.code == .hostRejected)
        #expect(error?.why.first?.english == "it checks the Host header; sending localhost:3000 instead")
        #expect(HostCheck.rejection(publicName: fine, ownName: fine, target: Self.web) == nil)
        #expect(HostCheck.rejection(publicName: blocked, ownName: blocked, target: Self.web) == nil)
        #expect(HostCheck.rejection(publicName: answer(403, "no"), ownName: fine, target: Self.web) == nil)
    }
}
