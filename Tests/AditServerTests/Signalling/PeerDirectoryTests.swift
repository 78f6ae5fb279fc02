// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@testable import AditServer

struct PeerDirectoryTests {
    private final class Session: Sendable {}

    private static let start = Instant(nanoseconds: 0)
    private var directory = PeerDirectory<Session>()

    private mutating func found(
        _ name: String,
        _ run: String = "",
        service: String = "",
        at now: Instant = start
    ) -> String {
        words(directory.receiver(named: name, run: run, service: service, at: now))
    }

    private func words(_ receiver: PeerDirectory<Session>.Receiver) -> String {
        switch receiver {
        case .session(let session): "\(ObjectIdentifier(session))"
        case .noService: "noService"
        case .noStreams: "noStreams"
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

    @Test mutating func aServiceLeadsToTheNewestRunThatHasIt() {
        let (first, second, third) = (Session(), Session(), Session())
        for (session, run) in [(first, "a"), (second, "b"), (third, "c")] {
            directory.insert(session, name: "desk", run: run, takesSignals: true, takesStreams: true, at: Self.start)
        }
        #expect(directory.announce(AditServices(names: ["ssh", "web"]), of: first) == true)
        #expect(directory.announce(AditServices(names: ["ssh"]), of: second) == true)
        #expect(found("desk", service: "ssh") == "\(ObjectIdentifier(second))")
        #expect(found("desk", service: "web") == "\(ObjectIdentifier(first))")
        #expect(found("desk", service: "rdp") == "noService")
        #expect(found("nobody", service: "ssh") == "none")
        // A run that is named is meant, whatever it has.
        #expect(found("desk", "c", service: "ssh") == "\(ObjectIdentifier(third))")
        #expect(found("desk") == "\(ObjectIdentifier(third))")
        // What is told later stands for what was told before, unless it is more of it.
        #expect(directory.announce(AditServices(names: ["rdp"], isMore: true), of: second) == true)
        #expect(found("desk", service: "rdp") == "\(ObjectIdentifier(second))")
        #expect(directory.announce(AditServices(), of: second) == true)
        #expect(found("desk", service: "ssh") == "\(ObjectIdentifier(first))")
        directory.remove(first, name: "desk", at: Self.start)
        #expect(found("desk", service: "ssh") == "noService")
    }

    @Test mutating func noRunHasMoreServicesThanAreAllowed() {
        let session = Session()
        directory.insert(session, name: "desk", run: "a", takesSignals: true, takesStreams: true, at: Self.start)
        let names = (0..<AditServices.nameLimit).map { String($0) }
        #expect(directory.announce(AditServices(names: names), of: session) == true)
        #expect(directory.announce(AditServices(names: names, isMore: true), of: session) == true)
        #expect(directory.announce(AditServices(names: ["one more"], isMore: true), of: session) == false)
        #expect(directory.announce(AditServices(names: names + ["x"]), of: session) == false)
        #expect(directory.announce(AditServices(names: ["a\nb"]), of: session) == false)
        #expect(directory.announce(AditServices(names: ["a"]), of: Session()) == false)
    }

    @Test mutating func streamsAreCountedOnBothEnds() {
        let (sender, receiver, old) = (Session(), Session(), Session())
        directory.insert(sender, name: "eve", run: "e", takesSignals: true, takesStreams: true, at: Self.start)
        directory.insert(receiver, name: "desk", run: "a", takesSignals: true, takesStreams: true, at: Self.start)
        directory.insert(old, name: "old", run: "o", takesSignals: true, at: Self.start)
        #expect((0..<1000).count { _ in directory.mayOpenStream(sender, at: Self.start) } == 50)
        #expect(directory.mayOpenStream(Session(), at: Self.start) == false)
        #expect(words(directory.openStream(from: "eve", to: "old", run: "", service: "")) == "noStreams")
        #expect(words(directory.openStream(from: "eve", to: "nobody", run: "", service: "")) == "none")
        #expect(words(directory.openStream(from: "eve", to: "desk", run: "", service: "ssh")) == "noService")
        #expect(directory.streamCount == 0)
        var open = 0
        while words(directory.openStream(from: "eve", to: "desk", run: "a", service: "")) != "busy" { open += 1 }
        #expect(open == 64)
        for other in 0..<3 {
            while words(directory.openStream(from: "d\(other)", to: "desk", run: "", service: "")) != "busy" {
                open += 1
            }
        }
        #expect(open == 256 && directory.streamCount == 256)
        for _ in 0..<64 { directory.closeStream(from: "eve", to: "desk") }
        for other in 0..<3 { for _ in 0..<64 { directory.closeStream(from: "d\(other)", to: "desk") } }
        #expect(words(directory.openStream(from: "eve", to: "desk", run: "", service: "")) != "busy")
        directory.closeStream(from: "eve", to: "desk")
        directory.remove(sender, name: "eve", at: Self.start)
        directory.remove(receiver, name: "desk", at: Self.start)
        directory.remove(old, name: "old", at: Self.start)
        // Who has left and comes back has no more streams to open than before.
        let again = Session()
        directory.insert(again, name: "eve", run: "e", takesSignals: true, takesStreams: true, at: Self.start)
        #expect(directory.mayOpenStream(again, at: Self.start) == false)
        directory.remove(again, name: "eve", at: Self.start + .seconds(20))
        #expect(directory.isEmpty)
    }
}
