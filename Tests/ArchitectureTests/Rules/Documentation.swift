// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A summary on every declaration that other rooms can see, and a landing page for each room.
enum Documentation {
    private static let kinds: Set = [
        "func", "var", "let", "struct", "class", "enum", "protocol", "typealias", "actor", "macro", "associatedtype",
    ]
    private static let modifiers: Set = [
        "final", "static", "mutating", "nonmutating", "consuming", "borrowing", "indirect", "nonisolated", "lazy",
        "weak", "unowned", "convenience", "required", "async", "package(set)", "private(set)",
    ]

    /// Members that a protocol of the standard library or of another package asks for: their documentation is there.
    private static let witnesses: Set = [
        // Standard library
        "<", "==", "description", "debugDescription", "hash", "encode", "init(from", "init(rawValue", "rawValue",
        "next",
        "makeIterator", "RawValue", "allCases", "errorDescription",
        // NIO
        "InboundIn", "InboundOut", "OutboundIn", "OutboundOut", "allocator", "closeFuture", "pipeline", "localAddress",
        "remoteAddress", "parent", "eventLoop", "setOption", "getOption", "isWritable", "isActive", "_channelCore",
        "syncOptions", "localAddress0", "remoteAddress0", "channelRead0", "errorCaught0", "flush0", "read0",
        // swift-log
        "metadata", "logLevel", "log", "subscript(metadataKey",
        // ArgumentParser
        "configuration",
    ]

    /// Whether the line is a member of NIO's ChannelHandler or ChannelCore: both are known by their parameters.
    private static func isChannelMember(_ line: String) -> Bool {
        line.contains("(context: ChannelHandlerContext") || line.contains("promise: EventLoopPromise<Void>?)")
    }

    /// Whether the line is a stored property that is a field of one of frp's messages, whose names are frp's.
    private static func isMessageField(_ file: SourceFile, _ line: String) -> Bool {
        file.path.hasPrefix("Sources/AditWire/FRP/") && !line.contains("{")
            && ["package var ", "package let "].contains(where: line.contains)
    }

    /// Each `package` or `public` line without a summary; `requirements` are the names that Adit's own protocols ask for.
    static func checkSummaries(_ file: SourceFile, requirements: Set<String> = []) -> [Finding] {
        guard file.room != nil else { return [] }
        var found = file.code.enumerated().compactMap { index, line -> Finding? in
            guard let name = declaredName(line), !witnesses.contains(name), !requirements.contains(name),
                !isChannelMember(line), !isMessageField(file, line), !hasSummary(file, above: index)
            else { return nil }
            return Finding(path: file.path, line: index + 1, message: "no /// summary on \(name)")
        }
        for (index, name) in protocolRequirements(file) where !hasSummary(file, above: index) {
            found.append(
                Finding(path: file.path, line: index + 1, message: "no /// summary on the requirement \(name)")
            )
        }
        return found
    }

    /// The members that the `package` and `public` protocols of a file ask for, with the index of their line.
    static func protocolRequirements(_ file: SourceFile) -> [(index: Int, name: String)] {
        var inside = false
        return file.code.enumerated().compactMap { index, line in
            if line.hasPrefix("package protocol ") || line.hasPrefix("public protocol ") {
                inside = !line.contains("}")
            } else if line.hasPrefix("}") {
                inside = false
            } else if inside, line.hasPrefix("    "), line.dropFirst(4).first?.isLetter == true,
                let name = declaredName("package " + line)
            {
                return (index, name)
            }
            return nil
        }
    }

    /// The name that a `package` or `public` line declares; nil for other lines.
    static func declaredName(_ line: String) -> String? {
        guard ["package ", "public "].contains(where: line.contains) else { return nil }
        var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        while let first = words.first, first.hasPrefix("@") { words.removeFirst() }
        guard let access = words.first, access == "package" || access == "public" else { return nil }
        words.removeFirst()
        while let first = words.first, modifiers.contains(first) || first.hasPrefix("nonisolated") {
            words.removeFirst()
        }
        guard let kind = words.first else { return nil }
        if kind.hasPrefix("init") || kind.hasPrefix("subscript") {
            return String(kind.prefix { $0 != ":" && $0 != ")" }.filter { $0 != "?" })
        }
        guard kinds.contains(kind), words.count > 1 else { return nil }
        if ["<", "=="].contains(words[1]) { return words[1] }
        return String(words[1].prefix { !"(:=<".contains($0) })
    }

    private static func hasSummary(_ file: SourceFile, above index: Int) -> Bool {
        for line in file.lines[..<index].reversed() {
            let text = line.drop { $0 == " " }
            if text.hasPrefix("@") || text.hasPrefix("#if") { continue }
            return text.hasPrefix("///")
        }
        return false
    }

    /// A page `Sources/ROOM/ROOM.docc/ROOM.md` whose title is the room.
    static func checkLandingPage(room: String, page: SourceFile?) -> [Finding] {
        let path = "Sources/\(room)/\(room).docc/\(room).md"
        guard let page else { return [Finding(path: path, line: nil, message: "the room has no landing page")] }
        var found: [Finding] = []
        if page.lines.first != "# ``\(room)``" {
            found.append(Finding(path: path, line: 1, message: "the title is not # ``\(room)``"))
        }
        if page.lines.filter({ !$0.isEmpty && !$0.hasPrefix("#") }).count < 3 {
            found.append(Finding(path: path, line: nil, message: "the page explains nothing"))
        }
        return found
    }
}
