// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The arrows between the rooms.
enum Imports {
    /// All that a pure room may import.
    static let allowedInPureRooms: [String: Set<String>] = [
        "AditCore": [],
        "AditWire": ["AditCore", "CExpat"],
        "AditCrypto": ["AditCore", "CAditCrypto", "Crypto"],
        "AditTunnel": ["AditCore", "AditWire", "AditCrypto"],
        "AditTraversal": ["AditCore", "AditWire", "AditCrypto"],
        "AditLab": ["AditCore", "AditWire", "AditCrypto", "AditTraversal"],
        "AditConfig": ["AditCore", "TOMLKit", "Yams", "FoundationEssentials"],
    ]

    /// The rooms and libraries that a room with sockets must not import.
    static let forbiddenElsewhere: [String: Set<String>] = [
        "AditTransport": ["AditConfig", "AditLab", "AditServer", "AditClient", "adit", "GRDB", "ArgumentParser"],
        "AditServer": ["AditClient", "AditLab", "adit", "ArgumentParser"],
        "AditClient": ["AditServer", "AditLab", "adit", "ArgumentParser", "GRDB"],
        "adit": ["GRDB"],
    ]

    static func check(_ file: SourceFile) -> [Finding] {
        guard let room = file.room else { return [] }
        return importedModules(file).compactMap { line, module in
            let refused: Bool
            if let allowed = allowedInPureRooms[room] {
                let json = room == "AditWire" && file.path.contains("/FRP/") && module == "FoundationEssentials"
                refused = !allowed.contains(module) && !json
            } else {
                refused = forbiddenElsewhere[room]?.contains(module) ?? true
            }
            return refused ? Finding(path: file.path, line: line, message: "\(room) must not import \(module)") : nil
        }
    }

    static func importedModules(_ file: SourceFile) -> [(line: Int, module: String)] {
        let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
        return file.code.enumerated().compactMap { index, line in
            guard line.contains("import ") else { return nil }
            var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
                words[..<position].allSatisfy({
                    $0.hasPrefix("@") || ["package", "public", "internal", "private"].contains($0)
                })
            else { return nil }
            words.removeFirst(position + 1)
            if kinds.contains(words[0]), words.count > 1 { words.removeFirst() }
            return (index + 1, String(words[0].prefix { $0 != "." }))
        }
    }
}
