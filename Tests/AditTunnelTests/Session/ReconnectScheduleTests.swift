// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("When to try again")
struct ReconnectScheduleTests {
    @Test("At once, then doubling waits that never exceed 30 s", arguments: 0..<20)
    func backOff(_ seed: UInt64) {
        var schedule = ReconnectSchedule(seed: seed)
        var waits: [Duration] = []
        for _ in 0..<20 { waits.append(schedule.nextDelay(at: .zero)) }
        #expect(waits[0] == .zero)
        for (wait, nominal) in zip(waits.dropFirst(), [1, 2, 4, 8, 16, 30, 30, 30]) {
            #expect(wait >= .seconds(nominal) * 0.79)
            #expect(wait <= min(.seconds(nominal) * 1.21, .seconds(30)))
        }
        #expect(waits.allSatisfy { $0 <= .seconds(30) })
    }

    @Test("A session that lived starts the schedule anew, one that was dropped at once does not")
    func stability() {
        var schedule = ReconnectSchedule(seed: 1)
        for _ in 0..<6 { _ = schedule.nextDelay(at: .zero) }
        schedule.connected(at: .zero)
        let afterDrop = schedule.nextDelay(at: .zero + .seconds(9))
        #expect(afterDrop > .seconds(5))
        schedule.connected(at: .zero)
        let afterLife = schedule.nextDelay(at: .zero + .seconds(10))
        #expect(afterLife == .zero)
    }

    @Test("A draining server is given the time it asked for, within reason")
    func draining() {
        var schedule = ReconnectSchedule(seed: 1)
        schedule.connected(at: .zero)
        schedule.draining(for: .seconds(20), at: .zero + .seconds(100))
        let wait = schedule.nextDelay(at: .zero + .seconds(105))
        #expect(wait > .seconds(13) && wait < .seconds(17))
        schedule.draining(for: .seconds(1_000_000), at: .zero)
        let longest = schedule.nextDelay(at: .zero)
        #expect(longest <= .seconds(330))
        schedule.draining(for: .seconds(20), at: .zero)
        schedule.reset()
        let first = schedule.nextDelay(at: .zero)
        #expect(first == .zero)
    }
}

@Suite("Failed logins by address")
struct AttemptLimiterTests {
    private let address = IPAddress.v4(0xC633_6407)

    @Test("Ten failures are free, then the address waits six seconds for each further try")
    func limit() {
        var limiter = AttemptLimiter()
        for _ in 0..<9 { limiter.recordFailure(address, at: .zero) }
        #expect(limiter.isBlocked(address, at: .zero) == false)
        limiter.recordFailure(address, at: .zero)
        #expect(limiter.isBlocked(address, at: .zero))
        #expect(limiter.isBlocked(.v4(1), at: .zero) == false)
        #expect(limiter.isBlocked(address, at: .zero + .seconds(5)))
        #expect(limiter.isBlocked(address, at: .zero + .seconds(7)) == false)
    }

    @Test("A flood does not block for ever, and addresses of one IPv6 network count together")
    func recovery() {
        var limiter = AttemptLimiter()
        for low in 0..<1000 { limiter.recordFailure(.v6(high: 5, low: UInt64(low)), at: .zero) }
        #expect(limiter.count == 1)
        #expect(limiter.isBlocked(.v6(high: 5, low: 77777), at: .zero + .seconds(50)))
        #expect(limiter.isBlocked(.v6(high: 5, low: 77777), at: .zero + .seconds(70)) == false)
    }

    @Test("The table stays within its bound under a flood of addresses")
    func bound() {
        var limiter = AttemptLimiter(capacity: 100)
        for number in 0..<10_000 { limiter.recordFailure(.v4(UInt32(number)), at: .zero + .milliseconds(number)) }
        #expect(limiter.count <= 100)
    }
}
