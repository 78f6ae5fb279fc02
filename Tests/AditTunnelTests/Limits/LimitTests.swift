// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite struct TokenBucketTests {
    @Test(arguments: [1, 3, 7, 999, 65_536, 300_000_007, 900_000_000_000])
    func `never gives more than rate times time plus burst, and no less when asked all the time`(rate: Int64) {
        let burst = max(1, rate / 10)
        var bucket = TokenBucket(count: rate, per: .seconds(1), burst: burst, at: .zero)
        var generator = SeededGenerator(seed: UInt64(rate))
        var now = Instant.zero
        var taken: Int128 = 0
        for _ in 0..<5000 {
            // Steps shorter than the time in which the bucket fills, so that nothing runs over.
            now = now + .nanoseconds(Int64.random(in: 0...20_000_000, using: &generator))
            taken += Int128(bucket.take(upTo: Int64.max / 4, at: now))
            let bound = Int128(rate) * Int128(now.nanoseconds) / 1_000_000_000 + Int128(burst)
            #expect(taken <= bound)
        }
        let due = Int128(rate) * Int128(now.nanoseconds) / 1_000_000_000
        // Very slow buckets hold one token, and that one may be there for up to a step before it is taken.
        if rate >= 999 { #expect(taken >= due) } else { #expect(taken >= due - due / 10 - 1) }
    }

    @Test func `says exactly when tokens will be there`() {
        var bucket = TokenBucket(count: 3, per: .seconds(1), burst: 3, at: .zero)
        let result1 = bucket.take(3, at: .zero)
        #expect(result1)
        let ready = bucket.time(of: 2, at: .zero)
        let result2 = bucket.take(2, at: Instant(nanoseconds: ready.nanoseconds - 1))
        #expect(!result2)
        let result3 = bucket.take(2, at: ready)
        #expect(result3)
        #expect(ready.nanoseconds == 666_666_667)
    }

    @Test func `time that goes back changes nothing`() {
        var bucket = TokenBucket(count: 10, per: .seconds(1), burst: 10, at: Instant(nanoseconds: 5_000_000_000))
        let result4 = bucket.take(upTo: 10, at: Instant(nanoseconds: 5_000_000_000))
        #expect(result4 == 10)
        let result5 = bucket.take(upTo: 10, at: .zero)
        #expect(result5 == 0)
        let result6 = bucket.take(upTo: 10, at: Instant(nanoseconds: 5_500_000_000))
        #expect(result6 == 5)
    }

    @Test func `what was used without asking is made up for`() {
        var bucket = TokenBucket(count: 10, per: .seconds(1), burst: 10, at: .zero)
        bucket.charge(30, at: .zero)
        let result7 = bucket.take(upTo: 10, at: Instant(nanoseconds: 2_000_000_000))
        #expect(result7 == 0)
        let result8 = bucket.take(upTo: 10, at: Instant(nanoseconds: 3_000_000_000))
        #expect(result8 == 10)
    }
}

@Suite struct BandwidthSchedulerTests {
    private static func bandwidth(_ bytes: Int64) throws -> Bandwidth {
        try #require(Bandwidth(bytesPerSecond: bytes))
    }

    /// Lets members that always want more send for a while; what each has sent.
    private static func run(
        _ rate: Int64,
        seconds: Int64,
        wants: [UInt64: Int],
        check: (Instant, Int) -> Void = { _, _ in }
    ) throws -> [UInt64: Int] {
        var scheduler = BandwidthScheduler(try bandwidth(rate), at: .zero)
        var now = Instant.zero
        var sent: [UInt64: Int] = [:]
        var open: [UInt64: Int] = [:]
        let end = Instant(nanoseconds: seconds * 1_000_000_000)
        while now <= end {
            for (member, want) in wants.sorted(by: { $0.key < $1.key }) where open[member, default: 0] == 0 {
                let taken = scheduler.request(want, for: member, at: now)
                sent[member, default: 0] += taken
                open[member] = want - taken
            }
            while let grant = scheduler.nextGrant(at: now) {
                sent[grant.member, default: 0] += grant.bytes
                open[grant.member, default: 0] -= grant.bytes
            }
            check(now, sent.values.reduce(0, +))
            guard let next = scheduler.nextDeadline(at: now) else {
                now = now + .milliseconds(1)
                continue
            }
            // As the driver does it: not more often than once in a millisecond.
            now = max(next, now + .milliseconds(1))
        }
        return sent
    }

    @Test(arguments: [1024, 100_000, 2_097_152, 125_000_000] as [Int64])
    func `gives the whole rate, and never more than the rate and the burst`(rate: Int64) throws {
        let burst = BandwidthScheduler(try Self.bandwidth(rate), at: .zero).burstByteCount
        let sent = try Self.run(rate, seconds: 10, wants: [1: max(65_536, Int(rate / 50))]) { now, total in
            let bound = Int128(rate) * Int128(now.nanoseconds) / 1_000_000_000 + Int128(burst)
            #expect(Int128(total) <= bound)
        }
        #expect(Int64(sent[1] ?? 0) >= rate * 10 - max(65_536, rate / 50))
    }

