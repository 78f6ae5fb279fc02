// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Glibc

/// What this process was started with.
enum ProcessFacts {
    /// The environment; of two entries with one name the first counts.
    static func environment() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let equals = pair.firstIndex(of: "=") {
                let name = String(pair[..<equals])
                if result[name] == nil { result[name] = String(pair[pair.index(after: equals)...]) }
            }
            entry += 1
        }
        return result
    }

    /// How to write for this person: standard output decides whether it is a terminal.
    static func style(_ environment: [String: String] = environment()) -> ScreenStyle {
        ScreenStyle(environment: environment, isTerminal: isatty(STDOUT_FILENO) == 1)
    }

    /// How to write to standard error.
    static func asideStyle(_ environment: [String: String] = environment()) -> ScreenStyle {
        ScreenStyle(environment: environment, isTerminal: isatty(STDERR_FILENO) == 1)
    }

    /// The folder of this device's state.
    static func home() throws(AditError) -> DeviceHome {
        try DeviceHome.locate(environment: environment(), isRoot: geteuid() == 0)
    }

    /// The name of this computer, for a device that is not told another.
    static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "device" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let first = name.prefix { $0 != "." }
        return first.isEmpty ? "device" : String(first)
    }
}
