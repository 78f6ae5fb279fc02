// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditCrypto
package import AditTransport
package import AditTraversal
package import NIOCore

/// The connection to one run of another device, made anew when it breaks; lives on its event loop.
///
/// Whoever asks for the peer is QUIC's client and begins, before the peer has said a word. Where both do, the end that leads is the
/// client; where nobody seems to, it begins a little later, and it makes the connection anew when that breaks. Otherwise an end
/// takes what comes: a newcomer takes the place of the connection that is there once the peer has proved its key on it, since a
/// peer that begins anew has forgotten the old one.
package final class PeerLink {
    /// What it needs of whoever has it.
    package struct Owner {
        /// The key that this device proves, and what it takes of the peer.
        package var identity: QUICIdentity
        /// Sends packets to the peer, on whatever way there is.
        package var send: (PacketBatch) -> Void
        /// How large packets may be on that way, in bytes.
        package var packetSize: () -> Int
        /// The peer opened a stream; throwing breaks it off.
        package var opened: (any Channel, any PeerConnection) throws -> Void
        /// The peer holds another key than the one that it signed with.
        package var deceived: () -> Void

        /// Makes an owner.
        package init(
            identity: QUICIdentity,
            send: @escaping (PacketBatch) -> Void,
            packetSize: @escaping () -> Int = { PathFinder.leastPacketSize },
            opened: @escaping (any Channel, any PeerConnection) throws -> Void,
            deceived: @escaping () -> Void
        ) {
            self.identity = identity
            self.send = send
            self.packetSize = packetSize
            self.opened = opened
            self.deceived = deceived
        }
    }

    /// So long the end that leads leaves the beginning to a peer that has asked for it.
    private static let courtesy = TimeAmount.milliseconds(300)
    /// Pauses between two tries of a connection that does not come to stand.
    private static let firstPause = TimeAmount.milliseconds(500)
    private static let lastPause = TimeAmount.seconds(30)
    /// After the peer has come back something has to come while there is a way for so many seconds, or it has forgotten the
    /// connection.
    private static let silence = 30
    /// When packets are tried again on another way.
    private static let hurryPauses = [TimeAmount.milliseconds(150), .milliseconds(350), .milliseconds(700)]

    let key: KeyFingerprint
    let leads: Bool
    private let eventLoop: any EventLoop
    private let owner: Owner
    private var current: QUICPeerConnection?
    private var newcomer: QUICPeerConnection?
    private var waiting: [(any PeerConnection) -> Void] = []
    private var retry: Scheduled<Void>?
    private var check: Scheduled<Void>?
    private var hurries: Scheduled<Void>?
    private var pause = PeerLink.firstPause
    private var hasWay: Bool
    private var isAskedFor = false
    private var silentSeconds = 0
    private var heardAt = NIODeadline.distantPast
    private var establishedAt: NIODeadline?
    private var isClosed = false

    /// Makes the connection to a run, which begins as soon as there is a way and somebody asks for it, at either end.
    ///
    /// - Parameter key: what the peer has to prove, by its fingerprint.
    package init(
        _ key: KeyFingerprint,
        leads: Bool,
        hasWay: Bool = true,
        on eventLoop: any EventLoop,
        _ owner: Owner
    ) {
        self.hasWay = hasWay
        self.key = key
        self.leads = leads
        self.eventLoop = eventLoop
        self.owner = owner
        if leads, hasWay { begin(after: Self.courtesy) }
    }

    /// How many streams are open.
    package var streamCount: Int { current?.streamCount ?? 0 }

    /// What the connection measures; nil while there is none.
    package var figures: QUICFigures? { current.flatMap { $0.isEstablished ? $0.figures : nil } }

    /// Somebody here asks for the peer.
    package func ask() {
        isAskedFor = true
        if current == nil, newcomer == nil { begin() }
    }

    /// Gives the connection, now or once it stands.
    package func whenEstablished(_ body: @escaping (any PeerConnection) -> Void) {
        if let current, current.isEstablished { return body(current) }
        waiting.append(body)
    }

    /// Packets came that call themselves the peer's.
    package func receive(_ batch: PacketBatch) {
        guard !isClosed, batch.bytes.count > 0 else { return }
        if let current, current.owns(batch) {
            heardAt = eventLoop.now
            return current.receive(batch)
        }
        if let newcomer, newcomer.owns(batch) { return newcomer.receive(batch) }
        guard batch.segmentSize >= PathFinder.leastPacketSize else { return }
        // Both have begun: one connection is enough.
        if leads, let current, !current.isEstablished { return }
        let now = Instant(eventLoop.now)
        let made = QUICConnection.server(owner.identity, peer: key, first: batch[0], at: now)
        guard let made else { return }
        if !leads, let current, !current.isEstablished {
            // Both have begun, and the peer's goes on: this one ends without a word, which would look like one more beginning.
            current.pause()
            self.current = nil
        }
        newcomer?.close()
        let connection = run(made)
        newcomer = connection
        connection.start()
        connection.receive(batch)
    }

    /// There is a way to the peer, or none.
    package func wayChanged(_ hasWay: Bool) {
        guard self.hasWay != hasWay else { return }
        self.hasWay = hasWay
        guard hasWay else {
            current?.pause()
            newcomer?.pause()
            return
        }
        current?.resume()
        newcomer?.resume()
        if leads || isAskedFor, current == nil, newcomer == nil { begin() }
    }

    /// The way is another one: what was lost on the old one is sent again at once, and a little later, when the peer has found the
    /// way too.
    package func hurry() {
        let since = eventLoop.now
        hurries?.cancel()
        for connection in [current, newcomer] { connection?.hurry() }
        hurryAgain(after: Self.hurryPauses[...], since)
    }

    private func hurryAgain(after pauses: ArraySlice<TimeAmount>, _ since: NIODeadline) {
        guard let pause = pauses.first else { return }
        hurries = eventLoop.assumeIsolated().scheduleTask(in: pause) { [weak self] in
            guard let self, !isClosed, heardAt < since else { return }
            for connection in [current, newcomer] { connection?.hurry() }
            hurryAgain(after: pauses.dropFirst(), since)
        }
    }

    /// The peer has come back: whether it still knows the connection has to show.
    package func reopened() {
        guard leads, let current, current.isEstablished else { return }
        current.hurry()
        silentSeconds = 0
        current.keepAlive(after: .seconds(1))
        doubt(current, since: eventLoop.now)
    }

    private func doubt(_ connection: QUICPeerConnection, since: NIODeadline) {
        check?.cancel()
        check = eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self, weak connection] in
            guard let self, let connection, current === connection else { return }
            if heardAt >= since { return connection.keepAlive(after: nil) }
            silentSeconds = hasWay ? silentSeconds + 1 : 0
            if silentSeconds < Self.silence { return doubt(connection, since: since) }
            connection.close()
        }
    }

    /// Closes the connection and breaks its streams off.
    package func close() {
        isClosed = true
        retry?.cancel()
        check?.cancel()
        hurries?.cancel()
        waiting = []
        let open = [current, newcomer]
        current = nil
        newcomer = nil
        for connection in open { connection?.close() }
    }

    // MARK: Connections

    private func begin() {
        retry?.cancel()
        retry = nil
        guard !isClosed, current == nil, hasWay else { return }
        let connection = run(.client(owner.identity, peer: key, at: Instant(eventLoop.now)))
        current = connection
        connection.start()
    }

    private func begin(after pause: TimeAmount) {
        retry = eventLoop.assumeIsolated().scheduleTask(in: pause) { [weak self] in
            guard let self else { return }
            retry = nil
            // One that the peer has begun tells of its end.
            if newcomer == nil { begin() }
        }
    }

    private func run(_ made: QUICConnection) -> QUICPeerConnection {
        let box = Box()
        let connection = QUICPeerConnection(
            made,
            on: eventLoop,
            owner: QUICPeerConnection.Owner(
                send: { [owner] in owner.send($0) },
                packetSize: owner.packetSize,
                established: { [weak self] in if let connection = box.connection { self?.established(connection) } },
                opened: { [owner] channel in
                    guard let connection = box.connection else { throw QUICStreamError.connectionLost }
                    try owner.opened(channel, connection)
                },
                ended: { [weak self] end in if let connection = box.connection { self?.ended(connection, end) } }
            )
        )
        box.connection = connection
        return connection
    }

    private func established(_ connection: QUICPeerConnection) {
        heardAt = eventLoop.now
        establishedAt = eventLoop.now
        if connection === newcomer {
            let former = current
            current = connection
            newcomer = nil
            former?.close()
        }
        guard connection === current else { return }
        let waiting = self.waiting
        self.waiting = []
        for body in waiting { body(connection) }
    }

    private func ended(_ connection: QUICPeerConnection, _ end: QUICEnd) {
        if connection === newcomer {
            newcomer = nil
        } else if connection === current {
            current = nil
            check?.cancel()
            check = nil
        } else {
            return
        }
        if end.isWrongKey { owner.deceived() }
        guard leads, !isClosed, retry == nil else { return }
        // The peer may refuse this end's key after this end has taken the connection for good.
        if let establishedAt, eventLoop.now - establishedAt > Self.lastPause { pause = Self.firstPause }
        establishedAt = nil
        begin(after: pause)
        pause = min(pause * 2, Self.lastPause)
    }
}

/// A connection as its own callbacks know it, which do not keep it.
private final class Box {
    weak var connection: QUICPeerConnection?
}
