// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTraversal
package import NIOCore

/// A run of another device, and the connection to it.
package struct ServicePeer {
    /// Who it is: its name, its key, its run.
    package var id: PathPeerID
    /// The connection, on whose event loop everything happens.
    package var connection: any PeerConnection

    /// Makes one from its parts.
    package init(_ id: PathPeerID, _ connection: any PeerConnection) {
        self.id = id
        self.connection = connection
    }
}

/// Who knows the way to other devices; all on one event loop.
package protocol ServicePeers: AnyObject {
    /// Gives a connection to a run of a device that has a service: the one that is there, or a new one.
    ///
    /// - Parameter hear: called once on the event loop, maybe before this returns, with a connection that streams can be opened on,
    ///   or with why there is none.
    func connect(_ device: String, service: String, hear: @escaping (Result<ServicePeer, AditError>) -> Void)

    /// Waits for a direct path to a run.
    ///
    /// - Parameter hear: called once on the event loop, maybe before this returns; with false when there is none in time.
    func whenDirect(_ id: PathPeerID, within time: TimeAmount, hear: @escaping (Bool) -> Void)

    /// Tells other devices, by the server, which services this run has.
    func announce(_ services: [String])
}

extension ServicePeers {
    /// Knows of no paths.
    package func whenDirect(_ id: PathPeerID, within time: TimeAmount, hear: @escaping (Bool) -> Void) {
        hear(false)
    }
}
