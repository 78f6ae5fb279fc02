// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Each rule on a text that breaks it and on one that does not: a rule that cannot fail is worthless.
@Suite struct RuleTests {
    private func swift(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }

    @Test(arguments: [
        ("AditCore", "import NIOCore"), ("AditCore", "import AditWire"), ("AditCore", "import Foundation"),
        ("AditWire", "package import FoundationEssentials"), ("AditWire", "import struct Foundation.Data"),
        ("AditTunnel", "@preconcurrency import AditConfig"), ("AditTunnel", "import Glibc"),
        ("AditConfig", "import Dispatch"), ("AditTransport", "import AditConfig"), ("AditServer", "import AditClient"),
        ("AditClient", "import GRDB"), ("Unknown", "import AditCore"),
    ])
    func aForbiddenImportIsFound(room: String, line: String) {
        #expect(Imports.check(swift("Sources/\(room)/File.swift", "\n" + line)).map(\.line) == [2])
    }

    @Test(arguments: [
        ("AditWire/FRP", "import FoundationEssentials"), ("AditTunnel", "package import AditWire"),
        ("AditServer", "import GRDB"), ("AditCore", "// import NIOCore"), ("AditCore", "let text = \"import NIOCore\""),
    ])
    func anAllowedImportPasses(folder: String, line: String) {
        #expect(Imports.check(swift("Sources/\(folder)/File.swift", line)).isEmpty)
    }

    @Test(arguments: [
        "let now = Date()", "let clock = ContinuousClock()", "Int.random(in: 0..<9)", "Task { await run() }",
        "print(\"hello\")", "var generator = SystemRandomNumberGenerator()", "Task.detached { }",
    ])
    func impureCodeIsFoundInPureRoomsOnly(line: String) {
        #expect(Purity.check(swift("Sources/AditTunnel/File.swift", line)).count == 1)
        #expect(Purity.check(swift("Sources/AditTransport/File.swift", line)).isEmpty)
    }

    @Test(arguments: ["let isoDate = Update()", "// Date() is never read", "fingerprint(key)", "let note = \"Task {\""])
    func pureCodePasses(line: String) {
        #expect(Purity.check(swift("Sources/AditTunnel/File.swift", line)).isEmpty)
    }

    @Test(arguments: [
        "let a = try! load()", "let b = c as! D", "fatalError(\"no\")", "let d = e!", "f()!.g", "h[0]!", "i?.j!",
        "let k: String! = nil",
    ])
    func whatIsForcedIsFound(line: String) {
        #expect(Safety.checkForced(swift("Sources/AditCore/File.swift", line)).count == 1)
    }

    @Test(arguments: ["if a != b {}", "if !a {}", "x = (!y)", "if a!=b {}", "// no! never", "\"stop!\"", "a && !b"])
    func whatIsNotForcedPasses(line: String) {
        #expect(Safety.checkForced(swift("Sources/AditCore/File.swift", line)).isEmpty)
    }

    @Test func anUnexplainedPromiseAboutThreadsIsFound() {
        let bare = "import A\n\nfinal class A: @unchecked Sendable {\n    nonisolated(unsafe) var a = 1\n}"
        #expect(Safety.checkThreadPromises(swift("Sources/AditServer/A.swift", bare)).map(\.line) == [3, 4])
        let explained =
            "// Only touched on its event loop.\n@available(*, unavailable)\nfinal class A: @unchecked Sendable {}"
        #expect(Safety.checkThreadPromises(swift("Sources/AditServer/A.swift", explained)).isEmpty)
    }

    @Test(arguments: [
        "package struct A {", "package func a()", "package static let a = 1", "    package init(a: Int) {",
        "package final class A {", "package mutating func handle(_ input: Input)", "package init?(text: String)",
        "package var a: Int { 1 }", "public enum A {", "package subscript(a: Int) -> Int {",
        "@inlinable package func a()",
        "package private(set) var count = 0",
        "package func close()",
    ])
    func aMissingSummaryIsFound(line: String) {
        #expect(Documentation.checkSummaries(swift("Sources/AditCore/A.swift", "\n" + line)).map(\.line) == [2])
        #expect(Documentation.checkSummaries(swift("Sources/AditCore/A.swift", "// aside\n" + line)).count == 1)
        #expect(Documentation.checkSummaries(swift("Sources/AditCore/A.swift", "/// A summary.\n" + line)).isEmpty)
        #expect(Documentation.checkSummaries(swift("Sources/AditCore/A.swift", "/// A.\n@inlinable\n" + line)).isEmpty)
    }

    @Test(arguments: [
        "package static func < (left: A, right: A) -> Bool {", "package var description: String { text }",
        "package func encode(to encoder: any Encoder) throws {", "package init(from decoder: any Decoder) throws {",
        "package import AditCore", "func inner()", "package static func == (left: A, right: A) -> Bool {",
        "package func hash(into hasher: inout Hasher) {", "package typealias InboundIn = ByteBuffer",
        "package func channelRead(context: ChannelHandlerContext, data: NIOAny) {",
    ])
    func noSummaryIsAskedWhereAnotherProtocolGaveIt(line: String) {
        #expect(Documentation.checkSummaries(swift("Sources/AditCore/A.swift", line)).isEmpty)
    }

