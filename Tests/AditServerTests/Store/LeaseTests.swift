// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import NIOCore
import Testing

struct LeaseTests {
    @Test func aNameBelongsToTheDeviceThatClaimedItFirst() async throws {
        let test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        _ = try await test.admit(2, named: "mei")
        #expect(try await test.claim("blog", 1) == .granted)
        #expect(try await test.claim("blog", 1) == .granted)
        guard case .taken(let lease) = try await test.claim("blog", 2) else {
            Issue.record("another device took the name")
            return
        }
        #expect(lease.deviceName == "nas")
    }

    @Test func aReleasedNameIsReservedFor90Days() async throws {
        var test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        _ = try await test.admit(2, named: "mei")
        #expect(try await test.claim("blog", 1) == .granted)
        _ = try test.store.removeDevice(named: "nas", at: test.now)
        test.now = test.now + .seconds(90 * 24 * 3600 - 1)
        guard case .taken(let lease) = try await test.claim("blog", 2) else {
            Issue.record("the name was given away too early")
            return
        }
        #expect(lease.deviceRemoved != nil)
        test.now = test.now + .seconds(1)
        #expect(try await test.store.holder(ofName: "blog", at: test.now, on: test.loop).get() == nil)
        #expect(try await test.claim("blog", 2) == .granted)
    }

    @Test func useRenewsALease() async throws {
        var test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        _ = try await test.admit(2, named: "mei")
        #expect(try await test.claim("blog", 1) == .granted)
        test.now = test.now + .seconds(80 * 24 * 3600)
        try await test.store.noteUsed(names: ["blog"], at: test.now, on: test.loop).get()
        test.now = test.now + .seconds(80 * 24 * 3600)
        #expect(try await test.claim("blog", 2) != .granted)
        try await test.store.purgeLeases(at: test.now + .seconds(10 * 24 * 3600), on: test.loop).get()
        #expect(try await test.store.nameLeases(on: test.loop).get().isEmpty)
    }

    @Test func stickyNamesFollowTheTargetAndLeaveWantedNamesOut() async throws {
        let test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        _ = try await test.claim("calm-otter", 1, target: "localhost:3000", wanted: false)
        _ = try await test.claim("blog", 1, target: "localhost:3000", wanted: true)
        _ = try await test.claim("wild-heron", 1, target: "localhost:4000", wanted: false)
        let sticky = { target in
            try await test.store.stickyNames(device: TestStore.key(1), target: target, on: test.loop).get()
        }
        #expect(try await sticky("localhost:3000") == ["calm-otter"])
        #expect(try await sticky("localhost:4000") == ["wild-heron"])
        #expect(try await sticky("localhost:5000") == [])
    }

    @Test func aDeviceHoldsABoundedNumberOfNames() async throws {
        let test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        for number in 0..<LeaseTerms.namesPerDevice {
            #expect(try await test.claim("name-\(number)", 1) == .granted)
        }
        #expect(try await test.claim("one-more", 1) == .limitReached(LeaseTerms.namesPerDevice))
        #expect(try await test.claim("name-0", 1) == .granted)
    }

    @Test func portsAreKeptAndTheOldestIsForgottenFirst() async throws {
        var test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        for number in 0...LeaseTerms.portsPerDevice {
            try await test.store.keepPort(
                UInt16(20000 + number),
                device: TestStore.key(1),
                target: "localhost:22",
                at: test.now,
                on: test.loop
            ).get()
            test.now = test.now + .seconds(1)
        }
        let ports = try await test.store.portLeases(on: test.loop).get().map(\.port)
        #expect(ports.count == LeaseTerms.portsPerDevice)
        #expect(ports.first == 20001)
        #expect(ports.last == UInt16(20000 + LeaseTerms.portsPerDevice))
    }

    @Test func settingsAreRememberedAndCleared() throws {
        let test = try TestStore()
        #expect(try test.store.settings() == ServerSettings())
        try test.store.save(ServerSettings(domain: "tunnel.example.com", publicHost: "203.0.113.7"))
        #expect(try test.store.settings().domain == "tunnel.example.com")
        try test.store.save(ServerSettings(domain: nil, publicHost: "203.0.113.7"))
        #expect(try test.store.settings() == ServerSettings(publicHost: "203.0.113.7"))
    }
}
