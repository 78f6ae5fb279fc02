// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Shares one bandwidth among those who want to send, in turns.
///
/// Whoever wants to send asks first. While nobody waits, what the bucket holds is given at once. Otherwise everybody who
/// waits gets up to one quantum in each round, so that one who sends much takes nothing away from one who sends little.
package struct BandwidthScheduler: Sendable {
    /// What may be sent now.
    package struct Grant: Sendable, Equatable {
        /// Who may send.
        package var member: UInt64
        /// How many bytes.
        package var bytes: Int
    }

    /// The most that one turn gives, in bytes.
    package static let quantum = 16 * 1024

    private let burst: Int64
    private var bucket: TokenBucket
    private var wanted: [UInt64: Int] = [:]
    private var order: [UInt64] = []
    private var head = 0

    /// Makes a scheduler whose bucket is full: a tenth of a second's bytes, and not less than a quantum of a rate that
    /// gives as much in a second.
    package init(_ bandwidth: Bandwidth, at now: Instant) {
        let rate = bandwidth.bytesPerSecond
        burst = max(rate / 10, min(rate, Int64(Self.quantum)))
        bucket = TokenBucket(count: rate, per: .seconds(1), burst: burst, at: now)
    }

    /// How many bytes may pass beyond the rate's.
    package var burstByteCount: Int64 { burst }

    /// How many wait for their turn.
    package var waitingCount: Int { wanted.count }

    /// Asks to send; how many bytes of it may go now. The rest waits for its turn.
    package mutating func request(_ bytes: Int, for member: UInt64, at now: Instant) -> Int {
        var rest = bytes
        if wanted.isEmpty {
            rest -= Int(bucket.take(upTo: Int64(bytes), at: now))
            guard rest > 0 else { return bytes }
        }
        if let earlier = wanted[member] {
            wanted[member] = earlier + rest
        } else {
            wanted[member] = rest
            order.append(member)
        }
        return bytes - rest
    }

    /// Asks to send all of it now or nothing at all: for datagrams, which do not wait.
    package mutating func admit(_ bytes: Int, at now: Instant) -> Bool {
        // One that is larger than the bucket would never pass.
        bucket.take(min(Int64(bytes), burst), at: now)
    }

    /// Forgets what a member waits for; `bytes` are those that it has sent without waiting.
    package mutating func withdraw(_ member: UInt64, charging bytes: Int = 0, at now: Instant) {
        wanted[member] = nil
        if bytes > 0 { bucket.charge(Int64(bytes), at: now) }
        if wanted.isEmpty {
            order.removeAll(keepingCapacity: true)
            head = 0
        }
    }

    /// The next turn that can be given now; nil when there is none.
    package mutating func nextGrant(at now: Instant) -> Grant? {
        while head < order.count {
            let member = order[head]
            guard let want = wanted[member] else {
                advance()
                continue
            }
            let turn = turn(of: want)
            guard bucket.take(Int64(turn), at: now) else { return nil }
            advance()
            if want > turn {
                wanted[member] = want - turn
                order.append(member)
            } else {
                wanted[member] = nil
            }
            return Grant(member: member, bytes: turn)
        }
        return nil
    }

    /// When the next turn can be given; nil while nobody waits.
    package mutating func nextDeadline(at now: Instant) -> Instant? {
        while head < order.count {
            guard let want = wanted[order[head]] else {
                advance()
                continue
            }
            return bucket.time(of: Int64(turn(of: want)), at: now)
        }
        return nil
    }

    private func turn(of want: Int) -> Int { min(want, Self.quantum, Int(burst)) }

    /// Takes the first out of the line; the array is shortened when half of it is behind.
    private mutating func advance() {
        head += 1
        guard head == order.count || (head >= 64 && head * 2 > order.count) else { return }
        order.removeFirst(head)
        head = 0
    }
}
