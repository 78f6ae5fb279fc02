// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads the keys of one table by name and kind, notes what is wrong with them, and at the end which were not asked for.
///
/// Each key is asked for in exactly one place, which makes the code that reads a schema the schema's only description.
final class ScopeReader {
    typealias Entry = ConfigurationTable.Entry

    let context: ReadingContext
    /// Where the table is, such as `proxies[2].transport`; empty at the top.
    let path: String
    /// What the table is, such as `proxies (http)`.
    private(set) var scope: String
    /// Where the table begins.
    let position: SourcePosition
    private var entries: [String: Entry] = [:]
    private var unread: [String: Entry] = [:]
    private var known: [String] = []

    init(
        _ table: ConfigurationTable,
        at position: SourcePosition,
        path: String,
        scope: String,
        _ context: ReadingContext
    ) {
        self.context = context
        self.path = path
        self.scope = scope
        self.position = position
        for entry in table.entries {
            let key = context.ignoresCase ? entry.key.lowercased() : entry.key
            if let earlier = entries[key] {
                // INI alone lets a key stand twice; there the later one counts, as in frp.
                if case .untyped = entry.node.value {
                    context.add(
                        Text("the key is there twice; this one counts", zh: "键重复;以此处为准"),
                        at: entry.keyPosition,
                        key: self.keyPath(entry),
                        severity: .warning
                    )
                } else {
                    context.add(
                        Text(
                            "\"\(SourceText.printable(entry.key))\" is the same key as \"\(SourceText.printable(earlier.key))\" in line \(earlier.keyPosition.line)",
                            zh:
                                "\"\(SourceText.printable(entry.key))\" 与第 \(earlier.keyPosition.line) 行的 \"\(SourceText.printable(earlier.key))\" 是同一个键"
                        ),
                        at: entry.keyPosition,
                        key: self.keyPath(entry)
                    )
                }
            }
            entries[key] = entry
        }
        unread = entries
    }

    /// Names the scope more exactly once its kind is known.
    func narrow(to scope: String) {
        self.scope = scope
        for key in known where context.isListing { context.listedKeys.add(key, to: scope) }
    }

    /// The entry of a key, whatever its value.
    func entry(_ key: String) -> Entry? {
        if !known.contains(key) { known.append(key) }
        if context.isListing { context.listedKeys.add(key, to: scope) }
        let folded = context.ignoresCase ? key.lowercased() : key
        unread[folded] = nil
        guard let entry = entries[folded], entry.node.value != .null else { return nil }
        return entry
    }

    /// A text.
    func string(_ key: String) -> String? {
        guard let entry = entry(key) else { return nil }
        return string(entry)
    }

    /// A text, empty when the key is absent, as frp has it.
    func string(_ key: String, default fallback: String) -> String {
        let value = string(key) ?? ""
        return value.isEmpty ? fallback : value
    }

    private func string(_ entry: Entry) -> String? {
        switch entry.node.value {
        case .string(let text), .untyped(let text): return text
        case .integer, .number, .boolean, .dateTime:
            wrongKind(entry, expected: Text("text", zh: "文本"), hint: Text("put it in quotes", zh: "请加引号"))
        default:
            wrongKind(entry, expected: Text("text", zh: "文本"))
        }
        return nil
    }

    /// A truth value.
    func boolean(_ key: String) -> Bool? {
        guard let entry = entry(key) else { return nil }
        switch entry.node.value {
        case .boolean(let value): return value
        case .untyped(let text):
            switch text.lowercased() {
            case "1", "t", "true", "y", "yes", "on": return true
            case "0", "f", "false", "n", "no", "off": return false
            default: break
            }
            wrong(
                entry,
                Text(
                    "\"\(SourceText.printable(text))\" is neither true nor false",
                    zh: "\"\(SourceText.printable(text))\" 不是 true 或 false"
                )
            )
            return nil
        case .string(let text) where text == "true" || text == "false":
            wrongKind(
                entry,
                expected: Text("true or false", zh: "true 或 false"),
                hint: Text("take the quotes off", zh: "去掉引号")
            )
        default:
            wrongKind(entry, expected: Text("true or false", zh: "true 或 false"))
        }
        return nil
    }

