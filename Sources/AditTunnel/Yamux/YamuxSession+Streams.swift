// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire

extension YamuxSession {
    /// Opens a stream and returns its id; bytes may be sent at once within `sendWindow(of:)`.
    ///
    /// Beyond `acceptBacklog` unacknowledged streams the open waits and the window reads 0 until `.windowOpened`.
    package mutating func open(at now: Instant) throws(YamuxOpenError) -> UInt32 {
        guard !isOver, !isShuttingDown, !isPeerGoingAway else { throw .goingAway }
        guard streams.count < configuration.maximumStreams else { throw .tooManyStreams }
        guard nextID <= UInt32.max - 2 else { throw .idsExhausted }
        let id = nextID
        nextID += 2
        streams[id] = YamuxStreamState(phase: .waiting, windowLimit: takeStartingWindow(), lastGrant: now)
        if openingCount < configuration.acceptBacklog {
            sendOpen(id, at: now)
        } else {
            waitingOpens.append(id, due: now, limit: 2 * configuration.maximumStreams) { [streams] in
                streams[$0]?.phase == .waiting
            }
        }
        return id
    }

    mutating func startWaitingOpens(at now: Instant) {
        while openingCount < configuration.acceptBacklog, let (id, _) = waitingOpens.first {
            waitingOpens.removeFirst()
            guard streams[id]?.phase == .waiting else { continue }
            sendOpen(id, at: now)
            emit(.windowOpened(id))
        }
    }

    private mutating func sendOpen(_ id: UInt32, at now: Instant) {
        guard let index = streams.index(forKey: id) else { return }
        openingCount += 1
        streams.values[index].phase = .opening
        let credit = streams.values[index].missingCredit
        streams.values[index].receiveWindow += credit
        transmit(.windowUpdate, .open, streamID: id, length: credit)
        if streams.values[index].isLocalEnded { transmit(.windowUpdate, .finish, streamID: id) }
        openDeadlines.append(id, due: now + configuration.openTimeout, limit: 2 * configuration.maximumStreams) {
            [streams] in streams[$0]?.phase == .opening
        }
    }

    private mutating func takeStartingWindow() -> UInt32 {
        let grown = Int(configuration.startingWindow - YamuxConfiguration.initialWindow)
        guard grownWindow + grown <= configuration.maximumGrownWindow else { return YamuxConfiguration.initialWindow }
        grownWindow += grown
        return configuration.startingWindow
    }

    mutating func accept(_ id: UInt32, at now: Instant) {
        guard let index = streams.index(forKey: id), streams.values[index].phase == .unaccepted else { return }
        unacceptedCount -= 1
        streams.values[index].phase = .established
        streams.values[index].windowLimit = takeStartingWindow()
        streams.values[index].lastGrant = now
        let credit = streams.values[index].isRemoteEnded ? 0 : streams.values[index].missingCredit
        streams.values[index].receiveWindow += credit
        guard credit == 0, configuration.acknowledgementDelay > .zero else {
            reply(.windowUpdate, .acknowledge, streamID: id, length: credit)
            return
        }
        streams.values[index].owesAcknowledgement = true
        acknowledgementDeadlines.append(
            id,
            due: now + configuration.acknowledgementDelay,
            limit: 2 * configuration.maximumStreams
        ) { [streams] in streams[$0]?.owesAcknowledgement ?? false }
    }

    mutating func consume(_ id: UInt32, _ count: Int, at now: Instant) {
        guard let index = streams.index(forKey: id) else { return }
        precondition(count >= 0 && count <= Int(streams.values[index].bufferedBytes), "more consumed than received")
        bufferedBytes -= count
        streams.values[index].bufferedBytes -= UInt32(count)
        if streams.values[index].isRemoteEnded {
            if streams.values[index].isOver { remove(id, at: now) }
            return
        }
        if streams.values[index].endsAfterPayload { return }
        guard streams.values[index].phase != .unaccepted,
            streams.values[index].missingCredit >= streams.values[index].windowLimit / 2
        else { return }
        if streams.values[index].isKeptShort {
            fitWindow(index, at: now)
        } else {
            growWindow(index, at: now)
        }
        let credit = streams.values[index].missingCredit
        guard credit > 0 else { return }
        streams.values[index].receiveWindow += credit
        let flags = streams.values[index].takeAcknowledgement()
        transmit(.windowUpdate, flags, streamID: id, length: credit)
    }

    /// Doubles the window of a stream whose reader used half of it within a few round trips: the window, not the
    /// reader, is what holds such a stream back.
    private mutating func growWindow(_ index: Dictionary<UInt32, YamuxStreamState>.Index, at now: Instant) {
        let limit = streams.values[index].windowLimit
        let elapsed = now - streams.values[index].lastGrant
        streams.values[index].lastGrant = now
        let fast = max((roundTripTime ?? .milliseconds(100)) * 4, .milliseconds(20))
        guard limit < configuration.maximumStreamWindow, elapsed < fast else { return }
        let larger = UInt32(min(UInt64(limit) * 2, UInt64(configuration.maximumStreamWindow)))
        guard grownWindow + Int(larger - limit) <= configuration.maximumGrownWindow else { return }
        grownWindow += Int(larger - limit)
        streams.values[index].windowLimit = larger
    }

