// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient

/// Shorter ways to say a command: by the program's name, or by a target alone.
enum CommandLineRewrite {
    /// The arguments of `adit` that mean the same as this command line, whose first element is the program's path.
    ///
    /// A program called `frps` or `frpc` is that program; `adit 3000` is `adit http 3000`. In frp's roles flag names
    /// may be spelt with `_` or `-`, and a switch may be followed by `=false`.
    static func arguments(of commandLine: [String]) -> [String] {
        var arguments = Array(commandLine.dropFirst())
        switch commandLine.first?.split(separator: "/").last {
        case "frps": arguments.insert("frps", at: 0)
        case "frpc": arguments.insert("frpc", at: 0)
        default: break
        }
        if let first = arguments.first, isTarget(first) { arguments.insert("http", at: 0) }
        if arguments.first == "frps" || arguments.first == "frpc" {
            return arguments.prefix(1) + arguments.dropFirst().map(frpFlag)
        }
        return arguments
    }

    private static func isTarget(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "-") else { return false }
        let looksLikeOne =
            text.utf8.allSatisfy { (48...57).contains($0) } || text.contains(":") || text.hasPrefix("http://")
        return looksLikeOne && (try? TunnelTarget(parsing: text, scheme: .http)) != nil
    }

    /// Switches of frp's programs: they never take the next argument as their value.
    private static let switches: Set<String> = [
        "strict-config", "ue", "uc", "tls-enable", "disable-log-color", "tls-only", "enable-prometheus",
        "dashboard-tls-mode",
    ]

    private static func frpFlag(_ argument: String) -> String {
        guard argument.hasPrefix("--"), argument.count > 2 else { return argument }
        let equals = argument.firstIndex(of: "=") ?? argument.endIndex
        let name = argument[argument.index(argument.startIndex, offsetBy: 2)..<equals].map { $0 == "_" ? "-" : $0 }
        let rest = argument[equals...]
        if rest.isEmpty, switches.contains(String(name)) { return "--\(String(name))=true" }
        return "--\(String(name))\(rest)"
    }
}
