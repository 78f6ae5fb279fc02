// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

/// The window of a stream that is kept short follows its reader, so that little is under way.
@Suite struct YamuxShortWindowTests {
    /// A sender that always has more, and a reader of a given speed, in steps of a millisecond.
    private struct Flood {
        var end = YamuxSolo(.server)
        var credit = 256 * 1024
        var unread = 0

        init() {
            end.receive(.windowUpdate, .open, streamID: 1)
            end.handle(.accept(1))
            end.handle(.keepShort(1))
        }

        /// The most that waited for the reader in the second half of the time.
        mutating func run(milliseconds: Int, bytesPerMillisecond: Int) -> Int {
            var worst = 0
            for step in 0..<milliseconds {
                end.now = end.now + .milliseconds(1)
                if credit > 0 {
                    end.receive(.data, streamID: 1, length: UInt32(credit))
                    end.handle(.payload(credit))
                    unread += credit
                    credit = 0
                }
                if step > milliseconds / 2 { worst = max(worst, unread) }
                let taken = min(bytesPerMillisecond, unread)
                unread -= taken
                for case .transmit(let header) in end.handle(.consumed(1, taken)) { credit += Int(header.length) }
            }
            return worst
        }
    }

    @Test func aSlowReaderHasLittleUnderWay() {
        var flood = Flood()
        #expect(flood.run(milliseconds: 4000, bytesPerMillisecond: 500) <= 128 * 1024)
        #expect(flood.unread > 0)
    }

    @Test func aFastReaderHasWhatItTakesInTwoRoundTrips() {
        // Without a measured round trip 50 milliseconds are assumed, and 10 are added to two.
        var flood = Flood()
        let worst = flood.run(milliseconds: 4000, bytesPerMillisecond: 10_000)
        #expect(worst > 900_000 && worst < 1_250_000)
    }

    @Test func aReaderThatBecomesSlowLosesItsWindow() {
        var flood = Flood()
        _ = flood.run(milliseconds: 4000, bytesPerMillisecond: 40_000)
        #expect(flood.unread > 1 << 20)
        #expect(flood.run(milliseconds: 20_000, bytesPerMillisecond: 500) <= 128 * 1024)
        #expect(flood.end.session.activeStreamCount == 1)
    }

    @Test func itNeverStalls() {
        var flood = Flood()
        for rate in [100_000, 3, 50_000, 100, 1_000_000, 1] {
            let before = flood.end.now
            _ = flood.run(milliseconds: 2000, bytesPerMillisecond: rate)
            #expect(flood.unread + flood.credit > 0, "stalled at \(rate)")
            #expect(flood.end.now > before)
        }
    }

    @Test func theWindowThatIsGivenBackIsForOthers() {
        var configuration = YamuxConfiguration.withoutPings
        configuration.startingWindow = 1 << 20
        configuration.maximumGrownWindow = (1 << 20) - 256 * 1024
        var end = YamuxSolo(.server, configuration)
        end.receive(.windowUpdate, .open, streamID: 1)
        #expect(end.handle(.accept(1)).contains(.sent(.windowUpdate, .acknowledge, streamID: 1, length: 768 * 1024)))
        end.handle(.keepShort(1))
        end.receive(.windowUpdate, .open, streamID: 3)
        #expect(end.handle(.accept(3)).contains(.sent(.windowUpdate, .acknowledge, streamID: 3, length: 768 * 1024)))
        end.handle(.reset(1))
        end.handle(.reset(3))
        end.receive(.windowUpdate, .open, streamID: 5)
        #expect(end.handle(.accept(5)).contains(.sent(.windowUpdate, .acknowledge, streamID: 5, length: 768 * 1024)))
    }
}
