// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore

/// A stream that another device has to a service of this one.
final class ServiceStream {
    /// The channel of the stream.
    let channel: any Channel
    /// Whose it is.
    let peer: ServicePeer
    /// When it was opened.
    let openedAt: NIODeadline
    /// What it is for, once that is known and allowed.
    var visitor: ServiceVisitor?
    /// What is answered once the service is reached.
    var yes = ServiceAnswer.accepted
    /// The flow that it carries; nil for a connection.
    var flow: ServiceFlow?

    init(_ channel: any Channel, _ peer: ServicePeer, at now: NIODeadline) {
        self.channel = channel
        self.peer = peer
        openedAt = now
    }

    var id: ObjectIdentifier { ObjectIdentifier(self) }
}
