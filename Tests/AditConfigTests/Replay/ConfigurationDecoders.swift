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
        let readers: [() throws(ConfigurationFaults) -> Void] = [
            { () throws(ConfigurationFaults) in _ = try ConfigurationFile.loadServer(bytes: bytes, fileName: name) },
            { () throws(ConfigurationFaults) in _ = try ConfigurationFile.loadClient(bytes: bytes, fileName: name) },
            { () throws(ConfigurationFaults) in
                _ = try ConfigurationFile.loadFRPServer(bytes: bytes, fileName: name, environment: environment)
            },
            { () throws(ConfigurationFaults) in
                _ = try ConfigurationFile.loadFRPClient(bytes: bytes, fileName: name, environment: environment)
            },
        ]
        for reader in readers {
            do throws(ConfigurationFaults) {
                try reader()
            } catch {
                precondition(error.faults.allSatisfy { !$0.what.english.isEmpty && !$0.what.chinese.isEmpty })
                precondition(!error.error.why.isEmpty || !error.error.what.english.isEmpty, "a fault can be shown")
            }
        }
    }
}
