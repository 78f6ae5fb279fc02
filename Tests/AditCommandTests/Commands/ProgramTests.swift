// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Runs the program itself.
@Suite(.timeLimit(.minutes(2))) struct ProgramTests {
    private struct Result {
        var code: Int32
        var output: String
        var errors: String
    }

    /// The program beside the bundle of tests.
    private static let program = Bundle.main.bundleURL.appendingPathComponent("adit").path

    private let folder = FileManager.default.temporaryDirectory.path + "/adit-\(UUID().uuidString)"

    private func run(
        _ arguments: [String],
        program: String = Self.program,
        environment: [String: String] = [:]
    ) async throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = environment
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { process in
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                let problems = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                continuation.resume(
                    returning: Result(code: process.terminationStatus, output: text, errors: problems)
                )
            }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
    }

    @Test("It runs with an empty environment and answers with the right exit codes")
    func emptyEnvironment() async throws {
        let page = try await run(["explain", "201"])
        #expect(page.code == 0 && page.output.hasPrefix("ADIT-201"))
        #expect(page.output.utf8.allSatisfy { $0 < 128 })
        #expect(try await run(["nonsense"]).code == 2)
        let risky = try await run(["tcp", "22"])
        #expect(risky.code == 1 && risky.output.isEmpty && risky.errors.hasPrefix("! ADIT-501"))
    }

    @Test("Without a joined server it says so, in the system's language")
    func notJoined() async throws {
        let environment = ["ADIT_HOME": folder, "LANG": "zh_CN.UTF-8"]
        let result = try await run(["3000"], environment: environment)
        #expect(result.code == 1 && result.errors.contains("ADIT-116  本机尚未加入服务器"))
        try? FileManager.default.removeItem(atPath: folder)
    }

    @Test("Several processes that start at once make one key between them, and exit with 3 when nothing answers")
    func keyRace() async throws {
        let environment = ["ADIT_HOME": folder]
        let arguments = ["http", "3000", "--server", "127.0.0.1:1", "--token", "x", "--once"]
        try await withThrowingTaskGroup(of: Result.self) { group in
            for _ in 0..<4 { group.addTask { try await run(arguments, environment: environment) } }
            for try await result in group {
                #expect(result.code == 3)
                #expect(result.errors.contains("ADIT-101"))
                #expect(result.output.isEmpty)
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["device.key", "run"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/run").isEmpty)
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("Called through a link it is frpc, with frp's words and its one exit code")
    func frpcByName() async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let link = folder + "/frpc"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Self.program)
        #expect(try await run(["-v"], program: link).output == "0.70.1\n")
        let good = folder + "/good.ini"
        try "[common]\nserver_addr = 127.0.0.1\nserver_port = 1\n[web]\ntype = tcp\nlocal_port = 80\nremote_port = 81\n"
            .write(toFile: good, atomically: true, encoding: .utf8)
        let verified = try await run(["verify", "-c", good], program: link)
        #expect(verified.code == 0 && verified.output.hasSuffix("syntax is ok\n"))
        let failed = try await run(["-c", good], program: link)
        #expect(failed.code == 1 && failed.output.contains("login to the server failed"))
        let secret = folder + "/stcp.toml"
        try "[[proxies]]\nname = \"dns\"\ntype = \"stcp\"\nlocalPort = 53\nsecretKey = \"\"\n"
            .write(toFile: secret, atomically: true, encoding: .utf8)
        let refused = try await run(["verify", "-c", secret], program: link)
        #expect(refused.code == 1 && refused.output.isEmpty)
        #expect(refused.errors.contains("line 1: proxy [dns]: ADIT-901: no empty secret"))
        #expect(try await run(["-c", folder + "/missing"], program: link).code == 1)
    }
}