    @Test func `shares evenly between those who want much`() throws {
        let wants = Dictionary(uniqueKeysWithValues: (1...7).map { (UInt64($0), 200_000) })
        let sent = try Self.run(1_048_576, seconds: 20, wants: wants)
        let least = try #require(sent.values.min())
        let most = try #require(sent.values.max())
        #expect(most - least <= 200_000)
        #expect(sent.count == 7)
    }

    @Test func `one who wants little is not kept waiting by one who wants much`() throws {
        var scheduler = BandwidthScheduler(try Self.bandwidth(1_048_576), at: .zero)
        _ = scheduler.request(50_000_000, for: 1, at: .zero)
        let result9 = scheduler.request(100, for: 2, at: .zero)
        #expect(result9 == 0)
        var now = Instant.zero
        var passed: Instant?
        while passed == nil, now < Instant(nanoseconds: 1_000_000_000) {
            let next = scheduler.nextDeadline(at: now)
            now = try #require(next)
            while let grant = scheduler.nextGrant(at: now) {
                if grant.member == 2 { passed = now }
            }
        }
        // One quantum of the other's at most is before it.
        #expect(try #require(passed).nanoseconds <= 32_000_000)
    }

    @Test func `who leaves is forgotten and has no deadline`() throws {
        var scheduler = BandwidthScheduler(try Self.bandwidth(1024), at: .zero)
        let result10 = scheduler.nextDeadline(at: .zero)
        #expect(result10 == nil)
        for member in 1...500 { _ = scheduler.request(10_000, for: UInt64(member), at: .zero) }
        for member in 1...500 { scheduler.withdraw(UInt64(member), at: .zero) }
        #expect(scheduler.waitingCount == 0)
        let result11 = scheduler.nextDeadline(at: .zero)
        #expect(result11 == nil)
        let result12 = scheduler.nextGrant(at: .zero)
        #expect(result12 == nil)
    }

    @Test func `a datagram passes whole or not at all`() throws {
        var scheduler = BandwidthScheduler(try Self.bandwidth(100_000), at: .zero)
        var passed = 0
        for step in 0..<1000 {
            let now = Instant(nanoseconds: Int64(step) * 10_000_000)
            for _ in 0..<4 where scheduler.admit(1200, at: now) { passed += 1200 }
        }
        #expect((980_000...1_020_000).contains(passed))
    }
}

@Suite struct SourceRateLimiterTests {
    @Test func `each address has its own count`() throws {
        var limiter = SourceRateLimiter(try #require(Rate("3/m")))
        let first = try #require(IPAddress("192.0.2.1"))
        let second = try #require(IPAddress("192.0.2.2"))
        for _ in 0..<3 {
            let wait = limiter.admit(first, at: .zero)
            #expect(wait == nil)
        }
        let result13 = limiter.admit(first, at: .zero) == .seconds(20)
        #expect(result13)
        let result14 = limiter.admit(second, at: .zero)
        #expect(result14 == nil)
        let result15 = limiter.admit(first, at: Instant(nanoseconds: 20_000_000_000))
        #expect(result15 == nil)
        let result16 = limiter.admit(first, at: Instant(nanoseconds: 20_000_000_000))
        #expect(result16 != nil)
    }

    @Test func `the hosts of one IPv6 network count together, and a mapped address as its IPv4 address`() throws {
        var limiter = SourceRateLimiter(try #require(Rate("1/h")))
        let result17 = try limiter.admit(#require(IPAddress("2001:db8::1")), at: .zero)
        #expect(result17 == nil)
        let result18 = try limiter.admit(#require(IPAddress("2001:db8::ffff:2")), at: .zero)
        #expect(result18 != nil)
        let result19 = try limiter.admit(#require(IPAddress("192.0.2.1")), at: .zero)
        #expect(result19 == nil)
        let result20 = try limiter.admit(#require(IPAddress("::ffff:192.0.2.1")), at: .zero)
        #expect(result20 != nil)
    }

    @Test func `a flood of addresses does not grow the table, and quiet addresses go first`() throws {
        var limiter = SourceRateLimiter(try #require(Rate("1/h")), capacity: 64)
        for number in 0..<10_000 {
            _ = limiter.admit(.v4(UInt32(number)), at: Instant(nanoseconds: Int64(number)))
            #expect(limiter.count <= 64)
        }
        let result21 = limiter.admit(.v4(9999), at: Instant(nanoseconds: 10_000))
        #expect(result21 != nil)
    }
}

@Suite struct LimitTextTests {
    @Test func `rates are read as they are written`() throws {
        for text in ["1/s", "300/m", "1000000/h"] { #expect(Rate(text)?.description == text) }
        for text in ["", "0/s", "1", "1/d", "/s", "-1/s", "1.5/s", "1/s/s", "1000001/s", "1/ss", "٣/s", "1 /s"] {
            #expect(Rate(text) == nil, "\(text)")
        }
    }

    @Test func `a bandwidth of bytes is spelled as it can be read again`() throws {
        for bytes: Int64 in [1024, 1_048_576, 1_572_864, 500 * 1024] {
            let bandwidth = try #require(Bandwidth(bytesPerSecond: bytes))
            #expect(Bandwidth(bandwidth.description)?.bytesPerSecond == bytes)
        }
        #expect(Bandwidth(bytesPerSecond: 0) == nil)
        #expect(Bandwidth("0.0001KB") == nil)
    }
}
