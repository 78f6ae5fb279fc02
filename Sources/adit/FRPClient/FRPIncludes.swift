// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import ArgumentParser
import Glibc

/// The files that a configuration of frpc includes: patterns of file names, each in one folder.
enum FRPIncludes {
    /// The paths that the patterns match, sorted in each folder; as in frp a relative one begins where the process is.
    static func paths(_ patterns: [String], of file: String) throws -> [String] {
        var paths: [String] = []
        for pattern in patterns {
            let slash = pattern.lastIndex(of: "/")
            let folder = slash.map { String(pattern[..<$0]) } ?? "."
            let name = slash.map { String(pattern[pattern.index(after: $0)...]) } ?? pattern
            guard !folder.contains(where: { "*?[".contains($0) }) else {
                throw FRPClientSource.failure("\(file): includes: only the file name may be a pattern: \(pattern)")
            }
            let matches = SmallFile.entries(of: folder.isEmpty ? "/" : folder)
                .filter { fnmatch(name, $0, FNM_PERIOD) == 0 }.sorted()
            paths += matches.map { "\(folder)/\($0)" }
            guard paths.count <= 1000 else {
                throw FRPClientSource.failure("\(file): includes: more than 1000 files")
            }
        }
        return paths
    }
}
