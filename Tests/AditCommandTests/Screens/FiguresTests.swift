// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import adit

@Suite struct FiguresTests {
    @Test(
        "Durations read as people say them",
        arguments: [
            (Duration.milliseconds(0), "0 ms"), (.milliseconds(18), "18 ms"), (.microseconds(999_600), "1 s"),
            (.milliseconds(1234), "1.2 s"), (.seconds(9), "9 s"), (.milliseconds(9960), "10 s"), (.seconds(59), "59 s"),
            (.seconds(300), "5 min"), (.seconds(3600), "1 h"), (.seconds(11520), "3 h 12 min"),
            (.seconds(86400), "1 d"), (.seconds(90000), "1 d 1 h"), (.seconds(-5), "0 ms"),
        ]
    )
    func durations(duration: Duration, text: String) {
        #expect(Figures.duration(duration) == text)
    }

    @Test(
        "Sizes read as people say them",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1549, "1.5 kB"), (9960, "10 kB"), (999_499, "999 kB"),
            (999_600, "1 MB"), (2_100_000, "2.1 MB"), (1_200_000_000, "1.2 GB"), (UInt64.max, "18446744 TB"),
        ] as [(UInt64, String)]
    )
    func sizes(count: UInt64, text: String) {
        #expect(Figures.bytes(count) == text)
    }

    @Test("Chinese letters take two columns")
    func width() {
        #expect(Figures.width("目标") == 4)
        #expect(Figures.padded("目标", 7) == "目标   ")
        #expect(Figures.rightAligned("18 ms", 8) == "   18 ms")
        #expect(Figures.padded("longer", 3) == "longer")
    }

    @Test(
        "The language and the alphabet follow the locale",
        arguments: [
            (["LANG": "zh_CN.UTF-8"], Language.chinese, true),
            (["LANG": "en_US.UTF-8"], .english, true),
            (["LC_ALL": "C", "LANG": "zh_CN.UTF-8"], .english, false),
            (["LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"], .chinese, true),
            (["LC_ALL": "", "LANG": "zh_CN.utf8"], .chinese, true),
            (["LANG": "zh_CN.GB18030"], .english, false),
            ([:], .english, false),
        ] as [([String: String], Language, Bool)]
    )
    func locale(environment: [String: String], language: Language, isUnicode: Bool) {
        let style = ScreenStyle(environment: environment, isTerminal: true)
        #expect(style.language == language)
        #expect(style.isUnicode == isUnicode)
    }

    @Test("There is colour on a terminal that does not object")
    func colour() {
        #expect(ScreenStyle(environment: ["TERM": "xterm"], isTerminal: true).hasColor)
        #expect(!ScreenStyle(environment: ["TERM": "xterm"], isTerminal: false).hasColor)
        #expect(!ScreenStyle(environment: ["NO_COLOR": "1"], isTerminal: true).hasColor)
        #expect(!ScreenStyle(environment: ["TERM": "dumb"], isTerminal: true).hasColor)
    }
}
