// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

@Suite struct YamuxStreamTests {
    private static let frpCredit: UInt32 = 6 * 1024 * 1024 - 256 * 1024

    @Test func anOpenLikeFrpsGrantsTheWholeWindowAtOnce() throws {
        var configuration = YamuxConfiguration.frp
        configuration.pingInterval = nil
        var client = YamuxSolo(.client, configuration)
        #expect(try client.open() == 1)
        #expect(client.outputs == [.sent(.windowUpdate, .open, streamID: 1, length: Self.frpCredit)])
        #expect(try client.open() == 3)

        var server = YamuxSolo(.server, configuration)
        #expect(server.receive(.windowUpdate, .open, streamID: 1, length: Self.frpCredit) == [.streamOpened(1)])
        #expect(server.session.sendWindow(of: 1) == 6 * 1024 * 1024)
        let accepted = server.handle(.accept(1))
        #expect(accepted == [.sent(.windowUpdate, .acknowledge, streamID: 1, length: Self.frpCredit)])
        #expect(try server.open() == 2)
    }

    @Test func creditGoesBackWhenHalfTheWindowWasRead() throws {
        var configuration = YamuxConfiguration.frp
        configuration.pingInterval = nil
        var server = YamuxSolo(.server, configuration)
        server.receive(.windowUpdate, .open, streamID: 1)
        server.handle(.accept(1))
        let half = 3 * 1024 * 1024
        server.receive(.data, streamID: 1, length: UInt32(half))
        #expect(server.handle(.payload(half)) == [])
        #expect(server.handle(.consumed(1, half - 1)) == [])
        #expect(server.handle(.consumed(1, 1)) == [.sent(.windowUpdate, streamID: 1, length: UInt32(half))])
        #expect(server.session.bufferedBytes == 0)
    }

    @Test func aFastReadersWindowGrowsAndASlowOnesStays() {
        var pair = YamuxSolo(.server)
        for (id, pause, expected) in [(UInt32(1), Duration.milliseconds(1), UInt32(384)), (3, .seconds(1), 128)] {
            pair.receive(.windowUpdate, .open, streamID: id)
            pair.handle(.accept(id))
            pair.now = pair.now + pause
            pair.receive(.data, streamID: id, length: 128 * 1024)
            pair.handle(.payload(128 * 1024))
            let sent = pair.handle(.consumed(id, 128 * 1024))
            #expect(sent == [.sent(.windowUpdate, streamID: id, length: expected * 1024)])
        }
    }

    @Test func windowsGrowOnlyAsFarAsTheSessionAllows() {
        var configuration = YamuxConfiguration.withoutPings
        configuration.maximumGrownWindow = 1024 * 1024
        var server = YamuxSolo(.server, configuration)
        var granted: UInt32 = 0
        for id in stride(from: UInt32(1), to: 200, by: 2) {
            server.receive(.windowUpdate, .open, streamID: id)
            server.handle(.accept(id))
            for _ in 0..<8 {
                server.receive(.data, streamID: id, length: 128 * 1024)
                server.handle(.payload(128 * 1024))
                for case .transmit(let header) in server.handle(.consumed(id, 128 * 1024)) {
                    granted += header.length
                }
                granted -= min(granted, 128 * 1024)
            }
        }
        #expect(granted <= 1024 * 1024)
    }

    @Test func bothDirectionsEndOnTheirOwn() throws {
        var pair = YamuxPair(client: .withoutPings, server: .withoutPings)
        let id = try pair.open(.client)
        pair.handle(.client, .send(id, 1000))
        pair.handle(.client, .finish(id))
        pair.settle()
        #expect(pair.events[1] == [.streamOpened(id), .streamFinished(id)])
        #expect(pair.received[1][id] == 1000)
        pair.handle(.server, .send(id, 70_000))
        pair.handle(.server, .finish(id))
        pair.settle()
        #expect(pair.events[0] == [.streamFinished(id)])
        // Unread bytes keep a stream that has otherwise ended.
        #expect(pair.sessions.map(\.activeStreamCount) == [1, 1])
        pair.read(.server, id, 1000)
        pair.read(.client, id, 70_000)
        pair.settle()
        #expect(pair.sessions.map(\.activeStreamCount) == [0, 0])
    }

