// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where the kernel lab is: a Python package of Adit's source tree.
enum KernelLabPackage {
    /// Its folder in the source tree.
    static let path = "IntegrationTests/natlab"

    /// The package in the first of the folders, or of those above each, that has it; nil when none has.
    static func find(above folders: [String]) -> String? {
        for folder in folders where folder.hasPrefix("/") {
            var rest = folder[...]
            while true {
                let package = "\(rest)/\(path)"
                if access("\(package)/__main__.py", R_OK) == 0 { return package }
                guard let slash = rest.lastIndex(of: "/") else { break }
                rest = rest[..<slash]
            }
        }
        return nil
    }

    /// The working folder and that of the program.
    static func places() -> [String] {
        ["/proc/self/cwd", "/proc/self/exe"].compactMap { link in
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(link, &buffer, buffer.count)
            guard count > 0 else { return nil }
            return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    /// The path of this program; nil where the system does not tell.
    static func program() -> String? { places().last.flatMap { $0.hasPrefix("/") ? $0 : nil } }

    /// Whether the lab's command with these words changes anything in the kernel.
    static func needsRoot(_ words: [String]) -> Bool {
        !words.contains("--help") && !words.contains("-h") && words.first != "rules"
    }
}
