// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The languages that Adit speaks to people.
package enum Language: String, Sendable, CaseIterable {
    case english = "en"
    case chinese = "zh"

    /// The language that a POSIX locale name such as `zh_CN.UTF-8` asks for; English for all but Chinese.
    package init(locale: String) {
        self = locale.lowercased().hasPrefix("zh") ? .chinese : .english
    }
}

/// A sentence for a person in every language that Adit speaks.
///
/// Commands, codes and names are never translated.
package struct Text: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// The sentence in English.
    package var english: String
    /// The sentence in simplified Chinese.
    package var chinese: String

    /// Makes a sentence in both languages.
    package init(_ english: String, zh chinese: String) {
        self.english = english
        self.chinese = chinese
    }

    /// Makes text that is the same in every language: a command, an address, a measured figure.
    package init(stringLiteral value: String) {
        english = value
        chinese = value
    }

    /// Makes text that is the same in every language from a string made elsewhere.
    package init(verbatim value: String) {
        english = value
        chinese = value
    }

    /// The sentence in one language.
    package func `in`(_ language: Language) -> String {
        switch language {
        case .english: english
        case .chinese: chinese
        }
    }
}
