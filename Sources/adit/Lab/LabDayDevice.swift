// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditLab
import AditTransport
import AditTraversal
import NIOCore

/// A device of a day: a path finder on its host, and a QUIC connection to each peer on whatever way that has.
final class LabDayDevice {
    /// So long between two searches for a peer whose path was given up, as in a device's process.
    private static let searchPause = Duration.seconds(20)

    /// What is known of a peer.
    private struct Peer {
        var link: PeerLink
        var kind = PathKind.none
        var since: Instant
    }

    let number: Int
    let id: PathPeerID
    let loop: LabEventLoop
    private let lab: Lab
    private let key: DeviceKey
    private let identity: QUICIdentity
    private let opened: (any Channel) throws -> Void
    private var finder: LabMachine<PathFinder>?
    private var peers: [PathPeerID: Peer] = [:]
    /// How many connections came to stand.
    private(set) var connectionCount = 0
    /// How long there was a path of each kind, all peers together.
    private(set) var times: [PathKind: Duration] = [:]

    /// Whether the computer sleeps.
    var isAsleep = false {
        didSet {
            loop.isAsleep = isAsleep
            finder?.isAsleep = isAsleep
        }
    }

    /// Starts a device in its home; `opened` gets the streams that peers open.
    init(_ number: Int, in town: LabTown, _ post: SignalPost, opened: @escaping (any Channel) throws -> Void) throws {
        self.number = number
        lab = town.lab
        self.opened = opened
        key = try DeviceKey(seed: (0..<32).map { UInt8(truncatingIfNeeded: (number + 1) * ($0 + 7)) })
        identity = QUICIdentity(key)
        id = PathPeerID(name: "d\(number)", key: KeyFingerprint(of: key.publicKey.bytes).description)
        loop = LabEventLoop(town.lab)
        let home = town.homes[number]
        let configuration = PathConfiguration(
            ownID: id,
            server: town.offer(to: id),
            network: home.device.network,
            staysReady: true
        )
        let random = town.lab.generator(for: 21 << 32 | UInt64(number))
        let finder = home.device.run(PathFinder(configuration, random: random)) { [unowned self] event in
            note(event, post)
        }
        self.finder = finder
        finder.update { $0.note(town.report(of: number), at: town.lab.now) }
    }

    /// Takes a signal of a peer.
    func take(_ signal: PathSignal, from sender: PathPeerID, seenAt address: IPAddress?) {
        guard !isAsleep else { return }
        finder?.update { $0.receive(signal, from: sender, seenAt: address, at: lab.now) }
    }

    // MARK: Peers

    /// Makes the end of the connection to a peer.
    func expect(_ peer: LabDayDevice) {
        let link = PeerLink(
            peer.key.publicKey.keyFingerprint,
            leads: id < peer.id,
            hasWay: false,
            on: loop,
            PeerLink.Owner(
                identity: identity,
                send: { [unowned self] batch in
                    _ = finder?.update { $0.send(batch, to: peer.id, at: lab.now) }
                },
                opened: { [unowned self] channel, _ in try opened(channel) },
                deceived: {}
            )
        )
        peers[peer.id] = Peer(link: link, since: lab.now)
        link.whenEstablished { [unowned self] _ in connectionCount += 1 }
    }

    /// Gives the connection to a peer once it stands, and looks for a path.
    func connection(to peer: PathPeerID, _ body: @escaping (any PeerConnection) -> Void) {
        finder?.update { $0.connect(peer, at: lab.now) }
        peers[peer]?.link.whenEstablished(body)
    }

    private func note(_ event: PathEvent, _ post: SignalPost) {
        switch event {
        case .signal(let signal, let peer): post.carry(signal, from: id, to: peer)
        case .received(let batch, let peer): peers[peer]?.link.receive(batch)
        case .changed(let report, let peer): change(peer, to: report.kind)
        case .ended(let peer, _):
            change(peer, to: .none)
            search(peer)
        case .roundTrip, .trace, .wantsPort, .moved: break
        }
    }

    private func change(_ peer: PathPeerID, to kind: PathKind) {
        guard let former = peers[peer] else { return }
        count(former, until: lab.now)
        peers[peer]?.kind = kind
        peers[peer]?.since = lab.now
        former.link.wayChanged(kind.isUsable)
        if kind.isUsable { former.link.hurry() }
    }

    /// Looks for a peer whose path was given up, until there is one.
    private func search(_ peer: PathPeerID) {
        _ = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(Self.searchPause / .nanoseconds(1)))) {
            [unowned self] in
            guard peers[peer]?.kind.isUsable == false else { return }
            finder?.update { $0.connect(peer, at: lab.now) }
        }
    }

    private func count(_ peer: Peer, until now: Instant) {
        times[peer.kind, default: .zero] += now - peer.since
    }

    /// Counts what lasts until now.
    func countAll() {
        for id in peers.keys.sorted() {
            guard let peer = peers[id] else { continue }
            count(peer, until: lab.now)
            peers[id]?.since = lab.now
        }
    }

    /// Closes everything.
    func close() {
        for id in peers.keys.sorted() { peers[id]?.link.close() }
        loop.close()
    }
}
