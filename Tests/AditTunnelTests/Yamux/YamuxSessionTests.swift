// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

@Suite struct YamuxSessionTests {
    @Test func inDoubtAPeerHasToAnswerSoon() {
        var silent = YamuxSolo(.client, YamuxConfiguration())
        _ = silent.advance(by: .zero)
        _ = silent.receive(.ping, .acknowledge, length: 1)
        _ = silent.advance(by: .seconds(3))
        #expect(silent.handle(.check(.seconds(2))) == [.sent(.ping, .open, length: 2)])
        // A second doubt does not put the first one off.
        _ = silent.advance(by: .seconds(1))
        #expect(silent.handle(.check(.seconds(2))) == [])
        #expect(silent.advance(by: .seconds(1)) == [.failed(.peerUnresponsive)])

        var alive = YamuxSolo(.client, YamuxConfiguration())
        _ = alive.advance(by: .zero)
        _ = alive.receive(.ping, .acknowledge, length: 1)
        _ = alive.advance(by: .seconds(3))
        _ = alive.handle(.check(.seconds(2)))
        _ = alive.advance(by: .seconds(1))
        _ = alive.receive(.ping, .acknowledge, length: 2)
        #expect(alive.advance(by: .seconds(5)) == [])
        #expect(alive.advance(by: .seconds(4)) == [.sent(.ping, .open, length: 3)])
    }

    @Test func inDoubtAPeerWithoutPingsIsAskedToo() {
        var session = YamuxSolo(.client, .withoutPings)
        #expect(session.handle(.check(.seconds(2))) == [.sent(.ping, .open, length: 1)])
        #expect(session.advance(by: .seconds(2)) == [.failed(.peerUnresponsive)])
    }

    @Test func aPingIsEchoedAndItsAnswerGivesTheRoundTrip() {
        var session = YamuxSolo(.client, YamuxConfiguration())
        #expect(session.receive(.ping, .open, length: 99) == [.sent(.ping, .acknowledge, length: 99)])
        #expect(session.advance(by: .zero) == [.sent(.ping, .open, length: 1)])
        session.now = session.now + .milliseconds(30)
        #expect(session.receive(.ping, .acknowledge, length: 7) == [])
        #expect(session.receive(.ping, .acknowledge, length: 1) == [.roundTrip(.milliseconds(30))])
        #expect(session.session.roundTripTime == .milliseconds(30))
        session.now = Instant.zero
        #expect(session.advance(by: .seconds(10)) == [.sent(.ping, .open, length: 2)])
    }

    @Test(arguments: [0, 1, 4_999, 9_999, 12_345])
    func aSilentPeerIsNoticedWithinFifteenSeconds(_ milliseconds: Int) {
        var pair = YamuxPair()
        pair.advance(by: .seconds(60))
        pair.advance(by: .milliseconds(milliseconds))
        let silence = pair.now
        while pair.failures(.client).isEmpty, pair.now - silence < .seconds(60) {
            pair.now = pair.sessions[0].nextDeadline ?? pair.now
            pair.handle(.client, .deadline)
            pair.wires[0] = []
        }
        #expect(pair.failures(.client) == [.peerUnresponsive])
        #expect(pair.now - silence <= .seconds(15))
    }

    @Test func aPeerThatStillSendsIsAliveThoughItsAnswerIsLate() throws {
        var session = YamuxSolo(.server, YamuxConfiguration())
        session.receive(.windowUpdate, .open, streamID: 1)
        session.handle(.accept(1))
        var sent = session.advance(by: .zero)
        for _ in 0..<20 {
            sent += session.advance(by: .seconds(4))
            session.receive(.windowUpdate, streamID: 1, length: 1)
        }
        #expect(!sent.contains(.failed(.peerUnresponsive)))
        #expect(session.advance(by: .seconds(5)).contains(.failed(.peerUnresponsive)))
    }

