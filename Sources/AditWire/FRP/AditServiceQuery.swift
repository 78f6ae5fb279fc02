// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Asks which guest has a private proxy, by its name at the server (id 0x400B).
package struct AditServiceQuery: Sendable, Equatable {
    /// The proxy's name, with its user in front as frp writes it; at most 64 bytes.
    package var name: String

    /// Makes the message from its field.
    package init(name: String = "") {
        self.name = name
    }

    /// Whether it is a name that a private proxy can have.
    package var isWellFormed: Bool { AditServices.isName(name) }
}

/// The answer to a query (id 0x400C).
package struct AditServiceHolder: Sendable, Equatable {
    /// Why nobody is named.
    package enum Reason: String, Sendable, CaseIterable {
        /// No guest has a private proxy of that name.
        case noService = "no-service"
        /// Too many queries came in a short time.
        case busy
    }

    /// The name, as it was asked for.
    package var name: String
    /// The name of the guest that has it; empty when there is none.
    package var peer: String
    /// Why there is none, as text: a later version may know more reasons. Empty when there is one.
    package var reason: String

    /// Makes the message from its fields.
    package init(name: String = "", peer: String = "", reason: String = "") {
        self.name = name
        self.peer = peer
        self.reason = reason
    }

    /// The reason; nil for one that this version does not know.
    package var knownReason: Reason? { Reason(rawValue: reason) }
    /// Whether every field has a length that it can have.
    package var isWellFormed: Bool { AditServices.isName(name) && peer.utf8.count <= 256 }
}

extension AditServiceQuery: JSONMessage {
    private enum Key: String, CodingKey { case name }

    init(json decoder: any Decoder) throws {
        self.init(name: try decoder.container(keyedBy: Key.self).text(.name))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("name", name)
    }
}

extension AditServiceHolder: JSONMessage {
    private enum Key: String, CodingKey { case name, peer, reason }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(name: try fields.text(.name), peer: try fields.text(.peer), reason: try fields.text(.reason))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("name", name)
        object.field("peer", peer)
        object.field("reason", reason)
    }
}
