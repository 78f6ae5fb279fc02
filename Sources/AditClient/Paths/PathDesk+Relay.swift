// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// A stream of a peer that has not said who it is; lives on the desk's event loop.
struct HeldStream {
    let place: PeerRun
    let key: [UInt8]
    let channel: any Channel
    let limit: Scheduled<Void>

    func end() {
        limit.cancel()
        channel.close(promise: nil)
    }
}

// Packets through the session: before any path is there, and where there is none.
//
// Whoever asks for a path opens the stream with the first signal. When both did, the one of the end that leads is kept.
extension PathDesk {
    private static let heldLimit = 64
    private static let heldLimitOfRun = 2
    private static let heldTime = TimeAmount.seconds(10)
    /// A stream on which nothing comes within this time leads nowhere.
    private static let tryTime = TimeAmount.seconds(3)
    private static let longestPause: Int64 = 30
    /// So long the loss of a stream may take to explain itself.
    private static let grace = TimeAmount.seconds(1)
    /// How long there has to be a path before the streams are given up.
    private static let overlap = TimeAmount.seconds(30)

    /// Whether packets may go through the session at all.
    private var mayRelay: Bool { hasServices && parts.options.policy != .directOnly }

    // MARK: Opening

    /// Opens a stream to a peer that is asked for, unless there is one, or a path.
    func openRelay(_ peer: DeskPeer, evenIfUnwanted: Bool = false) {
        guard mayRelay, isConnected, !hasStopped, peer.isWanted || evenIfUnwanted, let id = peer.id,
            evenIfUnwanted || !peer.hasPath,
            !peer.relay.isOpen, peer.relay.retry == nil, !peer.relay.isRefused, !isForbidden(peer)
        else { return }
        let first = AditPeerStream(peer: id.name, run: peer.place.run, service: peer.place.service)
        let stream = PacketStream(hearer(of: peer))
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        let opened = session.openStream(first) { channel in
            guard channel.eventLoop === bound.eventLoop else { throw ChannelError.operationUnsupported }
            try channel.pipeline.syncOperations.addHandler(bound.value)
        }
        guard let opened else { return }
        peer.relay.isOpening = true
        peer.relay.tries += 1
        let tried = peer.relay.tries
        opened.hop(to: eventLoop).assumeIsolated().whenComplete { [self] result in
            guard known[id] === peer, peer.relay.isOpening, peer.relay.tries == tried else { return stream.close() }
            peer.relay.isOpening = false
            let held = peer.relay.takeHeld()
            guard case .success = result, !hasStopped, peer.relay.theirs == nil || leads(id) else {
                stream.close()
                return tryLater(peer)
            }
            peer.relay.own = stream
            for batch in held { _ = stream.send(batch) }
            // The answer says that the peer has it, and how far away it is.
            stream.measure()
            peer.relay.retry = eventLoop.assumeIsolated().scheduleTask(in: Self.tryTime) { [self] in
                peer.relay.retry = nil
                guard peer.relay.own === stream, stream.heardAt == nil else { return }
                stream.close()
                peer.relay.own = nil
                tryLater(peer)
            }
        }
    }

    /// Packets to a peer whose key is known go behind the first signal, before it has said a word.
    func beginEarly(_ peer: DeskPeer) {
        guard peer.epoch == 0, !peer.isSought, peer.isWanted, peer.relay.isOpen, let id = peer.id,
            keys.key(of: id.name)?.description == id.key
        else { return }
        peer.isSought = true
        delegate?.pathSought(id, leads: leads(id))
    }

    /// Nothing leads to a peer that has not said a word.
    func endEarly(_ peer: DeskPeer) {
        guard peer.isSought, peer.epoch == 0, let id = peer.id else { return }
        peer.isSought = false
        delegate?.pathEnded(id, .noAnswer)
    }

    private func tryLater(_ peer: DeskPeer) {
        defer { endEarly(peer) }
        guard peer.relay.retry == nil, peer.isWanted, let id = peer.id else { return }
        let pause = min(Self.longestPause, 1 << Int64(min(peer.relay.tries, 5)))
        peer.relay.retry = eventLoop.assumeIsolated().scheduleTask(in: .seconds(pause)) { [self] in
            peer.relay.retry = nil
            if known[id] === peer { openRelay(peer) }
        }
    }

