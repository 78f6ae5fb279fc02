// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import Testing

@testable import AditClient

@Suite struct ServerChoiceTests {
    private let folder = TemporaryFolder()
    private var home: DeviceHome { DeviceHome(path: folder.path) }
    private static let fingerprint = "SHA256:" + String(repeating: "A", count: 43)

    private func choose(
        _ server: String?,
        token: String? = nil,
        fingerprint: String? = nil
    ) throws -> ServerChoice {
        try ServerChoice.choose(server: server, token: token, fingerprint: fingerprint, home: home)
    }

    private func code(_ work: () throws -> ServerChoice) -> ErrorCode? {
        do {
            _ = try work()
            return nil
        } catch {
            return (error as? AditError)?.code
        }
    }

    @Test("Without a joined server there is none")
    func notJoined() {
        #expect(code { try choose(nil) } == .notJoined)
        #expect(code { try choose("other.example") } == .notJoined)
    }

    @Test("The server joined last is used, or the one that is named, each by its whole fingerprint")
    func joined() throws {
        var server = DeviceHomeTests.server("a.example", at: 1)
        try home.remember(server)
        server.host = "b.example"
        try home.remember(server)
        let pinned = ServerTrust.pinned(try #require(KeyFingerprint(Self.fingerprint)))
        #expect(try choose(nil).server.host == "b.example")
        #expect(try choose("a.example:7000").server.host == "a.example")
        #expect(try choose(nil).trust == pinned)
        #expect(code { try choose("a.example:7001") } == .notJoined)
    }

    @Test("A named server with a token is verified: by an authority, a fingerprint, or an invite")
    func token() throws {
        #expect(try choose("s.example", token: "t").trust == .publicAuthorities(name: "s.example"))
        let pinned = ServerTrust.pinned(try #require(KeyFingerprint(Self.fingerprint)))
        #expect(try choose("s.example", token: "t", fingerprint: Self.fingerprint).trust == pinned)
        let key = KeyFingerprint(of: [1, 2, 3])
        let invite = InviteCode(server: HostPort(host: "s.example", port: 7000), secret: Array(1...8), fingerprint: key)
        for text in [invite.text, String(invite.text.drop { $0 != "/" }.dropFirst())] {
            let choice = try choose("s.example", token: text)
            #expect(choice.trust == .pinnedPrefix(key.prefix80))
            guard case .device(_, let secret) = choice.credentials else {
                Issue.record("an invite is proven by the device's key")
                return
            }
            #expect(secret == Array(1...8))
        }
    }

    @Test("What cannot be verified or understood is refused")
    func refuses() {
        #expect(code { try choose("s.example", token: "") } == .tokenRefused)
        #expect(code { try choose("s.example", token: "t", fingerprint: "SHA256:x") } == .usage)
        #expect(code { try choose("s.example", fingerprint: Self.fingerprint) } == .usage)
        #expect(code { try choose("a b", token: "t") } == .usage)
        #expect(code { try choose(nil, token: "t") } == .usage)
    }
}
