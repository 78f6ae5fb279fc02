// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("Names of tunnels")
struct TunnelNameTests {
    @Test(
        "Only a label that every browser and certificate takes is a name",
        arguments: [
            ("calm-otter", nil), ("a", nil), ("3000", nil), (String(repeating: "x", count: 63), nil),
            ("", .nameInvalid),
            (String(repeating: "x", count: 64), .nameInvalid), ("Web", .nameInvalid), ("-web", .nameInvalid),
            ("web-", .nameInvalid), ("my.web", .nameInvalid), ("my_web", .nameInvalid), ("xn--bcher-kva", .nameInvalid),
            ("we\u{1b}b", .nameInvalid), ("www", .nameReserved), ("admin", .nameReserved), ("adit", .nameReserved),
        ] as [(String, ErrorCode?)]
    )
    func rules(_ name: String, _ code: ErrorCode?) {
        #expect(TunnelName.fault(in: name)?.code == code)
    }

    @Test(
        "A near name is proposed for a bad one",
        arguments: [
            ("My Web!", "my-web"), ("WWW", "my-www"), ("--a--b--", "a-b"), ("\u{4f60}\u{597d}", nil), ("", nil),
        ] as [(String, String?)]
    )
    func suggestion(_ name: String, _ expected: String?) {
        #expect(TunnelName.suggestion(for: name) == expected)
    }

    @Test("An invalid name is shown without control characters")
    func noEscapes() {
        #expect(TunnelName.fault(in: "a\u{1b}[31m")?.what.english == "The name a?[31m cannot be used")
    }

    @Test("The same seed invents the same names, all of them valid")
    func invented() {
        var one = NameGenerator(seed: 5)
        var two = NameGenerator(seed: 5)
        var seen: Set<String> = []
        for _ in 0..<500 {
            let name = one.next()
            let other = two.next()
            #expect(name == other)
            #expect(TunnelName.fault(in: name) == nil)
            seen.insert(name)
        }
        #expect(seen.count > 400)
    }

    @Test("When the short names are taken a longer one is found")
    func crowded() throws {
        var names = NameGenerator(seed: 9)
        let isShort = { (name: String) in name.split(separator: "-").count == 2 }
        let long = names.next(where: { !isShort($0) })
        #expect(TunnelName.fault(in: try #require(long)) == nil)
        let none = names.next(where: { _ in false })
        #expect(none == nil)
    }

    @Test("Alternatives are free and resemble the refused name")
    func alternatives() {
        var names = NameGenerator(seed: 3)
        let found = TunnelName.alternatives(to: "web", using: &names, isFree: { $0 != "web-2" })
        #expect(found.count == 3)
        #expect(found.prefix(2) == ["web-3", "web-4"])
        #expect(found.allSatisfy { TunnelName.fault(in: $0) == nil })
    }
}
