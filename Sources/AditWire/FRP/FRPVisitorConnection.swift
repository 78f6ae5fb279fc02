// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The first message on a connection by which one client visits another's private service.
package struct FRPNewVisitorConnection: Sendable, Equatable {
    /// The visiting client's own session.
    package var runID: String
    package var proxyName: String
    /// Lower-case hexadecimal MD5 of the service's secret key and the timestamp.
    package var signKey: String
    /// Unix seconds.
    package var timestamp: Int64
    package var useEncryption: Bool
    package var useCompression: Bool

    /// Makes the message from its fields.
    package init(
        runID: String = "",
        proxyName: String = "",
        signKey: String = "",
        timestamp: Int64 = 0,
        useEncryption: Bool = false,
        useCompression: Bool = false
    ) {
        self.runID = runID
        self.proxyName = proxyName
        self.signKey = signKey
        self.timestamp = timestamp
        self.useEncryption = useEncryption
        self.useCompression = useCompression
    }
}

/// The server's answer to a visitor connection; a non-empty `error` refuses it.
package struct FRPNewVisitorConnectionResponse: Sendable, Equatable {
    package var proxyName: String
    package var error: String

    /// Makes an answer from its fields.
    package init(proxyName: String = "", error: String = "") {
        self.proxyName = proxyName
        self.error = error
    }
}

extension FRPNewVisitorConnection: JSONMessage {
    private enum Key: String, CodingKey {
        case runID = "run_id"
        case proxyName = "proxy_name"
        case signKey = "sign_key"
        case timestamp
        case useEncryption = "use_encryption"
        case useCompression = "use_compression"
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            runID: try fields.text(.runID),
            proxyName: try fields.text(.proxyName),
            signKey: try fields.text(.signKey),
            timestamp: try fields.number(.timestamp),
            useEncryption: try fields.flag(.useEncryption),
            useCompression: try fields.flag(.useCompression)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("run_id", runID)
        object.field("proxy_name", proxyName)
        object.field("sign_key", signKey)
        object.field("timestamp", timestamp)
        object.field("use_encryption", useEncryption)
        object.field("use_compression", useCompression)
    }
}

extension FRPNewVisitorConnectionResponse: JSONMessage {
    private enum Key: String, CodingKey {
        case proxyName = "proxy_name"
        case error
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(proxyName: try fields.text(.proxyName), error: try fields.text(.error))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxy_name", proxyName)
        object.field("error", error)
    }
}