    @Test func aConnectionThatTakesBytesAgainShowsAnAlivePeer() {
        var session = YamuxSolo(.server, YamuxConfiguration())
        var sent = session.advance(by: .zero)
        for _ in 0..<10 {
            session.handle(.writability(false))
            sent += session.advance(by: .seconds(3))
            session.handle(.writability(true))
        }
        #expect(!sent.contains(.failed(.peerUnresponsive)))
    }

    @Test func aMillionOpensCostNoMoreThanTheBacklog() {
        var server = YamuxSolo(.server)
        var opened = 0
        var refused = 0
        for number in 0..<UInt32(1_000_000) {
            server.session.handle(.header(YamuxHeader(.windowUpdate, .open, streamID: number * 2 + 1)), at: .zero)
            while let output = server.session.nextOutput() {
                switch output {
                case .streamOpened: opened += 1
                case .transmit(let header):
                    if header.flags == .reset { refused += 1 }
                default: Issue.record("unexpected \(output)")
                }
            }
        }
        #expect(opened == 256 && refused == 999_744)
        #expect(server.session.activeStreamCount == 256)
    }

    @Test func opensAndResetsInTurnLeaveNothingBehind() {
        var server = YamuxSolo(.server)
        for number in 0..<UInt32(100_000) {
            server.receive(.windowUpdate, .open, streamID: number * 2 + 1)
            server.handle(.accept(number * 2 + 1))
            server.receive(.windowUpdate, .reset, streamID: number * 2 + 1)
        }
        #expect(server.session.activeStreamCount == 0)
    }

    @Test func aPeerThatDoesNotTakeItsAnswersIsCutOff() {
        for header in [YamuxHeader(.ping, .open), YamuxHeader(.windowUpdate, .open, streamID: 1)] {
            var server = YamuxSolo(.server)
            server.handle(.writability(false))
            var outputs: [YamuxSession.Output] = []
            for number in 0..<UInt32(10_000) {
                var header = header
                if header.kind == .windowUpdate { header.streamID = number * 2 + 1 }
                outputs += server.handle(.header(header))
            }
            #expect(outputs.last == .failed(.repliesNotTaken))
            #expect(outputs.count <= 4096 + 256 + 1)
        }
    }

