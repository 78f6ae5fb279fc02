// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import NIOCore
import NIOPosix

/// A store in memory and a clock that the test moves.
struct TestStore {
    let store: Store
    let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    var now = UnixTime(seconds: 1_700_000_000)

    init() throws {
        store = try Store.inMemory()
    }

    /// A made-up device key, different for each number.
    static func key(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 64 - digits.count) + digits
    }

    func admit(_ number: Int, named name: String, _ credential: Credential = .token) async throws -> Admission {
        try await store.admit(key: Self.key(number), wantedName: name, credential: credential, at: now, on: loop).get()
    }

    func claim(_ name: String, _ number: Int, target: String = "localhost:3000", wanted: Bool = true) async throws
        -> NameClaim
    {
        try await store.claimName(
            name,
            device: Self.key(number),
            target: target,
            wanted: wanted,
            at: now,
            on: loop
        ).get()
    }
}
