// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

/// An acknowledgement may wait a little for a frame that it can travel on.
@Suite struct YamuxAcknowledgementTests {
    private func accepted() -> YamuxSolo {
        var configuration = YamuxConfiguration.withoutPings
        configuration.acknowledgementDelay = .milliseconds(20)
        var end = YamuxSolo(.client, configuration)
        end.receive(.windowUpdate, .open, streamID: 2)
        #expect(end.handle(.accept(2)) == [])
        return end
    }

    @Test func itTravelsOnTheFirstData() {
        var end = accepted()
        #expect(end.handle(.send(2, 10)) == [.sent(.data, .acknowledge, streamID: 2, length: 10)])
        #expect(end.handle(.send(2, 10)) == [.sent(.data, streamID: 2, length: 10)])
        end.now = end.now + .milliseconds(20)
        #expect(end.handle(.deadline) == [])
        #expect(end.session.nextDeadline == nil)
    }

    @Test func itTravelsOnTheEndOfData() {
        var end = accepted()
        #expect(end.handle(.finish(2)) == [.sent(.windowUpdate, [.acknowledge, .finish], streamID: 2)])
    }

    @Test func itTravelsOnCredit() {
        var end = accepted()
        end.receive(.data, streamID: 2, length: 128 * 1024)
        end.handle(.payload(128 * 1024))
        end.now = end.now + .seconds(1)
        let sent = end.handle(.consumed(2, 128 * 1024))
        #expect(sent == [.sent(.windowUpdate, .acknowledge, streamID: 2, length: 128 * 1024)])
    }

    @Test func itIsSentAloneWhenNothingElseIs() {
        var end = accepted()
        #expect(end.session.nextDeadline == end.now + .milliseconds(20))
        end.now = end.now + .milliseconds(19)
        #expect(end.handle(.deadline) == [])
        end.now = end.now + .milliseconds(1)
        #expect(end.handle(.deadline) == [.sent(.windowUpdate, .acknowledge, streamID: 2)])
        #expect(end.session.nextDeadline == nil)
    }

    @Test func aResetPaysNothing() {
        var end = accepted()
        #expect(end.handle(.reset(2)) == [.sent(.windowUpdate, .reset, streamID: 2)])
        end.now = end.now + .milliseconds(20)
        #expect(end.handle(.deadline) == [])
    }

    @Test func thePeerTakesItFromWhateverFrameItComesOn() throws {
        var opener = YamuxSolo(.server, .withoutPings)
        #expect(try opener.open() == 2)
        let deadline = opener.session.nextDeadline
        #expect(deadline != nil)
        opener.receive(.data, .acknowledge, streamID: 2, length: 1)
        opener.handle(.payload(1))
        opener.now = opener.now + .seconds(75)
        #expect(opener.handle(.deadline) == [])
        #expect(opener.handle(.send(2, 1)) == [.sent(.data, streamID: 2, length: 1)])
    }
}
