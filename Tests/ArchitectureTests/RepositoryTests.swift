// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The rules applied to the repository itself.
@Suite struct RepositoryTests {
    private func expectNone(_ findings: [Finding]) {
        if !findings.isEmpty { Issue.record(Comment(rawValue: findings.map(\.description).joined(separator: "\n"))) }
    }

    @Test func theRepositoryIsFound() {
        #expect(Repository.sources.count > 10)
        #expect(Repository.tests.contains { $0.path == "Tests/ArchitectureTests/RepositoryTests.swift" })
    }

    @Test func importsFollowTheArrows() {
        expectNone(Repository.sources.flatMap(Imports.check))
    }

    @Test func pureRoomsReadNoClockAndStartNothing() {
        expectNone(Repository.sources.flatMap(Purity.check))
    }

    @Test func nothingIsForced() {
        expectNone(Repository.sources.flatMap(Safety.checkForced))
    }

    @Test func promisesAboutThreadsAreExplained() {
        expectNone(Repository.sources.flatMap(Safety.checkThreadPromises))
    }

    @Test func whatCrossesRoomsHasASummary() {
        let requirements = Set(Repository.sources.flatMap { Documentation.protocolRequirements($0).map(\.name) })
        expectNone(Repository.sources.flatMap { Documentation.checkSummaries($0, requirements: requirements) })
    }

    @Test func everyRoomHasALandingPage() {
        let rooms = Set(Repository.sources.filter { $0.name.hasSuffix(".swift") }.compactMap(\.room)).sorted()
        #expect(rooms.count > 5)
        for room in rooms {
            let page = Repository.file("Sources/\(room)/\(room).docc/\(room).md")
            expectNone(Documentation.checkLandingPage(room: room, page: page))
        }
    }

    @Test func everyProgramTextCarriesTheLicence() {
        expectNone(Repository.everything.flatMap(Form.checkLicence))
        #expect(Repository.file("LICENSE")?.text.contains("Apache License") == true)
    }

    @Test func filesAreShortAndNamedForWhatTheyHold() {
        expectNone(Repository.everything.flatMap(Form.checkLength))
        expectNone((Repository.sources + Repository.tests).flatMap(Form.checkName))
        expectNone(Repository.everything.flatMap(Form.checkUnfinished))
    }

    @Test func testsDoNotSleepAndHaveNoFixedPorts() {
        expectNone(Repository.tests.flatMap(Form.checkSleeps))
        expectNone(Repository.tests.flatMap(Form.checkFixedPorts))
    }

    @Test func theReadmePromisesWhatTheMakefileHas() throws {
        let makefile = try #require(Repository.file("Makefile"))
        let targets = Texts.targets(makefile: makefile.text)
        #expect(targets.isSuperset(of: ["demo", "test", "build", "release", "lint", "bench", "fuzz", "docs", "help"]))
        for name in ["README.md", "README.zh-CN.md"] {
            let readme = try #require(Repository.file(name))
            let promised = Texts.promisedTargets(readme.text)
            #expect(promised.isSuperset(of: ["demo", "test"]))
            #expect(targets.isSuperset(of: promised), "\(name) promises \(promised.subtracting(targets))")
        }
    }

    @Test func bothReadmesHaveTheSameShape() throws {
        let english = try #require(Repository.file("README.md"))
        let chinese = try #require(Repository.file("README.zh-CN.md"))
        #expect(Texts.headingLevels(english.text) == Texts.headingLevels(chinese.text))
    }

    @Test func linksBetweenTheTextsLeadSomewhere() throws {
        for path in ["README.md", "README.zh-CN.md", "CHANGELOG.md", "docs/architecture.md", "docs/wire.md"] {
            let file = try #require(Repository.file(path))
            let folder = Repository.root.appending(path: path).deletingLastPathComponent()
            for link in Texts.linkedFiles(file.text) {
                let target = folder.appending(path: link).path(percentEncoded: false)
                #expect(FileManager.default.fileExists(atPath: target), "\(path) links to \(link)")
            }
        }
    }

    @Test func whatTheFuzzersShareWithTheTestsIsThere() throws {
        let sources = Repository.root.appending(path: "FuzzTesting/Sources")
        var links = 0
        for folder in [sources, sources.appending(path: "fuzz")] {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)) {
                let path = folder.appending(path: name).path(percentEncoded: false)
                guard (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil else { continue }
                links += 1
                #expect(FileManager.default.fileExists(atPath: path), "\(name) leads nowhere")
            }
        }
        #expect(links >= 10)
    }

    @Test func theChangelogHasWhatIsNotReleasedYet() throws {
        let changelog = try #require(Repository.file("CHANGELOG.md"))
        #expect(changelog.text.contains("## [Unreleased]"))
    }

    @Test func exampleConfigurationsExist() {
        let examples = Repository.files(under: "conf").map(\.name)
        #expect(examples.contains { $0.hasPrefix("adit-server") })
        #expect(examples.contains { $0.hasPrefix("adit-client") })
        #expect(examples.contains { $0.hasPrefix("frps") })
        #expect(examples.contains { $0.hasPrefix("frpc") })
    }
}
