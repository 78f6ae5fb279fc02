// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import NIOCore
import Testing

struct AdmissionTests {
    let digest = String(repeating: "ab", count: 32)

    @Test func aMemberNeedsNothingButItsKey() async throws {
        let test = try TestStore()
        try test.store.addInvite(
            digest: digest,
            label: "",
            expires: test.now + .seconds(60),
            usesAllowed: 1,
            at: test.now
        )
        let joined = try await test.admit(1, named: "laptop", .invite(digest: digest))
        #expect(joined == .member(name: "laptop", isNew: true))
        #expect(try await test.admit(1, named: "other", .none) == .member(name: "laptop", isNew: false))
    }

    @Test func aStrangerWithoutAnInviteIsUnknown() async throws {
        let test = try TestStore()
        #expect(try await test.admit(1, named: "laptop", .none) == .unknown)
        #expect(try await test.admit(1, named: "laptop", .invite(digest: digest)) == .inviteWrong)
        #expect(try test.store.devices().isEmpty)
    }

    @Test func anInviteIsUsedOnceAndNamesWhoUsedIt() async throws {
        var test = try TestStore()
        try test.store.addInvite(
            digest: digest,
            label: "",
            expires: test.now + .seconds(1800),
            usesAllowed: 1,
            at: test.now
        )
        #expect(
            try await test.admit(1, named: "old-pc", .invite(digest: digest)) == .member(name: "old-pc", isNew: true)
        )
        let used = test.now
        test.now = test.now + .seconds(720)
        #expect(
            try await test.admit(2, named: "new-pc", .invite(digest: digest))
                == .inviteUsed(by: "old-pc", at: used, usesAllowed: 1)
        )
        // The device that used it may bring it again: it is a member now.
        #expect(
            try await test.admit(1, named: "old-pc", .invite(digest: digest)) == .member(name: "old-pc", isNew: false)
        )
        #expect(try test.store.openInvites(at: test.now).isEmpty)
    }

    @Test func anInviteExpiresAtItsSecond() async throws {
        var test = try TestStore()
        let end = test.now + .seconds(60)
        try test.store.addInvite(digest: digest, label: "", expires: end, usesAllowed: 5, at: test.now)
        test.now = end + .seconds(-1)
        #expect(try await test.admit(1, named: "a", .invite(digest: digest)) == .member(name: "a", isNew: true))
        test.now = end
        #expect(try await test.admit(2, named: "b", .invite(digest: digest)) == .inviteExpired(at: end))
    }

    @Test func aRaceForTheLastUseHasOneWinner() async throws {
        let test = try TestStore()
        let digest = digest
        try test.store.addInvite(
            digest: digest,
            label: "",
            expires: test.now + .seconds(60),
            usesAllowed: 3,
            at: test.now
        )
        let answers = try await withThrowingTaskGroup(of: Admission.self) { group in
            for number in 1...40 {
                group.addTask { try await test.admit(number, named: "d\(number)", .invite(digest: digest)) }
            }
            return try await group.reduce(into: [Admission]()) { $0.append($1) }
        }
        let winners = answers.filter { if case .member = $0 { true } else { false } }
        #expect(winners.count == 3)
        #expect(try test.store.devices().count == 3)
    }

    @Test func namesOfMembersAreUniqueWithoutRegardToCase() async throws {
        let test = try TestStore()
        #expect(try await test.admit(1, named: "Laptop") == .member(name: "Laptop", isNew: true))
        #expect(try await test.admit(2, named: "laptop") == .member(name: "laptop-2", isNew: true))
        #expect(try await test.admit(3, named: "laptop") == .member(name: "laptop-3", isNew: true))
    }

    @Test func aDeviceThatCameByTokenShowsItEachTimeUntilItJoins() async throws {
        let test = try TestStore()
        #expect(try await test.admit(1, named: "phone", .token) == .member(name: "phone", isNew: true))
        #expect(try await test.admit(1, named: "phone", .token) == .member(name: "phone", isNew: false))
        #expect(try await test.admit(1, named: "phone", .none) == .unknown)
        try test.store.addInvite(
            digest: digest,
            label: "",
            expires: test.now + .seconds(60),
            usesAllowed: 1,
            at: test.now
        )
        #expect(try await test.admit(1, named: "phone", .invite(digest: digest)) == .member(name: "phone", isNew: true))
        #expect(try await test.admit(1, named: "phone", .none) == .member(name: "phone", isNew: false))
    }

    @Test func aRemovedDeviceComesBackOnlyWithAnInvite() async throws {
        var test = try TestStore()
        _ = try await test.admit(1, named: "phone")
        let removed = try test.store.removeDevice(named: "PHONE", at: test.now)
        #expect(removed?.name == "phone")
        #expect(try test.store.removeDevice(named: "phone", at: test.now) == nil)
        let time = test.now
        test.now = test.now + .seconds(5)
        #expect(try await test.admit(1, named: "phone", .none) == .removed(at: time))
        #expect(try await test.admit(1, named: "phone", .token) == .removed(at: time))
        try test.store.addInvite(
            digest: digest,
            label: "",
            expires: test.now + .seconds(60),
            usesAllowed: 1,
            at: test.now
        )
        #expect(try await test.admit(1, named: "phone", .invite(digest: digest)) == .member(name: "phone", isNew: true))
    }
}
