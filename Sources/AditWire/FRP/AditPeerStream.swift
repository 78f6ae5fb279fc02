// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The first frame of a stream that leads through the server from one device to another (id 0x400A).
///
/// A device names the receiver; the server opens a stream to it that begins with the sender's name instead, and joins both.
/// Behind it come packets, each after its length in two bytes (RFC 4571).
package struct AditPeerStream: Sendable, Equatable {
    /// The device's name at the server: the receiver's on the way to the server, the sender's on the way from it.
    package var peer: String
    /// The run of that device; empty for its newest, or its newest with the service.
    package var run: String
    /// Leads a stream that names no run, as it does a signal; at most 64 bytes.
    package var service: String
    /// The sender's public key, 32 bytes, as it proved it at login; empty on the way to the server.
    package var key: [UInt8]

    /// Makes the message from its fields.
    package init(peer: String = "", run: String = "", service: String = "", key: [UInt8] = []) {
        self.peer = peer
        self.run = run
        self.service = service
        self.key = key
    }

    /// Whether every field has a length that it can have.
    package var isWellFormed: Bool {
        (1...256).contains(peer.utf8.count) && run.utf8.count <= 64 && (key.isEmpty || key.count == 32)
            && (service.isEmpty || AditServices.isName(service))
    }
}

extension AditPeerStream: JSONMessage {
    private enum Key: String, CodingKey { case peer, run, service, key }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            peer: try fields.text(.peer),
            run: try fields.text(.run),
            service: try fields.text(.service),
            key: try fields.bytes(.key)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("peer", peer)
        object.field("run", run)
        object.field("service", service)
        object.field("key", bytes: key)
    }
}
