// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
package import AditWire
package import NIOCore

/// A run of another device, as those know it who use the path to it.
package struct PathContact: Sendable, Hashable {
    /// Its name, the fingerprint of its key, and what tells it from other runs of the device that are known here.
    package var id: PathPeerID
    /// Its Ed25519 public key, 32 bytes, with which it signed what it said; empty while nothing came of it.
    package var key: [UInt8]

    /// Makes it from its parts.
    package init(id: PathPeerID, key: [UInt8]) {
        self.id = id
        self.key = key
    }

    /// The device's name at the server.
    package var name: String { id.name }
}

/// What sits on the paths of a process: it is told of every peer and gets every packet, on the event loop of the service.
package protocol PathCarrierDelegate: AnyObject {
    /// A device is asked for whose key is known, and has said nothing yet: packets to it go on the session's relay, behind the first
    /// signal. They are for whoever has the key in the id, and `pathOpened` or `pathEnded` follows.
    func pathSought(_ id: PathPeerID, leads: Bool)

    /// A process of another device is there, and said so with its key; packets to it may go at once, on the session's relay.
    ///
    /// It comes again for the same id, behind `pathEnded`, when another process took the place of the one before.
    ///
    /// - Parameters:
    ///   - peerKey: its Ed25519 public key, 32 bytes.
    ///   - leads: whether this end is the one of the two that begins things; the other end is told the opposite.
    func pathOpened(_ id: PathPeerID, peerKey: [UInt8], leads: Bool)

    /// Packets go another way, or the reason for it is another one.
    func pathChanged(_ id: PathPeerID, _ report: PathReport)

    /// Packets came. Whoever is between the devices may have made them, so what is in them has to prove itself.
    func received(_ packets: PacketBatch, from id: PathPeerID)

    /// The process is gone, or nobody looks for a path any longer.
    func pathEnded(_ id: PathPeerID, _ failure: PathFailure)
}

/// What the search for paths needs of a session with the server; each may be called on any thread.
package struct PathSession: Sendable {
    /// Opens a stream that the server leads to another device; `AditPeerStream` is its first frame.
    package typealias OpenStream =
        @Sendable (AditPeerStream, @escaping @Sendable (any Channel) throws -> Void) -> EventLoopFuture<any Channel>?

    /// Says something to another device; the session may drop it.
    package var signal: @Sendable (AditPeerSignal) -> Void
    /// Tells the server which services this run has.
    package var announce: @Sendable ([String]) -> Void
    /// Nil where there is no session.
    package var openStream: OpenStream
    /// Looks whether it still stands; with the addresses of this machine when they have changed.
    package var check: @Sendable ([IPAddress]?) -> Void

    /// Makes it from its parts; without the others there are no services and no relay by the session.
    package init(
        signal: @escaping @Sendable (AditPeerSignal) -> Void,
        announce: @escaping @Sendable ([String]) -> Void = { _ in },
        openStream: @escaping OpenStream = { _, _ in nil },
        check: @escaping @Sendable ([IPAddress]?) -> Void = { _ in }
    ) {
        self.signal = signal
        self.announce = announce
        self.openStream = openStream
        self.check = check
    }
}