    @Test func breakingTheRulesEndsTheSessionWithAGoAway() {
        typealias Frame = (YamuxHeader.Kind, YamuxHeader.Flags, UInt32, UInt32)
        let cases: [(Frame, YamuxFailure)] = [
            ((.data, [], 0, 1), .invalidStreamID(0)),
            ((.data, [], 5, 1), .invalidStreamID(5)),
            ((.data, [], 2, 1), .invalidStreamID(2)),
            ((.windowUpdate, .open, 2, 0), .invalidStreamID(2)),
            ((.windowUpdate, .open, 0, 0), .invalidStreamID(0)),
            ((.windowUpdate, .open, 1, 0), .duplicateStream(1)),
            ((.data, [], 1, 256 * 1024 + 1), .windowExceeded(1)),
            ((.data, [], 1, .max), .windowExceeded(1)),
            ((.windowUpdate, [], 1, .max), .windowOverflow(1)),
            ((.data, [], 3, 1), .dataAfterEnd(3)),
        ]
        for ((kind, flags, id, length), failure) in cases {
            var server = YamuxSolo(.server)
            server.receive(.windowUpdate, .open, streamID: 1)
            server.handle(.accept(1))
            server.receive(.windowUpdate, [.open, .finish], streamID: 3)
            server.handle(.accept(3))
            let sent = server.receive(kind, flags, streamID: id, length: length)
            #expect(sent == [.sent(.goAway, length: 1), .failed(failure)])
            #expect(server.session.activeStreamCount == 0)
            #expect(server.session.nextDeadline == nil)
            #expect(server.handle(.accept(1)) == [])
        }
        var server = YamuxSolo(.server)
        #expect(
            server.handle(.malformedHeader(.version(9)))
                == [.sent(.goAway, length: 1), .failed(.malformedHeader(.version(9)))]
        )
    }

    @Test func aShutdownWaitsForTheLastStream() throws {
        var pair = YamuxPair(client: .withoutPings, server: .withoutPings)
        let id = try pair.open(.client)
        pair.settle()
        pair.handle(.server, .shutDown)
        pair.settle()
        #expect(pair.events[0] == [.peerGoingAway])
        #expect(throws: YamuxOpenError.goingAway) { try pair.open(.client) }
        #expect(throws: YamuxOpenError.goingAway) { try pair.open(.server) }
        pair.handle(.client, .finish(id))
        pair.handle(.server, .finish(id))
        pair.settle()
        #expect(pair.events[1].last == .finished)
    }

    @Test func opensDuringAShutdownAreRefused() {
        var server = YamuxSolo(.server)
        server.receive(.windowUpdate, .open, streamID: 1)
        #expect(server.handle(.shutDown) == [.sent(.goAway)])
        #expect(server.receive(.windowUpdate, .open, streamID: 3) == [.sent(.windowUpdate, .reset, streamID: 3)])
    }

    @Test func aGoAwayWithAnErrorEndsTheSession() {
        var client = YamuxSolo(.client)
        #expect(client.receive(.goAway, length: 2) == [.failed(.refusedByPeer(code: 2))])
    }

    @Test func aStreamThatNobodyAcknowledgesIsGivenUp() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        #expect(client.advance(by: .seconds(74)) == [])
        #expect(
            client.advance(by: .seconds(1)) == [
                .sent(.windowUpdate, .reset, streamID: id), .streamReset(id, .timeout),
            ]
        )
    }

    @Test func aClosedStreamDoesNotWaitForThePeersEndForEver() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        client.receive(.windowUpdate, .acknowledge, streamID: id)
        client.handle(.close(id))
        #expect(client.advance(by: .seconds(60)) == [.sent(.windowUpdate, .reset, streamID: id)])
        #expect(client.session.activeStreamCount == 0)
    }

    @Test func aHalfClosedStreamLivesOnUnlessATimeoutIsSet() throws {
        var configuration = YamuxConfiguration.withoutPings
        for timeout in [nil, Duration.seconds(300)] {
            configuration.halfClosedTimeout = timeout
            var client = YamuxSolo(.client, configuration)
            let id = try client.open()
            client.receive(.windowUpdate, .acknowledge, streamID: id)
            client.handle(.finish(id))
            let sent = client.advance(by: .seconds(86_400))
            #expect(sent.contains(.streamReset(id, .timeout)) == (timeout != nil))
        }
    }

    @Test func unreadBytesOfAllStreamsTogetherAreBounded() {
        var configuration = YamuxConfiguration.withoutPings
        configuration.maximumBufferedBytes = 1024 * 1024
        var server = YamuxSolo(.server, configuration)
        var reset: [UInt32] = []
        for id in stride(from: UInt32(1), to: 40, by: 2) {
            server.receive(.windowUpdate, .open, streamID: id)
            server.handle(.accept(id))
            let outputs = server.receive(.data, streamID: id, length: 256 * 1024)
            for case .streamReset(let id, .limit) in outputs { reset.append(id) }
            server.handle(.payload(256 * 1024))
            #expect(server.session.bufferedBytes <= 1024 * 1024)
        }
        #expect(reset.count == 16)
        #expect(server.session.activeStreamCount == 4)
    }

    @Test func noMoreStreamsAreOpenedThanMayBe() throws {
        var configuration = YamuxConfiguration.withoutPings
        configuration.maximumStreams = 10
        var server = YamuxSolo(.server, configuration)
        for id in stride(from: UInt32(1), to: 21, by: 2) {
            server.receive(.windowUpdate, .open, streamID: id)
            server.handle(.accept(id))
        }
        #expect(server.receive(.windowUpdate, .open, streamID: 21) == [.sent(.windowUpdate, .reset, streamID: 21)])
        #expect(throws: YamuxOpenError.tooManyStreams) { try server.open() }
    }
}
