// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What a connection has to send, by sequence number.
struct TCPSendQueue {
    /// What an acknowledgment said.
    enum Progress {
        case nothing
        /// Three repeated acknowledgments: the first segment is missing (RFC 5681 section 3.2).
        case lost
        /// Bytes arrived; the new retransmission timeout where a round trip was measured.
        case progress(Duration?)
    }

    /// The number of the SYN.
    let first: UInt32
    /// The next number to send.
    private(set) var next: UInt32
    /// The largest segment's data, in bytes.
    var maximumSize: Int
    /// Whether FIN follows the last byte.
    var finIsQueued = false
    /// Whether the FIN was sent before the other side's came.
    private(set) var finWasFirst = false
    /// Whether the other side has everything.
    private(set) var finIsAcknowledged = false

    private var unacknowledged: UInt32
    /// One after the last number that was ever sent; `next` goes back when what flies counts as lost.
    private var highest: UInt32
    /// The bytes from `unacknowledged` on, beginning at `head`.
    private var bytes: [UInt8] = []
    private var head = 0
    private var finIsSent = false
    private var window = 65_535
    private var congestionWindow: Int
    private var threshold = Int.max
    private var repeated = 0
    private var measured: (number: UInt32, at: Instant)?
    private var roundTrip: Double?
    private var variation = 0.0

    init(first: UInt32, maximumSize: Int) {
        self.first = first
        self.maximumSize = maximumSize
        next = first &+ 1
        highest = first &+ 1
        unacknowledged = first
        congestionWindow = 10 * maximumSize
    }

    /// How many bytes have not been acknowledged.
    var waitingCount: Int { bytes.count - head }

    var hasUnacknowledged: Bool { unacknowledged != next }

    mutating func append(_ more: [UInt8]) {
        if bytes.isEmpty { bytes = more } else { bytes.append(contentsOf: more) }
    }

    mutating func established(_ acknowledgment: UInt32) {
        unacknowledged = acknowledgment
        next = acknowledgment
        highest = acknowledgment
    }

    /// The next segment that may leave; nil when there is none or the windows are full.
    mutating func nextSegment(finAfterPeer: Bool, _ now: Instant) -> LabSegment? {
        guard !finIsSent else { return nil }
        let flying = Int(next &- unacknowledged)
        let waiting = bytes.count - head - flying
        let room = min(window, congestionWindow) - flying
        if waiting > 0, room > 0 {
            let count = min(waiting, room, maximumSize)
            let start = head + flying
            let segment = LabSegment(
                sequence: next,
                flags: count == waiting ? [.psh, .ack] : .ack,
                payload: count == bytes.count ? bytes : Array(bytes[start..<start + count])
            )
            next = next &+ UInt32(count)
            if highest &- next >= 1 << 31 { highest = next }
            if measured == nil { measured = (next, now) }
            return segment
        }
        guard waiting == 0, finIsQueued else { return nil }
        let segment = LabSegment(sequence: next, flags: [.fin, .ack])
        finIsSent = true
        finWasFirst = !finAfterPeer
        next = next &+ 1
        highest = next
        return segment
    }

    /// The oldest segment that is not acknowledged, to be sent again.
    func firstUnacknowledged() -> LabSegment? {
        guard hasUnacknowledged else { return nil }
        let flying = Int(next &- unacknowledged) - (finIsSent ? 1 : 0)
        guard flying > 0 else { return LabSegment(sequence: unacknowledged, flags: [.fin, .ack]) }
        let count = min(flying, maximumSize)
        return LabSegment(sequence: unacknowledged, flags: .ack, payload: Array(bytes[head..<head + count]))
    }