    @Test func theEndIsToldAfterTheDataThatCameWithIt() {
        var server = YamuxSolo(.server)
        server.receive(.data, [.open, .finish], streamID: 1, length: 10)
        server.handle(.accept(1))
        #expect(server.session.payloadStreamID == 1)
        #expect(server.handle(.payload(4)) == [])
        #expect(server.handle(.payload(6)) == [.streamFinished(1)])
        #expect(server.session.payloadStreamID == nil)
    }

    @Test func aUsedUpWindowStopsTheSenderUntilCreditComes() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        #expect(client.handle(.send(id, 256 * 1024)) == [.sent(.data, streamID: id, length: 256 * 1024)])
        #expect(client.session.sendWindow(of: id) == 0)
        #expect(client.receive(.windowUpdate, .acknowledge, streamID: id, length: 0) == [])
        #expect(client.receive(.windowUpdate, streamID: id, length: 500) == [.windowOpened(id)])
        #expect(client.receive(.windowUpdate, streamID: id, length: 500) == [])
        #expect(client.session.sendWindow(of: id) == 1000)
    }

    @Test func aResetEndsTheStreamForBothEnds() throws {
        var pair = YamuxPair(client: .withoutPings, server: .withoutPings)
        let id = try pair.open(.client)
        pair.settle()
        pair.handle(.server, .reset(id))
        pair.settle()
        #expect(pair.events[0] == [.streamReset(id, .peer)])
        #expect(pair.sessions.map(\.activeStreamCount) == [0, 0])
    }

    @Test func framesForAStreamThatIsGoneAreThrownAway() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        client.handle(.reset(id))
        #expect(client.receive(.data, streamID: id, length: 100) == [])
        #expect(client.session.payloadStreamID == nil)
        #expect(client.session.payloadRemaining == 100)
        #expect(client.handle(.payload(100)) == [])
        #expect(client.receive(.windowUpdate, .finish, streamID: id) == [])
        #expect(client.receive(.windowUpdate, .reset, streamID: id) == [])
        #expect(client.session.activeStreamCount == 0)
    }

    @Test func closingWithEverythingReadWaitsForThePeersEnd() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        #expect(client.handle(.close(id)) == [.sent(.windowUpdate, .finish, streamID: id)])
        #expect(client.session.activeStreamCount == 1)
        #expect(client.receive(.windowUpdate, .finish, streamID: id) == [])
        #expect(client.session.activeStreamCount == 0)
    }

    @Test func dataAfterACloseIsAnsweredWithAReset() throws {
        var client = YamuxSolo(.client)
        let id = try client.open()
        client.handle(.close(id))
        #expect(client.receive(.data, streamID: id, length: 9) == [.sent(.windowUpdate, .reset, streamID: id)])
        #expect(client.handle(.payload(9)) == [])
        #expect(client.session.activeStreamCount == 0 && client.session.bufferedBytes == 0)
    }

    @Test func closingWithUnreadDataResets() {
        var server = YamuxSolo(.server)
        server.receive(.windowUpdate, .open, streamID: 1)
        server.handle(.accept(1))
        server.receive(.data, streamID: 1, length: 50)
        server.handle(.payload(50))
        #expect(server.handle(.close(1)) == [.sent(.windowUpdate, .reset, streamID: 1)])
        #expect(server.session.bufferedBytes == 0)
    }

    @Test func opensBeyondTheBacklogWaitForAcknowledgements() throws {
        var configuration = YamuxConfiguration.withoutPings
        configuration.acceptBacklog = 4
        var client = YamuxSolo(.client, configuration)
        let ids = try (0..<6).map { _ in try client.open() }
        #expect(client.outputs == [])
        #expect(client.session.sendWindow(of: ids[4]) == 0)
        #expect(client.handle(.finish(ids[5])) == [])
        let first = client.receive(.windowUpdate, .acknowledge, streamID: ids[2])
        #expect(first == [.sent(.windowUpdate, .open, streamID: ids[4]), .windowOpened(ids[4])])
        let second = client.receive(.windowUpdate, .reset, streamID: ids[0])
        #expect(
            second == [
                .sent(.windowUpdate, .open, streamID: ids[5]),
                .sent(.windowUpdate, .finish, streamID: ids[5]),
                .windowOpened(ids[5]),
                .streamReset(ids[0], .peer),
            ]
        )
    }
}
