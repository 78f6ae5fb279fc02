// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Why a text is not in the language of sites: the word, where it stands, and what may have been meant.
package struct SiteSpecificationError: Error, Sendable, Hashable {
    /// What is wrong with the word.
    package enum Fault: Sendable, Hashable {
        /// Nothing stands where a word should.
        case missing
        /// No option has this name.
        case unknownOption
        /// The option does not take this word; these it takes.
        case unknownValue(option: String, among: [String])
        /// The option takes a number of this range.
        case notANumber(option: String, ClosedRange<Int>)
        /// The option takes two ports with a dash, the smaller one first.
        case notARange(option: String)
        /// The option was there before.
        case repeated
        /// The option says how a NAT translates, and this box does not.
        case nothingTranslates
        /// The option is about a carrier's NAT, and there is none.
        case noCarrier
        /// The text is longer than any site is.
        case tooLong
    }

    /// The word as it was typed, at most 40 characters of it.
    package var word: String
    /// Which character of the text it begins at, counted from 1.
    package var position: Int
    /// What is wrong with it.
    package var fault: Fault
    /// The nearest word that is known; nil when none is near.
    package var nearest: String?

    /// The error for people.
    package var error: AditError {
        AditError(.usage, what, why: why, fix: nearest.map { Text("write \($0)", zh: "写成 \($0)") })
    }

    private var what: Text {
        switch fault {
        case .missing:
            Text("a word is missing at character \(position)", zh: "第 \(position) 个字符处缺少一个词")
        case .tooLong:
            Text("the description of the site is too long", zh: "站点描述太长")
        default:
            Text(
                "\"\(word)\" at character \(position) does not describe a site",
                zh: "第 \(position) 个字符处的“\(word)”不能描述站点"
            )
        }
    }

    private var why: [Text] {
        switch fault {
        case .missing:
            [Text("words are separated by one comma", zh: "各词之间用一个逗号分隔")]
        case .tooLong:
            [Text("at most \(SiteSpecification.longestText) characters", zh: "最多 \(SiteSpecification.longestText) 个字符")]
        case .unknownOption:
            [
                Text(
                    "types: \(Self.list(SiteSpecification.typeNames))",
                    zh: "类型：\(Self.list(SiteSpecification.typeNames))"
                ),
                Text(
                    "options: \(Self.list(SiteSpecification.optionNames))",
                    zh: "选项：\(Self.list(SiteSpecification.optionNames))"
                ),
            ]
        case .unknownValue(let option, let among):
            [Text("\(option) takes: \(Self.list(among))", zh: "\(option) 可取：\(Self.list(among))")]
        case .notANumber(let option, let range):
            [
                Text(
                    "\(option) takes a number from \(range.lowerBound) to \(range.upperBound)",
                    zh: "\(option) 取 \(range.lowerBound) 到 \(range.upperBound) 的数"
                )
            ]
        case .notARange(let option):
            [Text("\(option) takes two ports such as 20000-22047", zh: "\(option) 取两个端口，例如 20000-22047")]
        case .repeated:
            [Text("this option was already given", zh: "这个选项已经给出过")]
        case .nothingTranslates:
            [Text("this box translates nothing", zh: "这台设备不做地址转换")]
        case .noCarrier:
            [Text("there is no carrier NAT: add cgn=TYPE", zh: "没有运营商 NAT：请加上 cgn=类型")]
        }
    }

    private static func list(_ words: [String]) -> String {
        words.joined(separator: " ")
    }
}
