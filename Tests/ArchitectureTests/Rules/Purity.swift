// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// No clock, no randomness, no tasks and no output in the pure rooms.
enum Purity {
    static let forbidden = [
        "Date()", "Date.now", "ContinuousClock", "SuspendingClock", "clock_gettime", "SystemRandomNumberGenerator",
        ".random(", ".randomElement()", ".shuffled()", ".shuffle()", "Task {", "Task.detached", "Task(", "TaskGroup",
        "async let", "print(", "Thread", "DispatchQueue",
    ]

    static func check(_ file: SourceFile) -> [Finding] {
        guard let room = file.room, Imports.allowedInPureRooms[room] != nil else { return [] }
        return file.code.enumerated().flatMap { index, line in
            forbidden.filter { Tokens.contains(line, $0) }.map { token in
                Finding(path: file.path, line: index + 1, message: "\(token) in the pure room \(room)")
            }
        }
    }
}

/// Finding pieces of code in a line.
enum Tokens {
    /// Whether the piece is there and does not merely end a longer word.
    static func contains(_ line: String, _ token: String) -> Bool {
        var rest = line[...]
        let startsWord = token.first.map(isWord) ?? false
        while let found = rest.firstRange(of: token) {
            let before = line[..<found.lowerBound].last ?? " "
            if !(startsWord && isWord(before)) { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }

    static func isWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}
