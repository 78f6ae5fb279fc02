// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What reading one file has found so far: every fault, not only the first.
final class ReadingContext {
    /// The file's name for people.
    let fileName: String
    /// Whether keys match without regard to case, as in frp.
    let ignoresCase: Bool
    /// Whether a key that the schema does not have makes the file unusable.
    let refusesUnknownKeys: Bool
    /// The keys of every scope of the schema, to say where a misplaced key belongs.
    let atlas: KeyAtlas
    /// Whether the schema is run without a file, to list its keys.
    let isListing: Bool
    private(set) var faults: [ConfigurationFault] = []
    var unsupported: [UnsupportedFeature] = []
    var listedKeys = KeyAtlas()
    private let source: SourceText
    private static let maximumFaults = 200

    init(
        fileName: String,
        source: SourceText,
        ignoresCase: Bool,
        refusesUnknownKeys: Bool,
        atlas: KeyAtlas,
        isListing: Bool = false
    ) {
        self.fileName = SourceText.printable(fileName)
        self.source = source
        self.ignoresCase = ignoresCase
        self.refusesUnknownKeys = refusesUnknownKeys
        self.atlas = atlas
        self.isListing = isListing
    }

    /// Runs a schema without a file and returns its keys by scope.
    static func list(ignoresCase: Bool, _ schema: (ScopeReader) -> Void) -> KeyAtlas {
        let context = ReadingContext(
            fileName: "",
            source: SourceText(trusted: []),
            ignoresCase: ignoresCase,
            refusesUnknownKeys: true,
            atlas: KeyAtlas(),
            isListing: true
        )
        schema(ScopeReader(ConfigurationTable(), at: .start, path: "", scope: "", context))
        return context.listedKeys
    }

    /// Notes a fault.
    func add(
        _ what: Text,
        at position: SourcePosition,
        key: String = "",
        hint: Text? = nil,
        suggestion: String? = nil,
        severity: ConfigurationFault.Severity = .error
    ) {
        guard !isListing, !isFull else { return }
        faults.append(
            ConfigurationFault(
                severity: severity,
                file: fileName,
                position: position,
                line: source.line(position.line),
                keyPath: SourceText.printable(key),
                what: what,
                hint: hint,
                suggestion: suggestion
            )
        )
    }

    func add(_ fault: SyntaxFault) {
        add(fault.what, at: fault.position, hint: fault.hint)
    }

    /// Whether no more faults are noted.
    var isFull: Bool { faults.count >= Self.maximumFaults }

    /// Whether a fault of severity error was noted.
    var hasErrors: Bool { faults.contains { $0.severity == .error } }
}

/// The keys of a schema by scope, such as `transport.tls` or `proxies (http)`; the top level is the empty text.
struct KeyAtlas: Sendable {
    private(set) var scopes: [(name: String, keys: [String])] = []
    /// The scopes of which there are several, `[[ ]]` in TOML.
    var lists: Set<String> = []

    mutating func add(_ key: String, to scope: String) {
        if let index = scopes.firstIndex(where: { $0.name == scope }) {
            if !scopes[index].keys.contains(key) { scopes[index].keys.append(key) }
        } else {
            scopes.append((scope, [key]))
        }
    }

    /// The scopes that have a key of this name when case, hyphens and underscores are put aside.
    func scopes(having key: String) -> [(scope: String, key: String)] {
        let wanted = KeySuggestion.folded(key)
        return scopes.compactMap { scope in
            scope.keys.first { KeySuggestion.folded($0) == wanted }.map { (scope.name, $0) }
        }
    }
}