    @Test func aProtocolIsDocumentedWhereItIsDeclared() {
        let text = "/// A.\npackage protocol A {\n    /// B.\n    func b()\n    func c()\n}\n"
        let file = swift("Sources/AditServer/A.swift", text)
        #expect(Documentation.protocolRequirements(file).map(\.name) == ["b", "c"])
        #expect(Documentation.checkSummaries(file).map(\.line) == [5])
        let witness = swift("Sources/AditServer/B.swift", "package func b() {}")
        #expect(Documentation.checkSummaries(witness, requirements: ["b"]).isEmpty)
        #expect(Documentation.checkSummaries(witness).count == 1)
    }

    @Test func fieldsOfMessagesKeepTheNamesOfTheProtocol() {
        let field = "package var runID: String"
        #expect(Documentation.checkSummaries(swift("Sources/AditWire/FRP/A.swift", field)).isEmpty)
        #expect(Documentation.checkSummaries(swift("Sources/AditWire/Snappy/A.swift", field)).count == 1)
        #expect(Documentation.checkSummaries(swift("Sources/AditWire/FRP/A.swift", field + " { 1 }")).count == 1)
    }

    @Test func aLandingPageThatSaysNothingIsFound() {
        let empty = SourceFile(path: "A.md", text: "# ``A``\n")
        let wrong = SourceFile(path: "A.md", text: "# A\n\none\ntwo\nthree\n")
        let good = SourceFile(path: "A.md", text: "# ``A``\n\none\ntwo\nthree\n")
        #expect(Documentation.checkLandingPage(room: "A", page: nil).count == 1)
        #expect(Documentation.checkLandingPage(room: "A", page: empty).count == 1)
        #expect(Documentation.checkLandingPage(room: "A", page: wrong).count == 1)
        #expect(Documentation.checkLandingPage(room: "A", page: good).isEmpty)
    }

    @Test func aMissingLicenceIsFound() {
        for path in ["Sources/A/A.swift", "dev/check", "Makefile", "IntegrationTests/a.py", ".ci/run"] {
            #expect(Form.checkLicence(SourceFile(path: path, text: "nothing")).count == 2)
            let head = "#!/bin/sh\n# SPDX-FileCopyrightText: The Adit authors\n# SPDX-License-Identifier: Apache-2.0\n"
            #expect(Form.checkLicence(SourceFile(path: path, text: head)).isEmpty)
        }
        #expect(Form.checkLicence(SourceFile(path: "docs/wire.md", text: "nothing")).isEmpty)
    }

    @Test func aLongFileIsFound() {
        let line = "let a = 1\n"
        #expect(Form.checkLength(swift("A.swift", String(repeating: line, count: 701))).count == 1)
        #expect(Form.checkLength(swift("A.swift", String(repeating: line, count: 700))).isEmpty)
    }

    @Test func aDrawerIsFound() {
        #expect(Form.checkName(swift("Sources/AditCore/StringUtils.swift", "")).count == 1)
        #expect(Form.checkName(swift("Sources/AditCore/Utilization+Manager.swift", "")).count == 1)
        #expect(Form.checkName(swift("Sources/AditCore/CIDR.swift", "")).isEmpty)
    }

    @Test func unfinishedTextIsFound() {
        #expect(Form.checkUnfinished(swift("A.swift", "// TO" + "DO: later")).count == 1)
        #expect(Form.checkUnfinished(swift("A.swift", "let methodology = 1")).isEmpty)
    }

    @Test(arguments: [
        "try await Task.sleep(for: .seconds(1))", "usleep(5)", "Thread.sleep(forTimeInterval: 1)", "sleep(1)",
    ])
    func aSleepIsFound(line: String) {
        #expect(Form.checkSleeps(swift("Tests/A.swift", line)).count == 1)
        #expect(Form.checkSleeps(swift("Tests/A.swift", "// " + line)).isEmpty)
    }

    @Test func aFixedPortIsFound() {
        #expect(Form.checkFixedPorts(swift("Tests/A.swift", "b.bind(host: \"127.0.0.1\", port: 7000)")).count == 1)
        #expect(Form.checkFixedPorts(swift("Tests/A.swift", "b.bind(host: \"127.0.0.1\", port: 0)")).isEmpty)
        #expect(Form.checkFixedPorts(swift("Tests/A.swift", "let e = Endpoint(port: 7000)")).isEmpty)
    }

    @Test func codeIsToldFromCommentsAndStrings() {
        let lines = [
            "a /* b", "c */ d // e", "f(\"g // \\\" h\") i", "\"\"\"", "j // k", "\"\"\" + l", "#\"m \" n\"# o",
        ]
        #expect(
            SwiftText.withoutCommentsAndStrings(lines: lines)
                == ["a ", " d ", "f(\"\") i", "\"", "", "\" + l", "\"\" o"]
        )
    }

    @Test func makeTargetsAreRead() {
        #expect(
            Texts.promisedTargets("make demo\n$ make test ONCE=1\nuse `make fuzz`\nto make sure") == [
                "demo", "test", "fuzz",
            ]
        )
        #expect(Texts.targets(makefile: "A := 1\ndemo test: x\n\techo\nhelp: ## say\n") == ["demo", "test", "help"])
    }

    @Test func headingsAndLinksAreRead() {
        #expect(Texts.headingLevels("# A\n```\n# no\n```\n## B\n#C\n") == [1, 2])
        #expect(Texts.linkedFiles("[a](b.md) [c](https://d) [e](f.md#g)") == ["b.md", "f.md"])
    }
}
