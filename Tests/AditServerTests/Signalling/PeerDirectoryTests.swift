// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditServer

struct PeerDirectoryTests {
    private final class Session: Sendable {}

    private static let start = Instant(nanoseconds: 0)
    private var directory = PeerDirectory<Session>()

    private mutating func found(_ name: String, _ run: String = "", at now: Instant = start) -> String {
        switch directory.receiver(named: name, run: run, at: now) {
        case .session(let session): "\(ObjectIdentifier(session))"
        case .runEnded: "runEnded"
        case .deaf: "deaf"
        case .busy: "busy"
        case .none: "none"
        }
    }

    @Test mutating func theNewestRunAnswersUnlessOneIsNamed() {
        let (first, second) = (Session(), Session())
        directory.insert(first, name: "desk", run: "a", takesSignals: true, at: Self.start)
        directory.insert(second, name: "desk", run: "b", takesSignals: true, at: Self.start)
        #expect(found("desk") == "\(ObjectIdentifier(second))")
        #expect(found("desk", "a") == "\(ObjectIdentifier(first))")
        #expect(found("desk", "c") == "runEnded")
        #expect(found("nobody") == "none")
        directory.remove(second, name: "desk", at: Self.start)
        #expect(found("desk") == "\(ObjectIdentifier(first))")
        #expect(found("desk", "b") == "runEnded")
        directory.remove(first, name: "desk", at: Self.start)
        #expect(found("desk") == "none")
        #expect(directory.isEmpty)
    }

    @Test mutating func aDeviceThatTakesNoSignalsIsThereAndDeaf() {
        let (session, other) = (Session(), Session())
        directory.insert(session, name: "desk", run: "a", takesSignals: false, at: Self.start)
        #expect(found("desk") == "deaf")
        #expect(directory.maySend(session, at: Self.start) == false)
        directory.insert(other, name: "desk", run: "b", takesSignals: true, at: Self.start)
        #expect(found("desk") == "\(ObjectIdentifier(other))")
        directory.remove(session, name: "desk", at: Self.start)
        directory.remove(session, name: "nobody", at: Self.start)
        directory.remove(other, name: "desk", at: Self.start)
        #expect(directory.isEmpty)
    }

    @Test mutating func aFloodIsCutOffAtTheSenderAndAtTheReceiver() {
        let (sender, receiver) = (Session(), Session())
        directory.insert(sender, name: "eve", run: "e", takesSignals: true, at: Self.start)
        directory.insert(receiver, name: "desk", run: "a", takesSignals: true, at: Self.start)
        let sent = (0..<10_000).filter { _ in directory.maySend(sender, at: Self.start) }.count
        #expect(sent == 120)
        let later = Self.start + .seconds(1)
        #expect((0..<10_000).filter { _ in directory.maySend(sender, at: later) }.count == 20)
        var taken = 0
        for _ in 0..<10_000 where found("desk") != "busy" { taken += 1 }
        #expect(taken == 240)
        #expect((0..<10_000).filter { _ in directory.mayBeRefused(sender, at: Self.start) }.count == 20)
        // A stranger has nothing to spend.
        #expect(directory.maySend(Session(), at: later) == false)
    }

    @Test mutating func moreSessionsAreNotMoreToSay() {
        let sessions = (0..<10).map { _ in Session() }
        for (number, session) in sessions.enumerated() {
            directory.insert(session, name: "eve", run: "\(number)", takesSignals: true, at: Self.start)
        }
        #expect((0..<2000).count { directory.maySend(sessions[$0 % 10], at: Self.start) } == 120)
        // Nor is coming back.
        for session in sessions { directory.remove(session, name: "eve", at: Self.start) }
        #expect(directory.count == 0 && !directory.isEmpty)
        let again = Session()
        directory.insert(again, name: "eve", run: "again", takesSignals: true, at: Self.start)
        #expect(directory.maySend(again, at: Self.start) == false)
        let later = Self.start + .seconds(1)
        #expect((0..<1000).count { _ in directory.maySend(again, at: later) } == 20)
        // Whoever has left is forgotten when nothing is owed any more.
        directory.remove(again, name: "eve", at: later)
        let other = Session()
        directory.insert(other, name: "desk", run: "a", takesSignals: true, at: later + .seconds(7))
        directory.remove(other, name: "desk", at: later + .seconds(7))
        #expect(directory.isEmpty)
    }
}