    /// A whole number within a range.
    func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let entry = entry(key), let value = integer(entry) else { return nil }
        guard let number = Int(exactly: value), range.contains(number) else {
            wrong(
                entry,
                range.upperBound == .max || range.upperBound >= 1_000_000_000
                    ? Text("\(value) is below \(range.lowerBound)", zh: "\(value) 小于 \(range.lowerBound)")
                    : Text(
                        "\(value) is not between \(range.lowerBound) and \(range.upperBound)",
                        zh: "\(value) 不在 \(range.lowerBound) 到 \(range.upperBound) 之间"
                    )
            )
            return nil
        }
        return number
    }

    private func integer(_ entry: Entry) -> Int64? {
        let expected = Text("a whole number", zh: "整数")
        switch entry.node.value {
        case .integer(let value): return value
        case .number(let value) where value.rounded() == value && abs(value) < 1e15: return Int64(value)
        case .untyped(let text):
            if let value = Int64(text) { return value }
            wrong(
                entry,
                Text(
                    "\"\(SourceText.printable(text))\" is not a whole number",
                    zh: "\"\(SourceText.printable(text))\" 不是整数"
                )
            )
        case .string(let text) where Int64(text) != nil:
            wrongKind(entry, expected: expected, hint: Text("take the quotes off", zh: "去掉引号"))
        default:
            wrongKind(entry, expected: expected)
        }
        return nil
    }

    /// A port, 0 to 65535.
    func port(_ key: String) -> UInt16? {
        integer(key, in: 0...65535).map { UInt16($0) }
    }

    /// One of the words of an enumeration.
    func word<Word: RawRepresentable & CaseIterable>(_ key: String, _ kind: Word.Type) -> Word?
    where Word.RawValue == String {
        guard let entry = entry(key), let text = string(entry), !(text.isEmpty && context.ignoresCase)
        else {
            return nil
        }
        let found = Word.allCases.first {
            context.ignoresCase ? $0.rawValue.lowercased() == text.lowercased() : $0.rawValue == text
        }
        if let found { return found }
        let words = Word.allCases.map(\.rawValue)
        wrongWord(entry, text, words)
        return nil
    }

    /// Notes that a text is none of the words that may stand there.
    func wrongWord(_ entry: Entry, _ text: String, _ words: [String]) {
        let shown = SourceText.printable(text)
        let list = words.joined(separator: ", ")
        let nearest = KeySuggestion.nearest(to: text, among: words)
        context.add(
            Text("\"\(shown)\" is none of \(list)", zh: "\"\(shown)\" 不是以下之一:\(list)"),
            at: entry.node.position,
            key: keyPath(entry),
            hint: nearest.map { Text("did you mean \"\($0)\"?", zh: "是否想写 \"\($0)\"?") },
            suggestion: nearest
        )
    }

    /// A list of texts; INI separates them with commas.
    func strings(_ key: String) -> [String]? {
        items(key)?.map(\.text)
    }

    /// A list of texts with their places.
    func items(_ key: String) -> [(text: String, position: SourcePosition)]? {
        guard let entry = entry(key) else { return nil }
        switch entry.node.value {
        case .array(let elements):
            var items: [(text: String, position: SourcePosition)] = []
            for (index, element) in elements.enumerated() {
                let item = Entry(
                    key: "\(entry.key)[\(index)]",
                    keyPosition: element.position,
                    node: element
                )
                if let text = string(item) { items.append((text, element.position)) }
            }
            return items
        case .untyped(let text):
            return text.split(separator: ",").map { part in
                var part = part
                while part.first == " " || part.first == "\t" { part.removeFirst() }
                while part.last == " " || part.last == "\t" { part.removeLast() }
                return (String(part), entry.node.position)
            }.filter { !$0.0.isEmpty }
        case .string(let text):
            let shown = SourceText.printable(text)
            wrongKind(
                entry,
                expected: Text("a list of text", zh: "文本列表"),
                hint: Text("write [\"\(shown)\"]", zh: "请写 [\"\(shown)\"]")
            )
        default:
            wrongKind(entry, expected: Text("a list of text", zh: "文本列表"))
        }
        return nil
    }

    /// A table whose keys are free and whose values are texts.
    func stringMap(_ key: String) -> [String: String]? {
        guard let entry = entry(key) else { return nil }
        guard case .table(let table) = entry.node.value else {
            wrongKind(entry, expected: Text("a table", zh: "表"))
            return nil
        }
        var map: [String: String] = [:]
        for item in table.entries {
            let named = Entry(
                key: item.key,
                keyPosition: item.keyPosition,
                node: item.node,
                label: item.label ?? "\(keyPath(entry)).\(item.key)"
            )
            if let text = string(named) { map[item.key] = text }
        }
        return map
    }

    /// A table; nil when it is absent or no table.
    func table(_ key: String) -> ScopeReader? {
        // What a list's tables hold does not depend on their type.
        let parent = self.scope.prefix { $0 != " " }
        let scope = parent.isEmpty ? key : "\(parent).\(key)"
        guard let entry = entry(key) else {
            guard context.isListing else { return nil }
            return ScopeReader(ConfigurationTable(), at: .start, path: key, scope: scope, context)
        }
        guard case .table(let table) = entry.node.value else {
            wrongKind(entry, expected: Text("a table", zh: "表"))
            return nil
        }
        return ScopeReader(table, at: entry.keyPosition, path: keyPath(entry), scope: scope, context)
    }

    /// A list of tables.
    func tables(_ key: String) -> [ScopeReader] {
        guard let entry = entry(key) else {
            guard context.isListing else { return [] }
            context.listedKeys.lists.insert(key)
            return [ScopeReader(ConfigurationTable(), at: .start, path: key, scope: key, context)]
        }
        guard case .array(let elements) = entry.node.value else {
            let name = SourceText.printable(entry.key)
            wrongKind(
                entry,
                expected: Text("a list of tables", zh: "表的列表"),
                hint: Text("in TOML each is [[\(name)]]", zh: "TOML 中每一项写作 [[\(name)]]")
            )
            return []
        }
        return elements.enumerated().compactMap { index, element in
            let path = "\(keyPath(entry))[\(index)]"
            guard case .table(let table) = element.value else {
                context.add(
                    Text(
                        "a table was expected, \(Self.kind(element.value).english) was found",
                        zh: "应为表,却是\(Self.kind(element.value).chinese)"
                    ),
                    at: element.position,
                    key: path
                )
                return nil
            }
            return ScopeReader(table, at: element.position, path: path, scope: key, context)
        }
    }

    /// Notes a fault of a value.
    func wrong(_ entry: Entry, _ what: Text, hint: Text? = nil) {
        context.add(what, at: entry.node.position, key: keyPath(entry), hint: hint)
    }

    /// Notes that a key is missing.
    func missing(_ key: String, hint: Text? = nil) {
        context.add(
            Text("the key \"\(key)\" is missing", zh: "缺少键 \"\(key)\""),
            at: position,
            key: path.isEmpty ? key : "\(path).\(key)",
            hint: hint
        )
    }

    /// Notes that the file asks for something that this version does not have.
    func unsupported(_ entry: Entry?, essential: Bool = true) {
        guard let entry, !context.isListing else { return }
        let value: String
        switch entry.node.value {
        case .string(let text), .untyped(let text), .dateTime(let text): value = text
        case .integer(let number): value = "\(number)"
        case .number(let number): value = "\(number)"
        case .boolean(let truth): value = "\(truth)"
        case .null, .array, .table: value = ""
        }
        context.unsupported.append(
            UnsupportedFeature(
                keyPath: SourceText.printable(keyPath(entry)),
                value: SourceText.printable(value),
                position: entry.keyPosition,
                isEssential: essential
            )
        )
    }

    /// Notes every key that was not asked for.
    func finish() {
        guard !context.isListing else { return }
        let left = unread.values.sorted { $0.keyPosition < $1.keyPosition }
        for entry in left where !context.isFull { unknown(entry) }
    }

    /// The path of an entry of this table for people.
    func keyPath(_ entry: Entry) -> String {
        if let label = entry.label { return label }
        return path.isEmpty ? entry.key : "\(path).\(entry.key)"
    }

    private func unknown(_ entry: Entry) {
        let key = SourceText.printable(entry.key)
        var hint: Text?
        var suggestion: String?
        let folded = KeySuggestion.folded(entry.key)
        if let same = known.first(where: { KeySuggestion.folded($0) == folded }) {
            suggestion = same
        } else if let near = KeySuggestion.nearest(to: entry.key, among: known, limit: 1) {
            suggestion = near
        } else if let elsewhere = belonging(entry.key) {
            hint = elsewhere.hint
            suggestion = elsewhere.key
        } else {
            suggestion = KeySuggestion.nearest(to: entry.key, among: known)
        }
        if hint == nil, let suggestion {
            hint = Text("did you mean \"\(suggestion)\"?", zh: "是否想写 \"\(suggestion)\"?")
        }
        let place = scope.isEmpty ? Text("the top level", zh: "顶层") : Text(verbatim: scope)
        context.add(
            Text("\(place.english) has no key \"\(key)\"", zh: "\(place.chinese)没有键 \"\(key)\""),
            at: entry.keyPosition,
            key: keyPath(entry),
            hint: hint,
            suggestion: suggestion,
            severity: context.refusesUnknownKeys ? .error : .warning
        )
    }

    /// Where a key that this scope does not have belongs.
    private func belonging(_ key: String) -> (key: String, hint: Text)? {
        let homes = context.atlas.scopes(having: key).filter { $0.scope != scope }
        guard let first = homes.first else { return nil }
        let kinds = homes.filter { $0.scope.hasSuffix(")") }
        let list = scope.prefix { $0 != " " && $0 != "." }
        if kinds.contains(where: { $0.scope.hasPrefix("\(list) (") }) {
            let types = kinds.filter { $0.scope.hasPrefix("\(list) (") }
                .map { $0.scope.dropFirst(list.count + 2).dropLast() }.joined(separator: ", ")
            return (
                first.key,
                Text(
                    "\"\(first.key)\" is for those of type \(types)",
                    zh: "\"\(first.key)\" 只用于类型 \(types)"
                )
            )
        }
        if let top = homes.first(where: { $0.scope.isEmpty }) {
            return (
                top.key,
                Text(
                    "\"\(top.key)\" belongs to the top level, above the first [ ] or [[ ]]",
                    zh: "\"\(top.key)\" 属于顶层,应写在第一个 [ ] 或 [[ ]] 之前"
                )
            )
        }
        if let home = homes.first(where: { !$0.scope.hasSuffix(")") && !context.atlas.lists.contains($0.scope) }) {
            let full = "\(home.scope).\(home.key)"
            let parent = scope.prefix { $0 != " " }
            let isBelow = !parent.isEmpty && home.scope.hasPrefix(parent + ".")
            let shown = isBelow ? String(full.dropFirst(parent.count + 1)) : full
            return (
                shown,
                Text(
                    "\"\(home.key)\" belongs to \(home.scope): \(shown)",
                    zh: "\"\(home.key)\" 属于 \(home.scope):\(shown)"
                )
            )
        }
        let home = first.scope.prefix { $0 != " " }
        return (
            first.key,
            Text("\"\(first.key)\" belongs below [[\(home)]]", zh: "\"\(first.key)\" 应写在 [[\(home)]] 之下")
        )
    }

    private func wrongKind(_ entry: Entry, expected: Text, hint: Text? = nil) {
        let found = Self.kind(entry.node.value)
        wrong(
            entry,
            Text(
                "\(expected.english) was expected, \(found.english) was found",
                zh: "应为\(expected.chinese),却是\(found.chinese)"
            ),
            hint: hint
        )
    }

    private static func kind(_ value: ConfigurationNode.Value) -> Text {
        switch value {
        case .null: Text("nothing", zh: "空值")
        case .boolean: Text("true or false", zh: "布尔值")
        case .integer: Text("a whole number", zh: "整数")
        case .number: Text("a number", zh: "数字")
        case .string, .untyped: Text("text", zh: "文本")
        case .dateTime: Text("a date", zh: "日期")
        case .array: Text("a list", zh: "列表")
        case .table: Text("a table", zh: "表")
        }
    }
}
