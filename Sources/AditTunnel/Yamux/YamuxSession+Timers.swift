// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire

extension YamuxSession {
    /// When `.deadline` is due next; nil when nothing is.
    package var nextDeadline: Instant? {
        guard !isOver else { return nil }
        var earliest = pingSentAt.map { max($0, lastActivity) + configuration.pingTimeout } ?? nextPing
        let queues = [
            acknowledgementDeadlines.first, openDeadlines.first, lingerDeadlines.first, halfClosedDeadlines.first,
        ]
        for queue in queues {
            guard let due = queue?.due else { continue }
            earliest = min(earliest ?? due, due)
        }
        if let doubt { earliest = min(earliest ?? doubt.until, doubt.until) }
        return earliest
    }

    mutating func changeWritability(_ isWritable: Bool, at now: Instant) {
        isConnectionWritable = isWritable
        guard isWritable else { return }
        owedReplies = 0
        // A full connection that takes bytes again has a peer that took some.
        lastActivity = max(lastActivity, now)
    }

    /// Asks at once whether the peer is there. What comes is the answer, and what comes may be slow: six round trips are waited.
    mutating func check(within patience: Duration, at now: Instant) {
        guard doubt == nil else { return }
        let slow = (roundTrips.max() ?? .zero) * 6
        doubt = (now, now + max(patience, min(slow, configuration.pingTimeout)))
        if pingSentAt == nil { ping(at: now) }
    }

    private mutating func ping(at now: Instant) {
        pingValue &+= 1
        pingSentAt = now
        nextPing = configuration.pingInterval.map { now + $0 }
        transmit(.ping, .open, length: pingValue)
    }

    mutating func expire(at now: Instant) {
        if let doubt, lastActivity > doubt.since || now >= doubt.until {
            self.doubt = nil
            if lastActivity <= doubt.since { return fail(.peerUnresponsive) }
        }
        if let sentAt = pingSentAt {
            if now >= max(sentAt, lastActivity) + configuration.pingTimeout {
                fail(.peerUnresponsive)
                return
            }
        } else if let due = nextPing, now >= due {
            ping(at: now)
        }
        while let (id, due) = acknowledgementDeadlines.first, due <= now {
            acknowledgementDeadlines.removeFirst()
            guard let index = streams.index(forKey: id), streams.values[index].owesAcknowledgement else { continue }
            reply(.windowUpdate, streams.values[index].takeAcknowledgement(), streamID: id)
        }
        while let (id, due) = openDeadlines.first, due <= now {
            openDeadlines.removeFirst()
            if streams[id]?.phase == .opening { breakOff(id, at: now) }
        }
        while let (id, due) = lingerDeadlines.first, due <= now {
            lingerDeadlines.removeFirst()
            if streams[id]?.isDetached == true { sendReset(id, at: now) }
        }
        while let (id, due) = halfClosedDeadlines.first, due <= now {
            halfClosedDeadlines.removeFirst()
            if let stream = streams[id], !stream.isRemoteEnded { breakOff(id, at: now) }
        }
    }

    private mutating func breakOff(_ id: UInt32, at now: Instant) {
        let isDetached = streams[id]?.isDetached ?? true
        sendReset(id, at: now)
        if !isDetached { emit(.streamReset(id, .timeout)) }
    }
}