    private func hearer(of peer: DeskPeer) -> PacketStream.Hearer {
        PacketStream.Hearer(
            packets: { [weak self, weak peer] _, packets in
                guard let self, let peer, peer.epoch != 0 || peer.isSought else { return }
                if peer.hasPath { peer.relay.strays.strayed(at: now) }
                deliver(packets, from: peer)
            },
            heard: { [weak self, weak peer] stream, trip in
                guard let self, let peer else { return }
                heard(peer, on: stream, trip)
            },
            ended: { [weak self, weak peer] stream in
                guard let self, let peer else { return }
                relayEnded(peer, stream)
            }
        )
    }

    // MARK: Streams of peers

    func accept(_ message: AditPeerStream, _ channel: any Channel) {
        guard mayRelay, !hasStopped, channel.eventLoop === eventLoop else { return channel.close(promise: nil) }
        let place = PeerRun(name: message.peer, run: message.run)
        if let peer = peers[place], peer.epoch != 0 {
            guard peer.key == message.key else { return channel.close(promise: nil) }
            return attach(channel, to: peer)
        }
        // Its signal may come a moment later; until then nothing is read of it.
        guard held.count < Self.heldLimit, held.count(where: { $0.place == place }) < Self.heldLimitOfRun else {
            return channel.close(promise: nil)
        }
        let limit = eventLoop.assumeIsolated().scheduleTask(in: Self.heldTime) { [self] in
            held.removeAll { $0.channel === channel }
            channel.close(promise: nil)
        }
        held.append(HeldStream(place: place, key: message.key, channel: channel, limit: limit))
    }

    func isHeld(_ place: PeerRun) -> Bool { held.contains { $0.place == place } }

    /// Takes the streams that came before the peer said who it is.
    func takeHeld(_ peer: DeskPeer) {
        let mine = held.filter { $0.place == peer.place }
        guard !mine.isEmpty else { return }
        held.removeAll { $0.place == peer.place }
        for stream in mine {
            stream.limit.cancel()
            if stream.key == peer.key, mayRelay {
                attach(stream.channel, to: peer)
            } else {
                stream.channel.close(promise: nil)
            }
        }
    }

    private func attach(_ channel: any Channel, to peer: DeskPeer) {
        guard let id = peer.id, !isForbidden(peer) else { return channel.close(promise: nil) }
        let stream = PacketStream(hearer(of: peer))
        do {
            let operations = channel.pipeline.syncOperations
            try operations.addHandler(stream)
            peer.relay.theirs?.close()
            peer.relay.theirs = stream
            if !leads(id) {
                peer.relay.own?.close()
                peer.relay.own = nil
            }
            try operations.handler(type: EarlyDataHandler.self).handOver()
        } catch {
            channel.close(promise: nil)
        }
    }

    // MARK: Use

    /// The stream on which packets to a peer go: when both ends opened one, that of the end that leads.
    func sendingStream(of peer: DeskPeer) -> PacketStream? {
        guard let id = peer.id else { return nil }
        return leads(id) ? peer.relay.own ?? peer.relay.theirs : peer.relay.theirs ?? peer.relay.own
    }

    /// Sends packets through the session; false when they went nowhere.
    func relay(_ batch: PacketBatch, to peer: DeskPeer) -> Bool {
        if let stream = sendingStream(of: peer) { return stream.send(batch) }
        openRelay(peer, evenIfUnwanted: true)
        if let stream = sendingStream(of: peer) { return stream.send(batch) }
        guard peer.relay.isOpening else { return false }
        peer.relay.hold(batch)
        return true
    }

    /// What came before the peer had said who it is counts now.
    func noteHeard(_ peer: DeskPeer) {
        guard peer.relay.upAt == nil, let stream = sendingStream(of: peer), stream.heardAt != nil else { return }
        heard(peer, on: stream, nil)
        stream.measure()
    }

