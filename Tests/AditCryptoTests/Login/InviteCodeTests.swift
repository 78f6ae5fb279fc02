// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import Testing

@Suite struct InviteCodeTests {
    private static let fingerprint = KeyFingerprint(of: Array("server public key".utf8))
    private static let secret = bytes("0123456789abcdef")
    private static let code = "028T-5CY4-TQKF-F9MC-6HGJ-PZ45-RMP3-2"

    @Test func `writes the code that docs describe`() {
        let server = HostPort(host: "demo.example", port: 7000)
        let invite = InviteCode(server: server, secret: Self.secret, fingerprint: Self.fingerprint)
        #expect(invite.text == "demo.example/" + Self.code)
    }

    struct Spelling: Sendable {
        let text: String
        let server: HostPort
    }

    private static let spellings = [
        Spelling(text: "demo.example/\(code)", server: HostPort(host: "demo.example", port: 7000)),
        Spelling(text: "demo.example:443/\(code)", server: HostPort(host: "demo.example", port: 443)),
        Spelling(text: "192.0.2.1/\(code)", server: HostPort(host: "192.0.2.1", port: 7000)),
        Spelling(text: "[2001:db8::1]/\(code)", server: HostPort(host: "2001:db8::1", port: 7000)),
        Spelling(text: "[2001:db8::1]:7001/\(code)", server: HostPort(host: "2001:db8::1", port: 7001)),
        Spelling(text: "h/028t5cy4tqkff9mc6hgjpz45rmp32", server: HostPort(host: "h", port: 7000)),
        Spelling(text: "  h/o28T-5cy4-TQKF-F9MC-6HGJ-PZ45-RMP32\n", server: HostPort(host: "h", port: 7000)),
    ]

    @Test(arguments: spellings) func `reads every spelling that a person may paste`(spelling: Spelling) throws {
        let invite = try InviteCode(spelling.text)
        #expect(invite.server == spelling.server)
        #expect(invite.secret == Self.secret)
        #expect(invite.fingerprintPrefix == Self.fingerprint.prefix80)
        #expect(try InviteCode(invite.text) == invite)
    }

    @Test func `reads O as 0 and I and L as 1`() throws {
        let ones = try InviteCode("h/0111-1111-1111-1111-1111-1111-1111-1")
        #expect(try InviteCode("h/oIlL-iiii-llll-IIII-LLLL-1il1-1111-1") == ones)
    }

    struct Fault: Sendable {
        let text: String
        let fault: InviteFault
    }

    private static let faults = [
        Fault(text: "", fault: .empty),
        Fault(text: " \n", fault: .empty),
        Fault(text: code, fault: .noSlash),
        Fault(text: "/" + code, fault: .address("")),
        Fault(text: "https://h/" + code, fault: .address("https:")),
        Fault(text: "h:0/" + code, fault: .address("h:0")),
        Fault(text: "a b/" + code, fault: .address("a b")),
        Fault(text: "h/028T-5CY4-TQKF-F9MC-6HGJ-PZ45-RMP3-U", fault: .character("U")),
        Fault(text: "h/028T 5CY4", fault: .character(" ")),
        Fault(text: "h/028T-é", fault: .character("é")),
        Fault(text: "h/", fault: .codeLength(0)),
        Fault(text: "h/" + code.dropLast(), fault: .codeLength(28)),
        Fault(text: "h/" + code + "2", fault: .codeLength(30)),
        Fault(text: "h/" + String(repeating: "0", count: 500), fault: .codeLength(502)),
        Fault(text: "h/G28T-5CY4-TQKF-F9MC-6HGJ-PZ45-RMP3-2", fault: .newerVersion),
    ]

    @Test(arguments: faults) func `tells what is wrong`(example: Fault) {
        #expect(throws: example.fault) { try InviteCode(example.text) }
        #expect(!example.fault.error.why.isEmpty)
        #expect(example.fault.error.fix != nil)
    }

    @Test func `survives a round trip with random contents`() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let secret = (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let fingerprint = KeyFingerprint(of: secret)
            let invite = InviteCode(
                server: HostPort(host: "h", port: 7000),
                secret: secret,
                fingerprint: fingerprint
            )
            #expect(try InviteCode(invite.text) == invite)
            #expect(fingerprint.matches(prefix80: try InviteCode(invite.text).fingerprintPrefix))
        }
    }

    @Test func `does not show the secret`() throws {
        let invite = try InviteCode("h/" + Self.code)
        var shown = "\(invite)"
        dump(invite, to: &shown)
        #expect(!shown.contains("028T"))
        #expect(!shown.contains("171"))
    }
}
