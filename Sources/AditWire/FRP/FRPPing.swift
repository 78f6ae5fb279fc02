// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A heartbeat from the client; key and timestamp are filled only when the server wants heartbeats proven.
package struct FRPPing: Sendable, Equatable {
    package var privilegeKey: String
    /// Unix seconds.
    package var timestamp: Int64

    /// Makes a heartbeat from its fields.
    package init(privilegeKey: String = "", timestamp: Int64 = 0) {
        self.privilegeKey = privilegeKey
        self.timestamp = timestamp
    }
}

/// The server's answer to a heartbeat; a non-empty `error` ends the session.
package struct FRPPong: Sendable, Equatable {
    package var error: String

    /// Makes an answer.
    package init(error: String = "") {
        self.error = error
    }
}

extension FRPPing: JSONMessage {
    private enum Key: String, CodingKey {
        case privilegeKey = "privilege_key"
        case timestamp
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(privilegeKey: try fields.text(.privilegeKey), timestamp: try fields.number(.timestamp))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("privilege_key", privilegeKey)
        object.field("timestamp", timestamp)
    }
}

extension FRPPong: JSONMessage {
    private enum Key: String, CodingKey { case error }

    init(json decoder: any Decoder) throws {
        self.init(error: try decoder.container(keyedBy: Key.self).text(.error))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("error", error)
    }
}
