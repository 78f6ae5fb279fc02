// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import Testing

@testable import AditServer

@Suite struct RequestReporterTests {
    private let loop = EmbeddedEventLoop()
    private let sent = NIOLockedValueBox<[AditRequestReport]>([])

    private func reporter() -> RequestReporter {
        RequestReporter(on: loop) { [sent] report in sent.withLockedValue { $0.append(report) } }
    }

    private func report(_ number: Int) -> AditRequestReport {
        AditRequestReport(proxyName: "web", method: "GET", path: "/\(number)", status: 200)
    }

    @Test func tellsOfEveryRequestWhileTheyAreFew() {
        let reporter = reporter()
        for number in 0..<100 {
            reporter.report(report(number))
            loop.advanceTime(by: .milliseconds(20))
        }
        #expect(sent.withLockedValue { $0.map(\.path) } == (0..<100).map { "/\($0)" })
        #expect(sent.withLockedValue { $0.allSatisfy { $0.omitted == 0 } })
    }

    @Test func tellsOfASampleWhenTheyAreManyAndCountsTheRest() {
        let reporter = reporter()
        for number in 0..<10_000 {
            reporter.report(report(number))
            if number % 10 == 9 { loop.advanceTime(by: .milliseconds(1)) }
        }
        loop.advanceTime(by: .seconds(1))
        let reports = sent.withLockedValue { $0 }
        #expect(reports.count <= 6 * RequestReporter.reportsPerWindow)
        #expect(reports.reduce(0) { $0 + 1 + $1.omitted } == 10_000)
        #expect(reports.last?.path == "/9999")
    }
}
