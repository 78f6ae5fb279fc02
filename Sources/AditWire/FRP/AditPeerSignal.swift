// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What one device tells another through the server, to find a path between them (id 0x4005).
///
/// A device names the receiver; the server names the sender instead, as it knows it by its login, and passes the rest on.
package struct AditPeerSignal: Sendable, Equatable {
    /// The longest body, in bytes: in base 64, with everything around it, it fits into a message of wire v1.
    package static let bodyLimit = 6144

    /// The device's name at the server: the receiver's on the way to the server, the sender's on the way from it.
    package var peer: String
    /// The run of that device; empty for its newest that takes signals.
    package var run: String
    /// Leads a signal that names no run to the newest one with this service; the other end answers with the same one, so
    /// that it is known which question it answers. Nobody has signed it. At most 64 bytes.
    package var service: String
    /// The sender's public key, 32 bytes, as it proved it at login; empty on the way to the server.
    package var key: [UInt8]
    /// Whether the server may tell the receiver from which address the sender's session comes; only on the way to the server.
    package var tellsAddress: Bool
    /// The IP address from which the sender's session comes, as the server sees it; empty on the way to the server, and where the
    /// sender does not want it to be told.
    package var address: String
    /// A `PeerEnvelope`, which the server passes on unread.
    package var body: [UInt8]
    /// The sender's Ed25519 signature, 64 bytes (docs/wire.md, Signals between devices).
    package var signature: [UInt8]

    /// Makes a signal from its fields.
    package init(
        peer: String = "",
        run: String = "",
        service: String = "",
        key: [UInt8] = [],
        tellsAddress: Bool = false,
        address: String = "",
        body: [UInt8] = [],
        signature: [UInt8] = []
    ) {
        self.peer = peer
        self.run = run
        self.service = service
        self.key = key
        self.tellsAddress = tellsAddress
        self.address = address
        self.body = body
        self.signature = signature
    }

    /// Whether every field has a length that a signal of a device can have.
    package var isWellFormed: Bool {
        (1...256).contains(peer.utf8.count) && run.utf8.count <= 64 && (key.isEmpty || key.count == 32)
            && (service.isEmpty || AditServices.isName(service))
            && address.utf8.count <= 64
            && (1...Self.bodyLimit).contains(body.count) && signature.count == 64
    }
}

/// The server could not pass a signal on (id 0x4006).
package struct AditPeerUnavailable: Sendable, Equatable {
    /// Why a signal was not passed on.
    package enum Reason: String, Sendable, CaseIterable {
        /// No device of that name has joined.
        case unknown
        /// The device has no session.
        case offline
        /// The device is there and takes no signals: it has switched that off, or does not know of it.
        case off
        /// The run that was named has ended; other runs of the device may be there.
        case runEnded = "run-ended"
        /// The device is there, and no run of it has the service.
        case noService = "no-service"
        /// There are no streams to the run: it does not know of them, or the server leads none.
        case noStreams = "no-streams"
        /// Too many signals or streams came in a short time, or are open.
        case busy
        /// The name is the sender's own.
        case oneself = "self"
    }

    /// The receiver's name, as it was sent.
    package var peer: String
    /// The run, as it was sent.
    package var run: String
    /// The service, as it was sent.
    package var service: String
    /// Why, as text: a later version may know more reasons.
    package var reason: String
    /// When the device was last connected, in Unix seconds; 0 when that is not known.
    package var lastSeen: Int64

    /// Makes the message from its fields.
    package init(
        peer: String = "",
        run: String = "",
        service: String = "",
        reason: String = "",
        lastSeen: Int64 = 0
    ) {
        self.peer = peer
        self.run = run
        self.service = service
        self.reason = reason
        self.lastSeen = lastSeen
    }

    /// The reason; nil for one that this version does not know.
    package var knownReason: Reason? { Reason(rawValue: reason) }
}

extension AditPeerSignal: JSONMessage {
    private enum Key: String, CodingKey { case peer, run, service, key, tellsAddress, address, body, signature }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            peer: try fields.text(.peer),
            run: try fields.text(.run),
            service: try fields.text(.service),
            key: try fields.bytes(.key),
            tellsAddress: try fields.flag(.tellsAddress),
            address: try fields.text(.address),
            body: try fields.bytes(.body),
            signature: try fields.bytes(.signature)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("peer", peer)
        object.field("run", run)
        object.field("service", service)
        object.field("key", bytes: key)
        object.field("tellsAddress", tellsAddress)
        object.field("address", address)
        object.field("body", bytes: body)
        object.field("signature", bytes: signature)
    }
}

extension AditPeerUnavailable: JSONMessage {
    private enum Key: String, CodingKey { case peer, run, service, reason, lastSeen }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            peer: try fields.text(.peer),
            run: try fields.text(.run),
            service: try fields.text(.service),
            reason: try fields.text(.reason),
            lastSeen: try fields.number(.lastSeen)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("peer", peer)
        object.field("run", run)
        object.field("service", service)
        object.field("reason", reason)
        object.field("lastSeen", lastSeen)
    }
}
