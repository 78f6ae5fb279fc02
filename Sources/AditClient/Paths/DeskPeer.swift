// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import NIOCore

/// A run of another device, empty for one that is not known yet: the newest, or the newest with a service.
struct PeerRun: Hashable, Sendable {
    var name: String
    var run: String
    /// What leads to the run while it is not known; empty where it is.
    var service = ""
}

/// One other device as the desk knows it; lives on the desk's event loop.
final class DeskPeer {
    /// Under which run the desk keeps it.
    var place: PeerRun
    /// Who it is to the finder; nil while its key is not known.
    var id: PathPeerID?
    /// Its key, once something that it signed came; empty before.
    var key: [UInt8] = []
    /// Names its process; 0 while nothing of it came.
    var epoch: UInt64 = 0
    /// Whether packets go to it although nothing of it came.
    var isSought = false
    /// The services for which a path was asked for here, and who waits to know which run answers.
    var asks: [String: [EventLoopPromise<PathPeerID>]] = [:]
    /// The service by which it asked for this run; answers name it.
    var askedFor = ""
    /// What it was told last.
    var lastPayload: [UInt8]?
    /// How often it was greeted without an answer.
    var greetings = 0
    var greeting: Scheduled<Void>?
    /// What the finder says of the path.
    var found: PathReport?
    /// What was told of the path, with the session's relay where there is no other.
    var report: PathReport?
    /// Its place in the order in which runs were met.
    let number: UInt64
    /// When a path to it was looked for first.
    let begunAt: Instant
    /// When the search said its first word to it.
    var saidAt: Instant?
    /// Since when it is away, although it was there when the search began.
    var awaySince: Instant?
    /// Whether its absence has been told.
    var isAbsent = false
    var relay = DeskRelay()

    init(_ place: PeerRun, number: UInt64, at now: Instant) {
        self.place = place
        self.number = number
        begunAt = now
    }

    /// Whether a path to it was asked for here.
    var isWanted: Bool { !asks.isEmpty }
    /// Whether the finder has a path.
    var hasPath: Bool { found?.kind.isUsable ?? false }
    /// Who it is to others; nil while its key is not known.
    var contact: PathContact? { id.map { PathContact(id: $0, key: key) } }

    /// Takes over what another one was asked for.
    func take(_ other: DeskPeer) {
        asks.merge(other.asks) { $0 + $1 }
        other.asks = [:]
    }

    /// Tells who waits for an answer.
    func answer(_ result: Result<PathPeerID, AditError>) {
        let waiting = asks.values.flatMap { $0 }
        asks = asks.mapValues { _ in [] }
        for promise in waiting { promise.completeWith(result.mapError { $0 as any Error }) }
    }

    /// Forgets whatever waits.
    func end(_ error: AditError) {
        greeting?.cancel()
        greeting = nil
        relay.close()
        answer(.failure(error))
        asks = [:]
    }
}

/// The streams to one peer through the session.
struct DeskRelay {
    /// No more bytes wait for the stream.
    static let heldLimit = 64 * 1024

    /// The one that this end opened.
    var own: PacketStream?
    /// The one that the peer opened.
    var theirs: PacketStream?
    var isOpening = false
    /// What waits for the stream that is opened.
    private var held: [PacketBatch] = []
    private var heldBytes = 0
    /// How often one was opened since something came on one.
    var tries = 0
    /// The server said that the peer takes none.
    var isRefused = false
    /// The next try, or the look whether the last one came to something.
    var retry: Scheduled<Void>?
    /// When the streams are given up, because there is a path.
    var closing: Scheduled<Void>?
    /// Since when something comes on one; nil while nothing does.
    var upAt: Instant?
    var roundTrip: Duration?
    var strays = PathStrays()

    var isOpen: Bool { own != nil || theirs != nil || isOpening }

    /// Keeps packets for the stream that is opened, as many as have room.
    mutating func hold(_ batch: PacketBatch) {
        guard heldBytes + batch.bytes.count <= Self.heldLimit else { return }
        held.append(batch)
        heldBytes += batch.bytes.count
    }

    /// Gives away what waits.
    mutating func takeHeld() -> [PacketBatch] {
        defer { (held, heldBytes) = ([], 0) }
        return held
    }

    mutating func close() {
        retry?.cancel()
        closing?.cancel()
        let open = [own, theirs]
        self = DeskRelay()
        for stream in open { stream?.close() }
    }
}
