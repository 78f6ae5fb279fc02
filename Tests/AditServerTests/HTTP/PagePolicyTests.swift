// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@testable import AditServer

@Test func theOnlyStyleOfAPageIsTheOneThatItsPolicyAllows() throws {
    let policy = HTTPPageWriter.policy
    let begin = try #require(policy.firstRange(of: "'sha256-")?.upperBound)
    let end = try #require(policy[begin...].firstIndex(of: "'"))
    #expect(HTTPBase64.decode(policy[begin..<end]) == SHA256Digest(of: Array(HTTPPageWriter.style.utf8)).bytes)
}
