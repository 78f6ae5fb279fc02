// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import TOMLKit

/// Reads TOML 1.0 into a tree with places: the values from the TOML library, the places from a walk over the text.
enum TOMLReader {
    /// Reads the whole text.
    static func read(_ text: SourceText) throws(SyntaxFault) -> ConfigurationNode {
        let located: TOMLLocator.Located
        do {
            located = try TOMLLocator.locate(text)
        } catch {
            throw withFormatHint(error, text)
        }
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text.string)
        } catch let error as TOMLParseError {
            throw fault(error, text)
        } catch {
            throw SyntaxFault(at: .start, Text("this is not TOML", zh: "不是合法的 TOML"))
        }
        // One conversion of the whole document: reading value by value costs the library several copies of each.
        let json = SourceText(
            trusted: Array(table.convert(to: .json, options: [.quoteDateAndTimes]).utf8)
        )
        let values: ConfigurationNode
        do {
            values = try JSONReader.read(json, isFromTOML: true)
        } catch {
            throw SyntaxFault(
                at: .start,
                Text("a text of this file has a NUL character", zh: "文件中的文本含 NUL 字符")
            )
        }
        return join(values, located)
    }

    private static func join(_ node: ConfigurationNode, _ located: TOMLLocator.Located)
        -> ConfigurationNode
    {
        switch node.value {
        case .table(let table):
            var entries: [ConfigurationTable.Entry] = []
            let values = Dictionary(table.entries.map { ($0.key, $0.node) }, uniquingKeysWith: { $1 })
            for (key, position, place) in located.keys {
                guard let value = values[key] else { continue }
                entries.append(.init(key: key, keyPosition: position, node: join(value, place)))
            }
            for entry in table.entries where located[entry.key] == nil {
                entries.append(.init(key: entry.key, keyPosition: located.position, node: entry.node))
            }
            return ConfigurationNode(.table(ConfigurationTable(entries)), at: located.position)
        case .array(let elements):
            let places = located.elements
            let joined = elements.enumerated().map { index, element in
                index < places.count ? join(element, places[index]) : element
            }
            return ConfigurationNode(.array(joined), at: located.position)
        case .string(let string) where located.content == .bare:
            return ConfigurationNode(.dateTime(string), at: located.position)
        default:
            return ConfigurationNode(node.value, at: located.position)
        }
    }

    private static func fault(_ error: TOMLParseError, _ text: SourceText) -> SyntaxFault {
        let position = SourcePosition(
            line: max(1, error.source.begin.line),
            column: max(1, error.source.begin.column)
        )
        let problem = SourceText.printable(error.description)
        return SyntaxFault(at: position, Text("this is not TOML: \(problem)", zh: "不是合法的 TOML:\(problem)"))
    }

    /// What a file of another format says when it is read as TOML is of no help; that it is one, is.
    private static func withFormatHint(_ fault: SyntaxFault, _ text: SourceText) -> SyntaxFault {
        var fault = fault
        fault.what = Text(
            "this is not TOML: \(fault.what.english)",
            zh: "不是合法的 TOML:\(fault.what.chinese)"
        )
        if text.hasCommonSection {
            fault.hint = Text(
                "it looks like frp's old INI format: name the file .ini",
                zh: "看起来是 frp 旧的 INI 格式:请将文件扩展名改为 .ini"
            )
        }
        return fault
    }
}
