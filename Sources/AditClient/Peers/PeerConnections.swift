// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
import AditTransport
package import AditTraversal
package import NIOCore

/// The connections of this process to other devices, end to end encrypted, on whatever way `PathService` has to each; lives on the
/// service's event loop.
///
/// A connection outlives its ways: while there is none, it waits. Whoever asks for a device waits for the connection, and for the
/// path that the device's answer begins.
package final class PeerConnections: PathCarrierDelegate, ServicePeers {
    /// A connection with streams is kept so long without any way.
    private static let patience = TimeAmount.hours(12)
    /// Whoever says its first word within this time was there from the beginning.
    private static let promptness = TimeAmount.seconds(1)
    /// So long between two searches for a way that was lost.
    private static let searchPause = TimeAmount.seconds(20)

    /// Which way packets go, as far as it matters to a connection.
    private struct Way: Equatable {
        var kind: PathKind
        var local: IPEndpoint?
        var remote: IPEndpoint?
    }

    private struct Entry {
        var link: PeerLink
        var way: Way?
        /// When it was begun before the peer had said a word; nil once it has.
        var soughtAt: NIODeadline?
        /// The peer is gone for the desk, and the connection is kept in case that it comes back.
        var lostAt: NIODeadline?
        var search: Scheduled<Void>?
    }

    /// Somebody who waits for a direct path.
    private struct DirectWait {
        var hear: (Bool) -> Void
        var limit: Scheduled<Void>
    }

    private let eventLoop: any EventLoop
    private let identity: QUICIdentity
    private let paths: PathService
    private let take: (any Channel, ServicePeer) throws -> Void
    private var entries: [PathPeerID: Entry] = [:]
    private var waiting: [PathPeerID: [(Result<ServicePeer, AditError>) -> Void]] = [:]
    private var direct: [PathPeerID: [Int: DirectWait]] = [:]
    private var nextWait = 0
    private var isStopped = false

    /// Makes the connections of a device; `take` gets each stream that a peer opens.
    package init(_ key: DeviceKey, _ paths: PathService, take: @escaping (any Channel, ServicePeer) throws -> Void) {
        eventLoop = paths.eventLoop
        identity = QUICIdentity(key)
        self.paths = paths
        self.take = take
    }

    // MARK: ServicePeers

    package func connect(
        _ device: String,
        service: String,
        hear: @escaping (Result<ServicePeer, AditError>) -> Void
    ) {
        guard !isStopped else { return hear(.failure(ServiceProblem.noConnection(device))) }
        paths.connect(device, service: service).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let id): wait(for: id, hear)
            case .failure(let error): hear(.failure(error as? AditError ?? ServiceProblem.noConnection(device)))
            }
        }
    }

    package func whenDirect(_ id: PathPeerID, within time: TimeAmount, hear: @escaping (Bool) -> Void) {
        if paths.report(of: id)?.kind.isDirect == true { return hear(true) }
        guard !isStopped, time > .zero else { return hear(false) }
        let number = nextWait
        nextWait += 1
        let limit = eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            direct[id]?.removeValue(forKey: number)?.hear(false)
            if direct[id]?.isEmpty == true { direct[id] = nil }
        }
        direct[id, default: [:]][number] = DirectWait(hear: hear, limit: limit)
    }

    private func tellDirect(_ id: PathPeerID, _ isDirect: Bool) {
        for wait in (direct.removeValue(forKey: id) ?? [:]).values {
            wait.limit.cancel()
            wait.hear(isDirect)
        }
    }

    package func announce(_ services: [String]) {
        paths.announce(services)
    }

    private func wait(for id: PathPeerID, _ hear: @escaping (Result<ServicePeer, AditError>) -> Void) {
        waiting[id, default: []].append(hear)
        entries[id]?.link.whenEstablished { [weak self] in self?.answer(id, $0) }
        entries[id]?.link.ask()
    }

    private func answer(_ id: PathPeerID, _ connection: any PeerConnection) {
        let hearers = waiting.removeValue(forKey: id) ?? []
        for hear in hearers { hear(.success(ServicePeer(id, connection))) }
    }

    private func refuse(_ id: PathPeerID, _ error: AditError) {
        let hearers = waiting.removeValue(forKey: id) ?? []
        for hear in hearers { hear(.failure(error)) }
    }

    // MARK: PathCarrierDelegate

    package func pathSought(_ id: PathPeerID, leads: Bool) {
        guard !isStopped, entries[id] == nil, let key = KeyFingerprint(id.key) else { return }
        make(id, key, leads: leads)
        entries[id]?.soughtAt = eventLoop.now
        entries[id]?.link.ask()
    }

    package func pathOpened(_ id: PathPeerID, peerKey: [UInt8], leads: Bool) {
        guard !isStopped, let key = try? DevicePublicKey(bytes: peerKey).keyFingerprint else { return }
        if let entry = entries[id], entry.link.key == key, entry.link.leads == leads {
            entry.search?.cancel()
            entries[id]?.search = nil
            entries[id]?.lostAt = nil
            entries[id]?.soughtAt = nil
            // Packets go through the session until there is a path.
            entry.link.wayChanged(true)
            guard let soughtAt = entry.soughtAt else { return entry.link.reopened() }
            // It may not have been there yet when the first packets were sent.
            if eventLoop.now - soughtAt > Self.promptness { entry.link.hurry() }
            return
        }
        entries.removeValue(forKey: id)?.link.close()
        make(id, key, leads: leads)
    }

    private func make(_ id: PathPeerID, _ key: KeyFingerprint, leads: Bool) {
        let link = PeerLink(
            key,
            leads: leads,
            on: eventLoop,
            PeerLink.Owner(
                identity: identity,
                send: { [weak self] in _ = self?.paths.send($0, to: id) },
                packetSize: { [weak self] in self?.paths.packetSize(to: id) ?? PathFinder.leastPacketSize },
                opened: { [take] channel, connection in try take(channel, ServicePeer(id, connection)) },
                deceived: { [weak self] in self?.refuse(id, ServiceProblem.noConnection(id.name)) }
            )
        )
        entries[id] = Entry(link: link)
        if waiting[id] != nil { link.whenEstablished { [weak self] in self?.answer(id, $0) } }
    }

    package func pathChanged(_ id: PathPeerID, _ report: PathReport) {
        guard let entry = entries[id] else { return }
        entry.link.wayChanged(report.kind.isUsable)
        if report.kind.isDirect { tellDirect(id, true) }
        let way = Way(kind: report.kind, local: report.localEndpoint, remote: report.remoteEndpoint)
        guard way != entry.way else { return }
        entries[id]?.way = way
        // Nothing was lost before: packets wait for the session's stream.
        if entry.way == nil, report.kind == .relayed(.session) { return }
        if report.kind.isUsable { entries[id]?.link.hurry() }
    }

    package func received(_ batch: PacketBatch, from id: PathPeerID) {
        entries[id]?.link.receive(batch)
    }

    package func pathEnded(_ id: PathPeerID, _ failure: PathFailure) {
        guard let entry = entries[id] else { return }
        let isGone: Bool
        switch failure {
        case .left, .disconnected: isGone = true
        case .noAnswer, .noPath, .tooManyPeers: isGone = entry.link.streamCount == 0
        }
        guard !isGone, !isStopped else { return forget(id) }
        entry.link.wayChanged(false)
        entries[id]?.lostAt = entry.lostAt ?? eventLoop.now
        searchAgain(id)
    }

    /// Looks for a device whose streams wait, again and again.
    private func searchAgain(_ id: PathPeerID) {
        guard let entry = entries[id], let lostAt = entry.lostAt, !isStopped else { return }
        guard eventLoop.now - lostAt < Self.patience, entry.link.streamCount > 0 else { return forget(id) }
        entry.search?.cancel()
        entries[id]?.search = eventLoop.assumeIsolated().scheduleTask(in: Self.searchPause) { [weak self] in
            guard let self else { return }
            entries[id]?.search = nil
            paths.connect(id.name)
            searchAgain(id)
        }
    }

    private func forget(_ id: PathPeerID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        entry.search?.cancel()
        entry.link.close()
        refuse(id, ServiceProblem.noConnection(id.name))
    }

    // MARK: The end

    /// Closes all connections and tells the peers.
    package func stop() {
        isStopped = true
        for id in Array(entries.keys) { forget(id) }
        for id in Array(direct.keys) { tellDirect(id, false) }
    }
}
