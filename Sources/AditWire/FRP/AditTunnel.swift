// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The object named `adit` in NewProxy: what the device wants beyond frp's fields.
package struct AditTunnelRequest: Sendable, Equatable {
    /// What the device forwards to, for pages and status.
    package var target: String
    /// The wanted name; empty for the one that the device had before.
    package var name: String
    /// Passwords of visitors, each `user:password`.
    package var auth: [String]
    /// Blocks of addresses that may visit, each `address/length`; empty for all.
    package var allow: [String]
    /// Seconds until the tunnel ends; 0 for never.
    package var expiresIn: Int
    /// The person's consent to open a port that is often attacked.
    package var isPublic: Bool
    /// How many visitors' connections may be open at once; 0 for no limit.
    package var maxConnections: Int
    /// How often one address may open a connection, such as `10/s`; empty for no limit.
    package var connectionRate: String
    /// How often one address may send a request, such as `300/m`; empty for no limit.
    package var requestRate: String
    /// Bytes a second in each direction; 0 for no limit.
    package var bandwidth: Int64
    /// Seconds without a datagram after which a visitor of UDP is forgotten; 0 for the server's own choice.
    package var idle: Int
    /// Whether the app behind a web tunnel speaks HTTP/2 alone.
    package var http2: Bool

    /// Makes the object from its fields.
    package init(
        target: String = "",
        name: String = "",
        auth: [String] = [],
        allow: [String] = [],
        expiresIn: Int = 0,
        isPublic: Bool = false,
        maxConnections: Int = 0,
        connectionRate: String = "",
        requestRate: String = "",
        bandwidth: Int64 = 0,
        idle: Int = 0,
        http2: Bool = false
    ) {
        self.target = target
        self.name = name
        self.auth = auth
        self.allow = allow
        self.expiresIn = expiresIn
        self.isPublic = isPublic
        self.maxConnections = maxConnections
        self.connectionRate = connectionRate
        self.requestRate = requestRate
        self.bandwidth = bandwidth
        self.idle = idle
        self.http2 = http2
    }
}

/// The object named `adit` in NewProxyResp.
package struct AditTunnelResponse: Sendable, Equatable {
    /// The tunnel's public addresses, best first.
    package var addresses: [String]
    package var name: String
    /// The public port of a tcp tunnel, else 0.
    package var port: UInt16
    /// Unix seconds; 0 when the tunnel does not end by itself.
    package var expiresAt: Int64
    package var error: AditErrorMessage?

    /// Makes the object from its fields.
    package init(
        addresses: [String] = [],
        name: String = "",
        port: UInt16 = 0,
        expiresAt: Int64 = 0,
        error: AditErrorMessage? = nil
    ) {
        self.addresses = addresses
        self.name = name
        self.port = port
        self.expiresAt = expiresAt
        self.error = error
    }
}

extension AditTunnelRequest: JSONMessage {
    private enum Key: String, CodingKey {
        case target, name, auth, allow, expiresIn, maxConnections, connectionRate, requestRate, bandwidth, idle, http2
        case isPublic = "public"
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            target: try fields.text(.target),
            name: try fields.text(.name),
            auth: try fields.list(.auth),
            allow: try fields.list(.allow),
            expiresIn: try fields.number(.expiresIn),
            isPublic: try fields.flag(.isPublic),
            maxConnections: try fields.number(.maxConnections),
            connectionRate: try fields.text(.connectionRate),
            requestRate: try fields.text(.requestRate),
            bandwidth: try fields.number(.bandwidth),
            idle: try fields.number(.idle),
            http2: try fields.flag(.http2)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("target", target)
        object.field("name", name)
        object.field("auth", auth)
        object.field("allow", allow)
        object.field("expiresIn", expiresIn)
        object.field("public", isPublic)
        object.field("maxConnections", maxConnections)
        object.field("connectionRate", connectionRate)
        object.field("requestRate", requestRate)
        object.field("bandwidth", bandwidth)
        object.field("idle", idle)
        object.field("http2", http2)
    }
}

extension AditTunnelResponse: JSONMessage {
    private enum Key: String, CodingKey { case addresses, name, port, expiresAt, error }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            addresses: try fields.list(.addresses),
            name: try fields.text(.name),
            port: try fields.number(.port),
            expiresAt: try fields.number(.expiresAt),
            error: try fields.object(.error)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("addresses", addresses)
        object.field("name", name)
        object.field("port", port)
        object.field("expiresAt", expiresAt)
        object.field("error", error)
    }
}
