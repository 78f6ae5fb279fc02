// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What keeps its elements in memory of its own.
private protocol Storing {
    var storedByteCount: Int { get }
}

extension Array: Storing {
    fileprivate var storedByteCount: Int { capacity == 0 ? 0 : 32 + capacity * MemoryLayout<Element>.stride }
}

extension Set: Storing {
    fileprivate var storedByteCount: Int { capacity == 0 ? 0 : 64 + capacity * 4 / 3 * MemoryLayout<Element>.stride }
}

extension Dictionary: Storing {
    fileprivate var storedByteCount: Int {
        let pair = MemoryLayout<Key>.stride + MemoryLayout<Value>.stride
        return capacity == 0 ? 0 : 64 + capacity * 4 / 3 * pair
    }
}

@Suite("The memory of a peer")
struct PathMemoryTests {
    /// The bytes outside a value that belong to it: storage of collections, long strings, boxes.
    private func held(by value: Any, _ depth: Int = 0) -> Int {
        if let text = value as? String { return text.utf8.count > 15 ? 32 + text.utf8.count : 0 }
        var count = (value as? any Storing)?.storedByteCount ?? 0
        guard depth < 24, !(value is [UInt8]) else { return count }
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .class { count += 256 }
        for child in mirror.children { count += held(by: child.value, depth + 1) }
        return count
    }

    /// The bytes that the only peer of a finder takes, its place in the list among them.
    private func peerByteCount(_ finder: PathFinder) throws -> Int {
        held(by: try #require(Mirror(reflecting: finder).children.first { $0.label == "slots" }?.value))
    }

    @Test(
        "A peer takes less than 32 KiB, and less than 128 KiB after a search for its port",
        arguments: ["port", "sym", "seq"],
        ["port", "sym"]
    )
    func bound(a: String, b: String) throws {
        var play = PathPlay(try PathScenario(a, b))
        play.linger = .seconds(10)
        var counts: [Int] = []
        _ = try play.run(seed: LabSeed(1)) { stage, isOver in
            guard isOver else { return }
            for site in SiteName.allCases {
                guard let finder = stage.finders[site]?.machine else { continue }
                if let count = try? peerByteCount(finder) { counts.append(count) }
            }
        }
        #expect(counts.count == 2)
        for count in counts {
            #expect(count > 1024)
            #expect(count < (a == "port" && b == "port" ? 32_768 : 131_072))
        }
    }
}
