// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import Testing

@testable import adit

@Suite struct PingModelTests {
    private static let known = PathNAT(
        udp: PathNATBehavior(kind: .portRestrictedCone, mapping: .endpointIndependent),
        address: .v4(0xCB00_7107)
    )

    private static let desk = PathContact(id: PathPeerID(name: "desk", key: "k"), key: [])

    /// A model of a ping that stands, and the report of a direct path.
    private static func scene(_ settings: PingModel.Settings = PingModel.Settings()) -> (PingModel, PathReport) {
        var model = PingModel(peer: "desk", settings: settings, style: ScreenStyle(), at: .zero)
        model.connected(as: "laptop", offersSTUN: true)
        var report = PathReport(since: .zero, isSideA: true)
        report.kind = .direct(.udp)
        report.reason = .punched(.udp, a: nil, b: nil)
        report.roundTrip = .milliseconds(14)
        report.timeToDirect = .milliseconds(1300)
        return (model, report)
    }

    private static func lines(_ outputs: [ScreenOutput]) -> [String] {
        outputs.compactMap { if case .line(let text) = $0 { text } else { nil } }
    }

    @Test func aDirectPathIsShownAtOnceAndTheRestWhenBothNATsAreKnown() {
        var (model, report) = Self.scene()
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        #expect(Self.lines(model.takeOutput()) == ["desk   direct 14 ms after 1.3 s"])
        report.local = Self.known
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        report.remote = Self.known
        // Both are known, and the reason does not say so yet: it is on its way.
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        report.reason = .punched(.udp, a: .portRestrictedCone, b: .portRestrictedCone)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .finish)
        model.finish(at: .zero)
        #expect(
            Self.lines(model.takeOutput()) == [
                "    direct: each lets in what it has sent to (laptop: port-restricted cone, desk: port-restricted cone)",
                "    laptop   port-restricted cone · 203.0.113.7", "    desk     port-restricted cone · 203.0.113.7",
            ]
        )
    }

    @Test func whatIsNotKnownAfterAWhileIsNotWaitedFor() {
        var (model, report) = Self.scene()
        #expect(model.endPatience() == .wait)
        report.local = Self.known
        var (other, _) = Self.scene()
        #expect(other.handle(.changed(Self.desk, report), at: .zero) == .wait)
        #expect(other.endPatience() == .finish)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .finish)
        model.finish(at: .zero)
        #expect(Self.lines(model.takeOutput()).last == "    desk     NAT not known")
    }

    @Test func theReasonOfAnEarlierPathIsNotTold() {
        var (model, report) = Self.scene()
        report.local = Self.known
        report.remote = Self.known
        report.reason = .searching(a: .portRestrictedCone, b: .portRestrictedCone)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        #expect(model.takeOutput().isEmpty)
        report.reason = .ipv6(a: .v6(high: 1, low: 1), b: .v6(high: 2, low: 2))
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .finish)
    }

    @Test func aDirectPathThatTheOtherDeviceHasAlreadyIsWaitedForHoweverLate() {
        var (model, report) = Self.scene()
        let direct = report
        #expect(model.endPatience() == .wait)
        report.kind = .relayed(.session)
        report.roundTrip = .milliseconds(40)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        #expect(model.handle(.changed(Self.desk, direct), at: .zero) == .finish)
    }

    @Test func whoeverUsesTheRelayOnlyHasNoNATToWaitFor() {
        var (model, report) = Self.scene()
        report.kind = .relayed(.udp)
        report.reason = .relayOnly(.a)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .finish)
        model.finish(at: .zero)
        #expect(
            Self.lines(model.takeOutput()) == [
                "desk   relay 14 ms", "    relayed: laptop is set to use the relay only (--p2p off)",
            ]
        )
    }

    @Test func theSessionsRelayIsShownAndWhatFollowedIt() {
        var (model, report) = Self.scene()
        let direct = report
        report.kind = .relayed(.session)
        report.reason = .searching(a: nil, b: nil)
        #expect(model.handle(.roundTrip(Self.desk, .milliseconds(40), report), at: .zero) == .wait)
        #expect(model.handle(.changed(Self.desk, direct), at: .zero) == .wait)
        #expect(Self.lines(model.takeOutput()) == ["desk   relay by session 40 ms → direct 14 ms after 1.3 s"])
        // Another run of the device is another path.
        var other = Self.desk
        other.id.run = "r"
        #expect(model.handle(.ended(other, .left), at: .zero) == .wait)
        #expect(model.handle(.ended(Self.desk, .left), at: .zero) != .wait)
    }

    @Test func roundTripsAreCountedOneByOneAndRepeatedWhenTheyAreLost() {
        var (model, report) = Self.scene(PingModel.Settings(count: 2))
        report.local = Self.known
        report.remote = Self.known
        report.reason = .sameNetwork(a: .v4(1), b: .v4(2))
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .measure)
        // The same path: one round trip is on its way.
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .wait)
        #expect(model.awaited == 0)
        #expect(model.overdue(0) == .measure)
        #expect(model.handle(.roundTrip(Self.desk, .milliseconds(20), report), at: .zero) == .measureLater)
        #expect(model.overdue(0) == .wait)
        #expect(model.awaited == 1)
        report.kind = .direct(.tcp)
        #expect(model.handle(.changed(Self.desk, report), at: .zero) == .measure)
        #expect(model.handle(.roundTrip(Self.desk, .milliseconds(21), report), at: .zero) == .finish)
        #expect(Self.lines(model.takeOutput()) == ["desk   direct   20 ms", "desk   direct TCP   21 ms"])
        #expect(model.awaited == nil)
    }

    @Test func forProgramsThereIsALastLineWithoutAPathToo() {
        var (model, _) = Self.scene(PingModel.Settings(isJSON: true))
        model.fail(PathWords.failure(.noPath, "desk", reason: Text("because", zh: "因为")), at: .zero)
        let line = Self.lines(model.takeOutput()).first ?? ""
        #expect(line.hasPrefix("{\"event\":\"result\",\"afterMs\":0,\"peer\":\"desk\",\"path\":\"none\",\"error\":{"))
        #expect(line.contains("ADIT-413") && line.contains("because"))
    }
}
