// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One text file of the repository.
struct SourceFile {
    /// The path from the root of the repository.
    let path: String
    let text: String
    /// The lines as written.
    let lines: [String]
    /// The lines of a Swift file without comments and string literals.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code = path.hasSuffix(".swift") ? SwiftText.withoutCommentsAndStrings(lines: lines) : []
    }

    /// The room that the file belongs to: the folder below `Sources`.
    var room: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
}

/// Something that breaks a rule.
struct Finding: Equatable, CustomStringConvertible {
    let path: String
    let line: Int?
    let message: String

    var description: String {
        path + (line.map { ":\($0)" } ?? "") + ": " + message
    }
}

/// The repository that these tests were compiled from.
struct Repository {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let sources = files(under: "Sources")
    static let tests = files(under: "Tests")
    static let everything =
        sources + tests
        + ["dev", ".ci", "conf", "docs", "IntegrationTests", "FuzzTesting", "Benchmarks", "Examples"]
        .flatMap(files(under:)) + ["Makefile", "Package.swift"].compactMap(file)

    /// The text file at a path; nil when it is not there or is not text.
    static func file(_ path: String) -> SourceFile? {
        guard let data = try? Data(contentsOf: root.appending(path: path)),
            let text = String(data: data, encoding: .utf8)
        else { return nil }
        return SourceFile(path: path, text: text)
    }

    /// The text files below a folder, without links and what a build leaves behind.
    static func files(under folder: String) -> [SourceFile] {
        let start = root.appending(path: folder).path(percentEncoded: false)
        guard let walk = FileManager.default.enumerator(atPath: start) else { return [] }
        var found: [SourceFile] = []
        while let path = walk.nextObject() as? String {
            let kind = walk.fileAttributes?[.type] as? FileAttributeType
            if kind == .typeDirectory, ["Corpus", "FailCases", "__pycache__"].contains(lastName(path)) || isBuild(path)
            {
                walk.skipDescendants()
            }
            guard kind == .typeRegular, let file = file(folder + "/" + path) else { continue }
            found.append(file)
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func lastName(_ path: String) -> String {
        String(path.split(separator: "/").last ?? "")
    }

    private static func isBuild(_ path: String) -> Bool {
        lastName(path).hasPrefix(".build") || lastName(path) == ".swiftpm"
    }
}
