// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// Whatever the bytes are, the answer is a configuration or faults with places, in bounded time and space.
@Suite struct RobustnessTests {
    /// Reads the bytes and checks what every answer has in common.
    private static func survive(_ bytes: [UInt8], _ name: String) {
        let faults = FaultTests.faults(bytes, name)
        #expect(faults.count <= 200)
        let lines = bytes.count { $0 == 10 } + 1
        for fault in faults
        where fault.position.line < 1 || fault.position.line > lines + 1 || fault.position.column < 1 {
            Issue.record("\(fault) lies outside the file")
        }
    }

    /// On some of these the TOML library by itself would stop the program.
    @Test(arguments: ["[[[x", "[[[x]]]", "[[x]", "[ [x] ]", "[[]]", "a = [", "a = {", "= 1", "[x]]"])
    func unfinishedTOMLIsAFault(_ text: String) {
        #expect(!FaultTests.faults(Array(text.utf8), "frpc.toml").isEmpty)
    }

    @Test(arguments: Example.names)
    func everyTruncationIsAnswered(_ name: String) throws {
        let bytes = try Example.bytes(name)
        // Comments are most of an example; inside them one cut is like the next.
        var inComment = false
        for end in bytes.indices {
            if bytes[end] == 10 { inComment = false }
            if !inComment { Self.survive(Array(bytes[..<end]), name) }
            if bytes[end] == UInt8(ascii: "#") || bytes[end] == UInt8(ascii: ";") { inComment = true }
        }
    }

    @Test(arguments: Example.names)
    func everyMutationIsAnswered(_ name: String) throws {
        let bytes = try Example.bytes(name)
        var generator = SeededGenerator(seed: 0xAD17)
        let pieces = [
            "[", "]", "{", "}", "\"", "'", "\"\"\"", "\\", "=", ":", ",", "-", "*", "&", "#", "\n", "\t", "{{", "}}",
            "<<",
            "!", "|", ">", "%", "@", "`", "?", "é", "\u{2028}", "999999999999999999999", "[[", "]]", ".", "- ", "---\n",
        ].map { Array($0.utf8) }
        for _ in 0..<150 {
            var mutated = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0...mutated.count, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0:
                    mutated.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: place)
                case 1 where place < mutated.count:
                    mutated[place] = UInt8.random(in: 0...255, using: &generator)
                case 2 where place < mutated.count:
                    mutated[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                case 3:
                    let end = min(mutated.count, place + Int.random(in: 0...40, using: &generator))
                    mutated.removeSubrange(place..<end)
                default:
                    let end = min(mutated.count, place + Int.random(in: 0...80, using: &generator))
                    mutated.insert(
                        contentsOf: mutated[place..<end],
                        at: Int.random(in: 0...mutated.count, using: &generator)
                    )
                }
            }
            Self.survive(mutated, name)
        }
    }

    @Test func noiseIsAnsweredInEveryFormat() {
        var generator = SeededGenerator(seed: 7)
        let alphabet = Array("ab1 \n\t=:.,-[]{}\"'#&*!|>?%@`\\$<~\r".utf8)
        for _ in 0..<2000 {
            let count = Int.random(in: 0...60, using: &generator)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            for name in ["frpc.toml", "frpc.yaml", "frpc.json", "frpc.ini", "frpc"] { Self.survive(bytes, name) }
        }
    }

    private static func many(_ text: String, _ count: Int = 20_000) -> String {
        String(repeating: text, count: count)
    }

    private static var deepOrLong: [(text: String, name: String)] {
        var cases: [(text: String, name: String)] = []
        func add(_ name: String, _ text: String) { cases.append((text, name)) }
        add("a.toml", "a = " + many("["))
        add("a.toml", many("a.") + "a = 1")
        add("a.toml", "[" + many("a.") + "a]")
        add("a.toml", many("a.") + "é = 1")
        add("a.toml", "x = 1 y\n" + many("a.") + "a = 1")
        add("a.toml", "a = " + many("{a="))
        add("a.toml", many("[[a]]\n[a.b]\n", 5000))
        for piece in ["[", "{", "- ", "? ", "\""] { add("a.yaml", many(piece)) }
        for piece in ["a: ", "&a ", "!a ", "|\n "] { add("a.yaml", many(piece, 5000)) }
        add("a.json", many("["))
        add("a.json", many("{\"a\":"))
        add("a.json", "\"" + many("\\u0041"))
        add("a.ini", many("[a]\n"))
        add("a.ini", "[a]\n" + many("k=1\n"))
        add("a.ini", "[common]\n" + many("meta_a=1\n"))
        add("a.ini", "[common]\n" + (0..<20_000).map { "meta_\($0)=\n" }.joined())
        add("a.ini", "[a]\nk = " + many("\\\n"))
        add("a.ini", "[a]\nk = \"\"\"" + many("\n"))
        return cases
    }

    @Test(arguments: deepOrLong)
    func nestingAndLengthAreBounded(_ text: String, _ name: String) {
        do {
            _ = try ConfigurationFile.loadTree(bytes: Array(text.utf8), fileName: name)
        } catch {
            #expect(error.faults.count == 1)
        }
        Self.survive(Array(text.utf8), "frpc." + (name.split(separator: ".").last ?? ""))
    }

    /// Forty levels, each of which names the one below twice.
    private static func tower(_ base: String, _ level: (Int) -> String) -> String {
        (0..<40).map(level).reduce("a0: &a0 \(base)\n", +)
    }

    private static var bombs: [String] {
        let list = tower("[x, x]") { "a\($0 + 1): &a\($0 + 1)\n  - *a\($0)\n  - *a\($0)\n" }
        return [
            list,
            "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n*c : 1\n",
            list + "? *a40\n: 1\n",
            list + "[*a40, *a40] : 1\n",
            list + "z:\n  ? - *a40\n    - *a40\n  : 1\n",
            list + "z: {[*a40]: 1}\n",
            tower("{x: y}") { "a\($0 + 1): &a\($0 + 1)\n  <<: [*a\($0), *a\($0)]\n  k\($0): 1\n" },
            "a: &a\n  - *a\n", "a: *b\n", "a: &a {b: *a}\n",
        ]
    }

    @Test(arguments: bombs)
    func aliasesDoNotGrowWithoutABound(_ text: String) {
        #expect(FaultTests.faults(Array(text.utf8), "frps.yaml").isEmpty == false)
    }

    @Test func starsThatAreNoAliasesAreLeftAlone() throws {
        let text = """
            # all *.example.com & more *names
            .base: &base {type: http}
            serverAddr: a & b # *x
            proxies:
              - name: "* star"
                localPort: 1
                customDomains: ["*.example.com", '*.example.org']
                <<: *base # the base
            """
        let loaded = try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: "frpc.yaml")
        #expect(loaded.configuration.proxies.map(\.customDomains) == [["*.example.com", "*.example.org"]])
    }
}
