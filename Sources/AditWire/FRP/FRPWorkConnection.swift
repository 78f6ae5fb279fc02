// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The first message on a work connection that the client opened.
package struct FRPNewWorkConnection: Sendable, Equatable {
    package var runID: String
    package var privilegeKey: String
    /// Unix seconds.
    package var timestamp: Int64

    /// Makes the message from its fields.
    package init(runID: String = "", privilegeKey: String = "", timestamp: Int64 = 0) {
        self.runID = runID
        self.privilegeKey = privilegeKey
        self.timestamp = timestamp
    }
}

/// Gives a work connection its proxy; the connection carries the visitor's raw bytes from here on.
package struct FRPStartWorkConnection: Sendable, Equatable {
    package var proxyName: String
    /// The visitor's address.
    package var sourceAddress: String
    /// The server's address that the visitor reached.
    package var destinationAddress: String
    package var sourcePort: UInt16
    package var destinationPort: UInt16
    /// Not empty when the server has no use for the connection.
    package var error: String

    /// Makes the message from its fields.
    package init(
        proxyName: String = "",
        sourceAddress: String = "",
        destinationAddress: String = "",
        sourcePort: UInt16 = 0,
        destinationPort: UInt16 = 0,
        error: String = ""
    ) {
        self.proxyName = proxyName
        self.sourceAddress = sourceAddress
        self.destinationAddress = destinationAddress
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.error = error
    }
}

extension FRPNewWorkConnection: JSONMessage {
    private enum Key: String, CodingKey {
        case runID = "run_id"
        case privilegeKey = "privilege_key"
        case timestamp
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            runID: try fields.text(.runID),
            privilegeKey: try fields.text(.privilegeKey),
            timestamp: try fields.number(.timestamp)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("run_id", runID)
        object.field("privilege_key", privilegeKey)
        object.field("timestamp", timestamp)
    }
}

extension FRPStartWorkConnection: JSONMessage {
    private enum Key: String, CodingKey {
        case proxyName = "proxy_name"
        case sourceAddress = "src_addr"
        case destinationAddress = "dst_addr"
        case sourcePort = "src_port"
        case destinationPort = "dst_port"
        case error
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            proxyName: try fields.text(.proxyName),
            sourceAddress: try fields.text(.sourceAddress),
            destinationAddress: try fields.text(.destinationAddress),
            sourcePort: try fields.number(.sourcePort),
            destinationPort: try fields.number(.destinationPort),
            error: try fields.text(.error)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxy_name", proxyName)
        object.field("src_addr", sourceAddress)
        object.field("dst_addr", destinationAddress)
        object.field("src_port", sourcePort)
        object.field("dst_port", destinationPort)
        object.field("error", error)
    }
}
