// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A value of a configuration file together with its place, the same for every format.
package struct ConfigurationNode: Sendable, Equatable {
    /// What stands there.
    package var value: Value
    /// Where the value begins.
    package var position: SourcePosition

    /// The kinds of value that the formats have in common.
    package indirect enum Value: Sendable, Equatable {
        case null
        case boolean(Bool)
        case integer(Int64)
        case number(Double)
        case string(String)
        /// A value of INI, which does not say what kind it is of.
        case untyped(String)
        /// A date or time of TOML or YAML, as written.
        case dateTime(String)
        case array([ConfigurationNode])
        case table(ConfigurationTable)
    }

    /// Makes a node from its parts.
    package init(_ value: Value, at position: SourcePosition) {
        self.value = value
        self.position = position
    }
}

/// Keys and values in the order of the file.
package struct ConfigurationTable: Sendable, Equatable {
    /// A key with its place, and its value.
    package struct Entry: Sendable, Equatable {
        /// The key as it is written, without quotes.
        package var key: String
        /// Where the key begins.
        package var keyPosition: SourcePosition
        /// The value.
        package var node: ConfigurationNode
        /// The whole path as the person wrote it, where that differs from the keys of the tree; nil where it does not.
        package var label: String?

        /// Makes an entry from its parts.
        package init(
            key: String,
            keyPosition: SourcePosition,
            node: ConfigurationNode,
            label: String? = nil
        ) {
            self.key = key
            self.keyPosition = keyPosition
            self.node = node
            self.label = label
        }
    }

    /// The entries in the order of the file; a key may be there twice only in INI.
    package var entries: [Entry] = []

    /// Makes a table from its entries.
    package init(_ entries: [Entry] = []) {
        self.entries = entries
    }

    /// The value of the exact key.
    package subscript(key: String) -> ConfigurationNode? {
        entries.last { $0.key == key }?.node
    }
}
