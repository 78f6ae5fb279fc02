// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Every input that the fuzzer ever found interesting or fatal, through the decoders once more.
@Suite struct CorpusReplayTests {
    private static let fuzzing = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "FuzzTesting")

    @Test(arguments: TraversalDecoders.all.keys.sorted())
    func theCorpusIsDecodedWithoutATrap(decoder: String) throws {
        let run = try #require(TraversalDecoders.all[decoder])
        var count = 0
        for folder in ["Corpus", "FailCases"] {
            let files = Self.fuzzing.appending(path: folder).appending(path: decoder)
            for name in (try? FileManager.default.contentsOfDirectory(atPath: files.path(percentEncoded: false))) ?? []
            {
                run([UInt8](try Data(contentsOf: files.appending(path: name))))
                count += 1
            }
        }
        #expect(count > 0, "no input for \(decoder)")
    }
}
