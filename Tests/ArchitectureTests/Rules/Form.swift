// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Heads, lengths and names of files, and what tests must not do.
enum Form {
    static let longestFile = 700

    /// Whether a file is a program text that carries a licence.
    static func carriesLicence(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        if ["swift", "c", "h", "py", "sh"].contains(where: { name.hasSuffix("." + $0) }) { return true }
        return !name.contains(".") && (path.hasPrefix("dev/") || path.hasPrefix(".ci/") || name == "Makefile")
    }

    static func checkLicence(_ file: SourceFile) -> [Finding] {
        guard carriesLicence(file.path) else { return [] }
        let head = file.lines.prefix(4).joined(separator: "\n")
        let wanted = ["SPDX-FileCopyrightText: The Adit authors", "SPDX-License-Identifier: Apache-2.0"]
        return wanted.filter { !head.contains($0) }.map {
            Finding(path: file.path, line: 1, message: "no line \($0)")
        }
    }

    static func checkLength(_ file: SourceFile) -> [Finding] {
        guard carriesLicence(file.path), file.lines.count > longestFile + 1 else { return [] }
        return [Finding(path: file.path, line: nil, message: "\(file.lines.count) lines, at most \(longestFile)")]
    }

    static func checkName(_ file: SourceFile) -> [Finding] {
        let drawers = ["Util", "Manager", "Helper", "Misc"]
        guard let word = drawers.first(where: { file.name.contains($0) }) else { return [] }
        return [Finding(path: file.path, line: nil, message: "\(word) says nothing about what is inside")]
    }

    static func checkUnfinished(_ file: SourceFile) -> [Finding] {
        guard carriesLicence(file.path) else { return [] }
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
        return file.lines.enumerated().compactMap { index, line in
            guard let mark = marks.first(where: { Tokens.contains(line, $0) }) else { return nil }
            return Finding(path: file.path, line: index + 1, message: "\(mark) left in the text")
        }
    }

    static func checkSleeps(_ file: SourceFile) -> [Finding] {
        let sleeps = ["Task.sleep", "usleep(", "Thread.sleep", "nanosleep(", "sleep(", "sleep(for"]
        return file.code.enumerated().compactMap { index, line in
            guard let sleep = sleeps.first(where: { Tokens.contains(line, $0) }) else { return nil }
            return Finding(
                path: file.path,
                line: index + 1,
                message: "\(sleep): a test waits for an event, not for time"
            )
        }
    }

    static func checkFixedPorts(_ file: SourceFile) -> [Finding] {
        file.code.enumerated().compactMap { index, line in
            guard ["bind(", "listen("].contains(where: { Tokens.contains(line, $0) }) else { return nil }
            let after = line.components(separatedBy: "port:").dropFirst()
            let fixed = after.contains { piece in
                let digits = piece.drop { $0 == " " }.prefix { $0.isNumber || $0 == "_" }
                return !digits.isEmpty && digits != "0"
            }
            return fixed ? Finding(path: file.path, line: index + 1, message: "a fixed port") : nil
        }
    }
}
