// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension ConfigurationFormat {
    /// The format that the file's name says; nil when it says none.
    package init?(fileName: String) {
        let name = fileName.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        switch name[name.index(after: dot)...].lowercased() {
        case "toml": self = .toml
        case "yaml", "yml": self = .yaml
        case "json": self = .json
        case "ini": self = .ini
        default: return nil
        }
    }

    /// The format that a text looks like.
    ///
    /// A `[common]` section is frp's INI; a brace at the start is JSON; else the first line that is neither blank nor a
    /// comment decides between TOML (`[` or `key =`) and YAML.
    init(guessing text: SourceText) {
        if text.hasCommonSection {
            self = .ini
            return
        }
        for slice in text.bytes.split(separator: 10) {
            let line = slice.drop { $0 == 32 || $0 == 9 || $0 == 13 }
            guard let first = line.first, first != 13, first != UInt8(ascii: "#"),
                first != UInt8(ascii: ";")
            else {
                continue
            }
            if first == UInt8(ascii: "{") {
                self = .json
            } else if first == UInt8(ascii: "[") {
                self = .toml
            } else if line.starts(with: "---".utf8) || line.starts(with: "- ".utf8)
                || line.starts(with: "%".utf8)
            {
                self = .yaml
            } else {
                let equals = line.firstIndex(of: UInt8(ascii: "=")) ?? .max
                let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? .max
                self = colon < equals ? .yaml : .toml
            }
            return
        }
        self = .toml
    }
}

extension SourceText {
    /// Whether a line of its own is `[common]`, which only frp's INI has.
    var hasCommonSection: Bool {
        bytes.split(separator: 10).contains { slice in
            var line = slice.drop { $0 == 32 || $0 == 9 }
            while let last = line.last, last == 32 || last == 9 || last == 13 { line.removeLast() }
            return line.elementsEqual("[common]".utf8)
        }
    }
}
