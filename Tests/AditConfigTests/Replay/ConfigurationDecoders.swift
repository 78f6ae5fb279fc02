// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore

/// What the fuzzer and the replay of its corpus feed to the readers of this room.
enum ConfigurationDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "ConfigurationTOML": { read($0, "fuzz.toml") },
        "ConfigurationYAML": { read($0, "fuzz.yaml") },
        "ConfigurationJSON": { read($0, "fuzz.json") },
        "ConfigurationINI": { read($0, "fuzz.ini") },
        "ConfigurationGuessed": { read($0, "fuzz") },
    ]

    /// Reads the bytes as every kind of file; a fault has to be one that can be shown.
    static func read(_ bytes: [UInt8], _ name: String) {
        let environment = ["HOME": "/home/somebody", "PORT": "7000"]
        check { _ = try ConfigurationFile.loadServer(bytes: bytes, fileName: name) }
        check { _ = try ConfigurationFile.loadClient(bytes: bytes, fileName: name) }
        check { _ = try ConfigurationFile.loadFRPServer(bytes: bytes, fileName: name, environment: environment) }
        check { _ = try ConfigurationFile.loadFRPClient(bytes: bytes, fileName: name, environment: environment) }
    }

    private static func check(_ reader: () throws -> Void) {
        do {
            try reader()
        } catch let faults as ConfigurationFaults {
            precondition(faults.faults.allSatisfy { !$0.what.english.isEmpty && !$0.what.chinese.isEmpty })
            precondition(!faults.error.what.english.isEmpty, "a fault can be shown")
        } catch {
            preconditionFailure("another error than a fault: \(error)")
        }
    }
}
