// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@Suite struct ErrorTests {
    @Test func anErrorOnOneLineHasCodeFactsAndFix() {
        let error = AditError(
            .nothingListens,
            Text("nothing answers on localhost:3000", zh: "localhost:3000 没有程序在监听"),
            why: ["listening here: 5173 node"],
            fix: "adit http 5173"
        )
        #expect(
            error.description
                == "ADIT-201: nothing answers on localhost:3000 (listening here: 5173 node); fix: adit http 5173"
        )
        #expect(error.what.in(.chinese) == "localhost:3000 没有程序在监听")
    }

    @Test(arguments: [
        ("zh_CN.UTF-8", Language.chinese), ("zh", .chinese), ("en_US.UTF-8", .english), ("C", .english), ("", .english),
        ("de_DE", .english),
    ])
    func theLanguageFollowsTheLocale(locale: String, language: Language) {
        #expect(Language(locale: locale) == language)
    }
}