    private func heard(_ peer: DeskPeer, on stream: PacketStream, _ trip: Duration?) {
        guard peer.epoch != 0, peer.relay.own === stream || peer.relay.theirs === stream else { return }
        let isFirst = peer.relay.upAt == nil
        if isFirst {
            peer.relay.upAt = now
            peer.relay.tries = 0
        }
        if let trip { peer.relay.roundTrip = trip }
        if isFirst { show(peer) }
        guard let trip, !peer.hasPath, let contact = peer.contact, let report = shown(peer) else { return }
        peer.report = report
        tell(.roundTrip(contact, trip, report))
    }

    private func relayEnded(_ peer: DeskPeer, _ stream: PacketStream) {
        if peer.relay.own === stream { peer.relay.own = nil }
        if peer.relay.theirs === stream { peer.relay.theirs = nil }
        guard peer.relay.own == nil, peer.relay.theirs == nil, !hasStopped else { return }
        peer.relay.upAt = nil
        peer.relay.roundTrip = nil
        peer.relay.retry?.cancel()
        peer.relay.retry = nil
        guard let id = peer.id, known[id] === peer else { return }
        // Nobody looks for a path, and now there is none.
        if peer.found == nil, !peer.isWanted, peer.lastPayload == nil { return ended(peer, .noPath) }
        if !peer.hasPath { tryLater(peer) }
        // A goodbye may be on its way, or the next stream: only what lasts is told.
        eventLoop.assumeIsolated().scheduleTask(in: Self.grace) { [self] in
            if known[id] === peer, peer.relay.upAt == nil { show(peer) }
        }
    }

    /// There is a path, or none any more: the streams are given up, or opened.
    func pathFound(_ peer: DeskPeer) {
        guard peer.hasPath else {
            peer.relay.closing?.cancel()
            peer.relay.closing = nil
            return openRelay(peer)
        }
        guard peer.relay.isOpen, peer.relay.closing == nil else { return }
        peer.relay.closing = eventLoop.assumeIsolated().scheduleTask(in: Self.overlap) { [self] in
            peer.relay.closing = nil
            guard peer.hasPath, let own = peer.relay.own else { return }
            // The peer may see the path otherwise than this end does.
            if let heardAt = own.heardAt, eventLoop.now - heardAt < Self.overlap { return pathFound(peer) }
            peer.relay.own = nil
            own.close()
            relayEnded(peer, own)
        }
    }

    /// The finder gave a peer up; one that is reached through the session stays until its stream ends.
    func finderEnded(_ peer: DeskPeer, _ failure: PathFailure) {
        guard failure == .noPath, peer.relay.upAt != nil else { return ended(peer, failure) }
        peer.lastPayload = nil
        if var report = peer.found {
            report.kind = .none
            peer.found = report
        }
        show(peer)
        peer.found = nil
    }

    // MARK: The report

    /// What is told of the path: the finder's word, and the session's relay where the finder has none.
    func shown(_ peer: DeskPeer) -> PathReport? {
        let found = peer.found ?? peer.report
        guard !peer.hasPath, let upAt = peer.relay.upAt, let id = peer.id, !isForbidden(peer) else {
            guard var report = peer.found ?? peer.report else { return nil }
            if peer.found == nil { report.kind = .none }
            if let first = peer.report?.timeToPath { report.timeToPath = min(first, report.timeToPath ?? first) }
            return report
        }
        var report = found ?? PathReport(since: upAt, isSideA: leads(id))
        report.kind = .relayed(.session)
        if case .noRelay(_, let reason) = report.reason { report.reason = reason }
        report.since = upAt
        report.roundTrip = peer.relay.roundTrip
        report.timeToPath = peer.report?.timeToPath ?? report.timeToPath ?? upAt - peer.begunAt
        return report
    }

    /// Whether an end wants direct paths only.
    private func isForbidden(_ peer: DeskPeer) -> Bool {
        if parts.options.policy == .directOnly { return true }
        if case .noRelay(.directOnly, _)? = peer.found?.reason { return true }
        return false
    }
}
