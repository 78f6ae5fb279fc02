// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

extension YamuxSession {
    mutating func receive(_ header: YamuxHeader, at now: Instant) {
        precondition(payloadRemaining == 0, "a header arrived inside a payload")
        lastActivity = max(lastActivity, now)
        switch header.kind {
        case .data, .windowUpdate: receiveStreamFrame(header, at: now)
        case .ping: receivePing(header, at: now)
        case .goAway: receiveGoAway(code: header.length, at: now)
        }
    }

    mutating func receivePayload(_ count: Int, at now: Instant) {
        precondition(count > 0 && count <= payloadRemaining, "more payload than announced")
        lastActivity = max(lastActivity, now)
        payloadRemaining -= count
        guard payloadRemaining == 0, let id = payloadStreamID else { return }
        payloadStreamID = nil
        if let stream = streams[id], stream.endsAfterPayload { endRemote(id, at: now) }
    }

    private mutating func receivePing(_ header: YamuxHeader, at now: Instant) {
        if header.flags.contains(.open) {
            reply(.ping, .acknowledge, length: header.length)
        } else if let sentAt = pingSentAt, header.length == pingValue {
            pingSentAt = nil
            roundTripTime = now - sentAt
            if roundTrips.count == 4 { roundTrips.removeFirst() }
            roundTrips.append(now - sentAt)
            emit(.roundTrip(now - sentAt))
        }
    }

    private mutating func receiveGoAway(code: UInt32, at now: Instant) {
        guard code == 0 else {
            fail(.refusedByPeer(code: code))
            return
        }
        guard !isPeerGoingAway else { return }
        isPeerGoingAway = true
        emit(.peerGoingAway)
        while let (id, _) = waitingOpens.first {
            waitingOpens.removeFirst()
            guard streams[id]?.phase == .waiting else { continue }
            remove(id, at: now)
            emit(.streamReset(id, .goingAway))
        }
    }

    private func isOwn(_ id: UInt32) -> Bool {
        (id & 1 == 1) == (role == .client)
    }

    private mutating func receiveStreamFrame(_ header: YamuxHeader, at now: Instant) {
        let id = header.streamID
        if header.kind == .data {
            payloadRemaining = Int(header.length)
            payloadStreamID = nil
        }
        if header.flags.contains(.open), !receiveOpen(header, at: now) { return }
        guard let index = streams.index(forKey: id), streams.values[index].phase != .waiting else {
            let wasOpened = isOwn(id) ? id < nextID && streams[id] == nil : id <= highestPeerID
            // Frames that were under way when this end broke the stream off are no fault of the peer's.
            if id == 0 || !wasOpened { fail(.invalidStreamID(id)) }
            return
        }
        if header.flags.contains(.reset) {
            let isDetached = streams.values[index].isDetached
            remove(id, at: now)
            if !isDetached { emit(.streamReset(id, .peer)) }
            return
        }
        if streams.values[index].phase == .opening {
            // Any frame shows that the peer knows the stream, so a peer that is sparing with flags is understood too.
            streams.values[index].phase = .established
            openingCount -= 1
            startWaitingOpens(at: now)
        }
        switch header.kind {
        case .windowUpdate: receiveCredit(header.length, index, id)
        default: receiveDataHeader(header, index, at: now)
        }
        guard header.flags.contains(.finish), !isOver else { return }
        if payloadRemaining > 0, payloadStreamID == id {
            if let index = streams.index(forKey: id) { streams.values[index].endsAfterPayload = true }
        } else {
            endRemote(id, at: now)
        }
    }

    /// Takes a frame that opens a stream; false when the rest of the frame is of no interest.
    private mutating func receiveOpen(_ header: YamuxHeader, at now: Instant) -> Bool {
        let id = header.streamID
        guard id != 0, !isOwn(id) else {
            fail(.invalidStreamID(id))
            return false
        }
        guard streams[id] == nil else {
            fail(.duplicateStream(id))
            return false
        }
        highestPeerID = max(highestPeerID, id)
        if header.flags.contains(.reset) { return false }
        guard !isShuttingDown, unacceptedCount < configuration.acceptBacklog,
            streams.count < configuration.maximumStreams
        else {
            reply(.windowUpdate, .reset, streamID: id)
            return false
        }
        streams[id] = YamuxStreamState(
            phase: .unaccepted,
            windowLimit: YamuxConfiguration.initialWindow,
            lastGrant: now
        )
        unacceptedCount += 1
        emit(.streamOpened(id))
        return true
    }

    private mutating func receiveCredit(
        _ credit: UInt32,
        _ index: Dictionary<UInt32, YamuxStreamState>.Index,
        _ id: UInt32
    ) {
        guard credit > 0 else { return }
        let (sum, overflow) = streams.values[index].sendWindow.addingReportingOverflow(credit)
        guard !overflow else {
            fail(.windowOverflow(id))
            return
        }
        let wasUsedUp = streams.values[index].sendWindow == 0
        streams.values[index].sendWindow = sum
        if wasUsedUp, !streams.values[index].isLocalEnded { emit(.windowOpened(id)) }
    }

    private mutating func receiveDataHeader(
        _ header: YamuxHeader,
        _ index: Dictionary<UInt32, YamuxStreamState>.Index,
        at now: Instant
    ) {
        guard header.length > 0 else { return }
        let id = header.streamID
        guard !streams.values[index].isRemoteEnded else {
            fail(.dataAfterEnd(id))
            return
        }
        guard header.length <= streams.values[index].receiveWindow else {
            fail(.windowExceeded(id))
            return
        }
        streams.values[index].receiveWindow -= header.length
        guard !streams.values[index].isDetached else {
            sendReset(id, at: now)
            return
        }
        guard bufferedBytes + Int(header.length) <= configuration.maximumBufferedBytes else {
            sendReset(id, at: now)
            emit(.streamReset(id, .limit))
            return
        }
        // The whole payload counts from its header on, so that no credit is granted for bytes under way.
        bufferedBytes += Int(header.length)
        streams.values[index].bufferedBytes += header.length
        payloadStreamID = id
    }

    /// The peer's direction of a stream is complete.
    private mutating func endRemote(_ id: UInt32, at now: Instant) {
        guard let index = streams.index(forKey: id), !streams.values[index].isRemoteEnded else { return }
        streams.values[index].isRemoteEnded = true
        if !streams.values[index].isDetached { emit(.streamFinished(id)) }
        if streams.values[index].isOver { remove(id, at: now) }
    }
}
