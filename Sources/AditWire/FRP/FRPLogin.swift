// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The first message of a control connection: who the client is and the proof that it may come in.
package struct FRPLogin: Sendable, Equatable {
    package var version: String
    package var hostname: String
    package var os: String
    package var arch: String
    package var user: String
    /// Lower-case hexadecimal MD5 of token and timestamp, or a JWT with OIDC; empty with Adit's own proofs.
    package var privilegeKey: String
    /// Unix seconds.
    package var timestamp: Int64
    /// Empty for a new session, else the session to take over.
    package var runID: String
    package var clientID: String
    package var metas: [String: String]
    package var clientSpec: FRPClientSpec
    /// How many work connections the server should ask for ahead of need.
    package var poolCount: Int
    package var adit: AditLogin?

    /// Makes a login from its fields.
    package init(
        version: String = "",
        hostname: String = "",
        os: String = "",
        arch: String = "",
        user: String = "",
        privilegeKey: String = "",
        timestamp: Int64 = 0,
        runID: String = "",
        clientID: String = "",
        metas: [String: String] = [:],
        clientSpec: FRPClientSpec = FRPClientSpec(),
        poolCount: Int = 0,
        adit: AditLogin? = nil
    ) {
        self.version = version
        self.hostname = hostname
        self.os = os
        self.arch = arch
        self.user = user
        self.privilegeKey = privilegeKey
        self.timestamp = timestamp
        self.runID = runID
        self.clientID = clientID
        self.metas = metas
        self.clientSpec = clientSpec
        self.poolCount = poolCount
        self.adit = adit
    }
}

/// What kind of client logs in; frp's SSH gateway fills it, ordinary clients leave it empty.
package struct FRPClientSpec: Sendable, Equatable {
    package var type: String
    package var alwaysAuthPass: Bool

    /// Makes a specification from its fields.
    package init(type: String = "", alwaysAuthPass: Bool = false) {
        self.type = type
        self.alwaysAuthPass = alwaysAuthPass
    }
}

/// The server's answer to a login; a non-empty `error` refuses it.
package struct FRPLoginResponse: Sendable, Equatable {
    package var version: String
    package var runID: String
    package var error: String
    package var adit: AditLoginResponse?

    /// Makes an answer from its fields.
    package init(version: String = "", runID: String = "", error: String = "", adit: AditLoginResponse? = nil) {
        self.version = version
        self.runID = runID
        self.error = error
        self.adit = adit
    }
}

extension FRPLogin: JSONMessage {
    private enum Key: String, CodingKey {
        case version, hostname, os, arch, user
        case privilegeKey = "privilege_key"
        case timestamp
        case runID = "run_id"
        case clientID = "client_id"
        case metas
        case clientSpec = "client_spec"
        case poolCount = "pool_count"
        case adit
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            version: try fields.text(.version),
            hostname: try fields.text(.hostname),
            os: try fields.text(.os),
            arch: try fields.text(.arch),
            user: try fields.text(.user),
            privilegeKey: try fields.text(.privilegeKey),
            timestamp: try fields.number(.timestamp),
            runID: try fields.text(.runID),
            clientID: try fields.text(.clientID),
            metas: try fields.map(.metas),
            clientSpec: try fields.object(.clientSpec) ?? FRPClientSpec(),
            poolCount: try fields.number(.poolCount),
            adit: try fields.object(.adit)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("version", version)
        object.field("hostname", hostname)
        object.field("os", os)
        object.field("arch", arch)
        object.field("user", user)
        object.field("privilege_key", privilegeKey)
        object.field("timestamp", timestamp)
        object.field("run_id", runID)
        object.field("client_id", clientID)
        object.field("metas", metas)
        if clientSpec != FRPClientSpec() { object.field("client_spec", clientSpec) }
        object.field("pool_count", poolCount)
        object.field("adit", adit)
    }
}

extension FRPClientSpec: JSONMessage {
    private enum Key: String, CodingKey {
        case type
        case alwaysAuthPass = "always_auth_pass"
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(type: try fields.text(.type), alwaysAuthPass: try fields.flag(.alwaysAuthPass))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("type", type)
        object.field("always_auth_pass", alwaysAuthPass)
    }
}

extension FRPLoginResponse: JSONMessage {
    private enum Key: String, CodingKey {
        case version
        case runID = "run_id"
        case error, adit
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            version: try fields.text(.version),
            runID: try fields.text(.runID),
            error: try fields.text(.error),
            adit: try fields.object(.adit)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("version", version)
        object.field("run_id", runID)
        object.field("error", error)
        object.field("adit", adit)
    }
}