    mutating func acknowledge(_ segment: LabSegment, at now: Instant) -> Progress {
        window = Int(segment.window)
        let advance = segment.acknowledgment &- unacknowledged
        let flying = next &- unacknowledged
        guard advance > 0, advance <= highest &- unacknowledged else {
            guard advance == 0, flying > 0, segment.sequenceLength == 0 else { return .nothing }
            repeated += 1
            guard repeated == 3 else { return .nothing }
            threshold = max(Int(flying) / 2, 2 * maximumSize)
            congestionWindow = threshold
            measured = nil
            return .lost
        }
        // A repeated acknowledgment stood for a gap; the next one shows at once where the next gap is.
        repeated = 0
        var count = Int(advance)
        unacknowledged = segment.acknowledgment
        if advance > flying { next = unacknowledged }
        // The FIN is the one number beyond the bytes.
        if count > bytes.count - head {
            finIsSent = true
            finIsAcknowledged = true
            count = bytes.count - head
        }
        head += count
        if head == bytes.count {
            bytes.removeAll(keepingCapacity: false)
            head = 0
        } else if head > 1 << 16, head > bytes.count / 2 {
            bytes.removeFirst(head)
            head = 0
        }
        congestionWindow += congestionWindow < threshold ? count : max(1, maximumSize * count / congestionWindow)
        congestionWindow = min(congestionWindow, 1 << 20)
        return .progress(sample(now))
    }

    /// Everything that flies counts as lost (RFC 5681 section 3.1), and is sent again from the first byte on.
    mutating func timedOut() {
        threshold = max(Int(next &- unacknowledged) / 2, 2 * maximumSize)
        congestionWindow = maximumSize
        measured = nil
        repeated = 0
        let size = min(bytes.count - head, Int(next &- unacknowledged) - (finIsSent ? 1 : 0), maximumSize)
        guard size > 0 else { return }
        next = unacknowledged &+ UInt32(size)
        finIsSent = false
    }

    /// The path takes no more than this: what flies is sent again in smaller segments.
    mutating func shrink(to size: Int) {
        maximumSize = size
        measured = nil
        let lost = Int(next &- unacknowledged) - (finIsSent ? 1 : 0)
        guard lost > 0 else { return }
        next = unacknowledged
        finIsSent = false
    }

    /// The retransmission timeout (RFC 6298 section 2).
    private mutating func sample(_ now: Instant) -> Duration? {
        guard let current = measured, unacknowledged &- current.number < 1 << 31 else { return nil }
        measured = nil
        let seconds = (now - current.at).inSeconds
        if let known = roundTrip {
            variation = 0.75 * variation + 0.25 * abs(known - seconds)
            roundTrip = 0.875 * known + 0.125 * seconds
        } else {
            roundTrip = seconds
            variation = seconds / 2
        }
        let timeout = (roundTrip ?? seconds) + max(0.01, 4 * variation)
        return .milliseconds(Int64(max(200, timeout * 1000)))
    }
}

/// What a connection has received, by sequence number.
struct TCPReceiveQueue {
    /// The next number that is expected.
    private(set) var next: UInt32
    /// Whether the other side's FIN and all before it are here.
    private(set) var isFinished = false

    private var early: [UInt32: LabSegment] = [:]

    init(next: UInt32) {
        self.next = next
    }

    /// Takes a segment; gives the bytes that are now in order.
    mutating func take(_ segment: LabSegment) -> [UInt8] {
        if segment.sequence == next, early.isEmpty {
            next = next &+ segment.sequenceLength
            if segment.flags.contains(.fin) { isFinished = true }
            return segment.payload
        }
        let ahead = segment.sequence &- next
        if ahead < 1 << 31 {
            if ahead < 1 << 17, early.count < 256 { early[segment.sequence] = segment }
        } else if segment.sequence &+ segment.sequenceLength &- next < 1 << 31 {
            // It begins with what is known and goes on beyond it.
            early[next] = trimmed(segment, by: Int(next &- segment.sequence))
        }
        var bytes: [UInt8] = []
        while !isFinished, let ready = early.removeValue(forKey: next) {
            bytes += ready.payload
            next = next &+ ready.sequenceLength
            if ready.flags.contains(.fin) { isFinished = true }
            // Segments cut anew may overlap with what was kept.
            for (number, kept) in early where next &- number < 1 << 31 && number != next {
                early[number] = nil
                let known = Int(next &- number)
                guard known < Int(kept.sequenceLength) else { continue }
                let rest = trimmed(kept, by: known)
                // The longest, whatever the order of the dictionary, which is another in each process.
                if rest.sequenceLength > early[next]?.sequenceLength ?? 0 { early[next] = rest }
            }
        }
        return bytes
    }

    private func trimmed(_ segment: LabSegment, by count: Int) -> LabSegment {
        var rest = segment
        rest.sequence = segment.sequence &+ UInt32(count)
        rest.payload = Array(segment.payload.dropFirst(count))
        return rest
    }
}