    mutating func keepShort(_ id: UInt32) {
        guard let index = streams.index(forKey: id) else { return }
        streams.values[index].isKeptShort = true
        setWindow(index, YamuxConfiguration.shortestWindow)
    }

    /// Fits the window of a stream to what its reader takes in two round trips and a little: a sender that is ahead of
    /// its reader by more only has old bytes under way. The shortest of the latest round trips counts, since the others
    /// may have stood behind just these bytes.
    private mutating func fitWindow(_ index: Dictionary<UInt32, YamuxStreamState>.Index, at now: Instant) {
        let taken = Int64(streams.values[index].missingCredit)
        let elapsed = max(1, (now - streams.values[index].lastGrant).wholeNanoseconds)
        streams.values[index].lastGrant = now
        let horizon = min((roundTrips.min() ?? .milliseconds(50)) * 2 + .milliseconds(10), .seconds(5))
        let limit = Int64(streams.values[index].windowLimit)
        let fitting = min(max(taken * horizon.wholeNanoseconds / elapsed, limit / 2), limit * 2)
        let bounds = Int64(YamuxConfiguration.shortestWindow)...Int64(configuration.maximumStreamWindow)
        setWindow(index, UInt32(min(max(fitting, bounds.lowerBound), bounds.upperBound)))
    }

    private mutating func setWindow(_ index: Dictionary<UInt32, YamuxStreamState>.Index, _ limit: UInt32) {
        let former = streams.values[index].windowLimit
        let formerGrown = streams.values[index].grownWindow
        streams.values[index].windowLimit = limit
        let grown = grownWindow - formerGrown + streams.values[index].grownWindow
        guard limit < former || grown <= configuration.maximumGrownWindow else {
            streams.values[index].windowLimit = former
            return
        }
        grownWindow = grown
    }

    mutating func send(_ id: UInt32, _ count: Int) {
        guard let index = streams.index(forKey: id) else { return }
        precondition(!streams.values[index].isLocalEnded, "data after the end of data")
        precondition(
            count > 0 && count <= Int(streams.values[index].sendWindow) && streams.values[index].phase != .waiting,
            "more sent than the window allows"
        )
        streams.values[index].sendWindow -= UInt32(count)
        let flags = streams.values[index].takeAcknowledgement()
        transmit(.data, flags, streamID: id, length: UInt32(count))
    }

    mutating func finish(_ id: UInt32, at now: Instant) {
        guard let index = streams.index(forKey: id), !streams.values[index].isLocalEnded else { return }
        if streams.values[index].phase == .unaccepted { accept(id, at: now) }
        guard !isOver else { return }
        streams.values[index].isLocalEnded = true
        if streams.values[index].phase == .waiting { return }
        let flags = streams.values[index].takeAcknowledgement()
        transmit(.windowUpdate, flags.union(.finish), streamID: id)
        if streams.values[index].isOver {
            remove(id, at: now)
        } else if let timeout = configuration.halfClosedTimeout, !streams.values[index].isRemoteEnded {
            halfClosedDeadlines.append(id, due: now + timeout, limit: 2 * configuration.maximumStreams) { [streams] in
                streams[$0].map { !$0.isRemoteEnded } ?? false
            }
        }
    }

    mutating func close(_ id: UInt32, at now: Instant) {
        guard let index = streams.index(forKey: id) else { return }
        if streams.values[index].phase == .waiting {
            remove(id, at: now)
            return
        }
        guard streams.values[index].bufferedBytes == 0, payloadStreamID != id else {
            // What the peer sent and nobody read is lost, and the peer has to learn that.
            sendReset(id, at: now)
            return
        }
        streams.values[index].isDetached = true
        finish(id, at: now)
        guard let index = streams.index(forKey: id) else { return }
        if streams.values[index].isOver {
            remove(id, at: now)
            return
        }
        lingerDeadlines.append(id, due: now + configuration.lingerTimeout, limit: 2 * configuration.maximumStreams) {
            [streams] in streams[$0]?.isDetached ?? false
        }
    }

    mutating func sendReset(_ id: UInt32, at now: Instant) {
        guard let stream = streams[id] else { return }
        remove(id, at: now)
        if stream.phase != .waiting { reply(.windowUpdate, .reset, streamID: id) }
    }

    /// Forgets a stream and gives back everything it held.
    mutating func remove(_ id: UInt32, at now: Instant) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        bufferedBytes -= Int(stream.bufferedBytes)
        grownWindow -= stream.grownWindow
        if payloadStreamID == id { payloadStreamID = nil }
        switch stream.phase {
        case .unaccepted: unacceptedCount -= 1
        case .opening:
            openingCount -= 1
            startWaitingOpens(at: now)
        case .waiting, .established: break
        }
        if isShuttingDown, streams.isEmpty { complete() }
    }

    mutating func shutDown(at now: Instant) {
        guard !isShuttingDown else { return }
        isShuttingDown = true
        transmit(.goAway, [], length: 0)
        if streams.isEmpty { complete() }
    }

    private mutating func complete() {
        isOver = true
        nextPing = nil
        pingSentAt = nil
        emit(.finished)
    }
}
