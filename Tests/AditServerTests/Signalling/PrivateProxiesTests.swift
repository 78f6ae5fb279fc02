// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AditServer

struct PrivateProxiesTests {
    private final class Session: Sendable {}

    @Test func aNameBelongsToTheFirstUntilItGoes() {
        var proxies = PrivateProxies<Session>(capacity: 2)
        let (first, second) = (Session(), Session())
        #expect(proxies.claim("mei.ssh", for: first) == .granted)
        #expect(proxies.claim("mei.ssh", for: first) == .granted)
        #expect(proxies.claim("mei.ssh", for: second) == .taken)
        #expect(proxies.claim("", for: second) == .invalid)
        #expect(proxies.claim(String(repeating: "a", count: 65), for: second) == .invalid)
        #expect(proxies.claim("ben.ssh", for: second) == .granted)
        #expect(proxies.claim("third", for: second) == .full)
        proxies.release("mei.ssh", of: second)
        #expect(proxies.holder(of: "mei.ssh") === first)
        proxies.release("mei.ssh", of: first)
        #expect(proxies.holder(of: "mei.ssh") == nil)
        #expect(proxies.claim("mei.ssh", for: second) == .granted)
        proxies.remove(second)
        #expect(proxies.count == 0)
    }
}
