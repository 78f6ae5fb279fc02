// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import adit

@Suite struct ExplainTests {
    @Test("Every code has a whole page in both languages", arguments: ErrorCode.allCases)
    func pages(code: ErrorCode) {
        let page = code.page
        for language in Language.allCases {
            for text in [page.title, page.meaning, page.causes, page.check, page.fix] {
                #expect(!text.in(language).isEmpty)
            }
            let text = page.text(for: code, in: language)
            #expect(text.hasPrefix("\(code)  "))
            #expect(text.split(separator: "\n").allSatisfy { Figures.width(String($0)) <= 130 })
        }
        #expect(page.title.english != page.title.chinese)
        #expect(page.meaning.english.utf8.allSatisfy { $0 < 128 })
    }

    @Test("No two codes have the same page")
    func distinct() {
        #expect(Set(ErrorCode.allCases.map(\.page.title)).count == ErrorCode.allCases.count)
    }

    @Test("A code is found as people type it", arguments: ["ADIT-201", "adit-201", "201"])
    func typed(text: String) {
        #expect(ErrorCode(typed: text) == .nothingListens)
    }

    @Test("What is no code is not found", arguments: ["", "2", "ADIT-", "ADIT-999", "+201", "２０１", "0201"])
    func unknown(text: String) {
        #expect(ErrorCode(typed: text) == nil)
    }

    @Test("The list has a line for each code")
    func list() {
        for language in Language.allCases {
            #expect(ExplainPage.list(in: language).split(separator: "\n").count == ErrorCode.allCases.count)
        }
    }
}
