// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditTraversal

@Suite("How old mappings become")
struct PathMappingAgeTests {
    @Test("Two of about the same age are a rule, one is none")
    func rule() {
        var age = PathMappingAge()
        age.note(.seconds(50))
        #expect(age.renewal(of: .zero) == nil)
        age.note(.seconds(48))
        #expect(age.renewal(of: .zero + .seconds(10)) == .zero + .seconds(10) + .milliseconds(38_400))
    }

    @Test("Another age ends the rule until it has come twice")
    func change() {
        var age = PathMappingAge()
        for seconds in [60, 60, 120] { age.note(.seconds(seconds)) }
        #expect(age.learnt == nil)
        age.note(.seconds(121))
        #expect(age.learnt == .seconds(120))
    }

    @Test("What ends every moment is not worth another socket each time")
    func short() {
        var age = PathMappingAge()
        for _ in 0..<4 { age.note(.seconds(24)) }
        #expect(age.learnt == nil)
    }
}
