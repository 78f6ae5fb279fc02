// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import Foundation
import Logging
import Testing

struct LogTests {
    @Test func linesHaveTheFormThatScriptsWaitFor() throws {
        let lines = try written(.frp) { log in
            log.info("[web] start proxy success", metadata: ["run": "abc", "proxy": "me.web"])
            log.warning("careful")
        }
        let pattern = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (.*)/
        let rests = lines.compactMap { $0.wholeMatch(of: pattern)?.output.1 }
        #expect(rests == ["[I] [test] [abc] [me.web] [web] start proxy success", "[W] [test] careful"])
    }

    @Test func aditsLinesCarryTheirFactsInOrder() throws {
        let lines = try written(.adit) { $0.info("device joined", metadata: ["device": "nas", "by": "invite"]) }
        #expect(lines.first?.hasSuffix(" info  test  device joined  by=invite  device=nas") == true)
    }

    @Test func whatComesFromOutsideCannotForgeALine() throws {
        let lines = try written(.adit) { log in
            log.info("name \u{1B}[31mred\u{7F}\r\n2026 [I] forged", metadata: ["x": "a\nb\u{202E}c"])
            log.info("\(String(repeating: "x", count: 10_000))")
        }
        #expect(lines.count == 2)
        #expect(lines[0].hasSuffix("name ?[31mred???2026 [I] forged  x=a?b?c"))
        #expect(lines[1].count <= LineLogHandler.maximumLength)
    }

    @Test func theLevelOfAllLoggersChangesAtOnce() throws {
        let lines = try written(.adit) { log in
            var other = log
            log.debug("not yet")
            other.logLevel = .debug
            log.debug("now")
        }
        #expect(lines.count == 1)
    }

    private func written(_ style: LineLogHandler.Style, _ body: (Logger) -> Void) throws -> [String] {
        let path = NSTemporaryDirectory() + "/adit-log-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let output = try #require(LogOutput.file(path, maxDays: 3))
        body(Logger(label: "test") { LineLogHandler(label: $0, style: style, output: output) })
        output.flush()
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return text.split(separator: "\n").map(String.init)
    }
}
