// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What Adit adds to frp's protocol, each by itself (docs/wire.md, Negotiation).
package enum AditFeature: String, Sendable, CaseIterable {
    /// The server opens a stream for each work connection.
    case serverStreams = "server-streams"
    /// Login proves a device key instead of a shared token.
    case deviceKey = "device-key"
    /// A login may take the place of an earlier session of the same device.
    case resume
    /// The server reports each request to a name.
    case reports
    /// The control stream is not encrypted a second time inside TLS.
    case tlsControl = "tls-control"
    /// Streams of a proxy of type udp carry binary datagram frames.
    case datagrams
    /// The server passes signals between devices, with which they look for a path between them.
    case paths
    /// A device tells which services its run has, signals may name one, and streams lead from device to device.
    case services
    /// A client of frp's files comes as a guest: its private proxies and visitors find each other by name.
    case guests
}

/// The object named `adit` in both hello frames.
package struct AditHello: Sendable, Equatable {
    /// The version of the extension; 1 is the only one.
    package var version: Int
    /// Feature names, also those that this version does not know.
    package var features: [String]
    /// The client's Ed25519 public key, 32 bytes; empty in the server's answer.
    package var deviceKey: [UInt8]

    /// Makes the object from its fields.
    package init(version: Int = 1, features: [String] = [], deviceKey: [UInt8] = []) {
        self.version = version
        self.features = features
        self.deviceKey = deviceKey
    }

    /// Makes the object from features that this version knows.
    package init(version: Int = 1, features: [AditFeature], deviceKey: [UInt8] = []) {
        self.init(version: version, features: features.map(\.rawValue), deviceKey: deviceKey)
    }

    /// Whether the peer named the feature.
    package func has(_ feature: AditFeature) -> Bool {
        features.contains(feature.rawValue)
    }
}

extension AditHello: JSONMessage {
    private enum Key: String, CodingKey { case version, features, deviceKey }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            version: try fields.number(.version),
            features: try fields.list(.features),
            deviceKey: try fields.bytes(.deviceKey)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("version", version)
        object.field("features", features)
        object.field("deviceKey", bytes: deviceKey)
    }
}

/// The server's answer to a hello that came inside a login of wire v1 (id 0x4008, only over wire v1).
///
/// The device logs in again after it, with its proof over both hellos (docs/wire.md, Over wire v1).
package struct AditHelloAnswer: Sendable, Equatable {
    /// The payload of the ServerHello, as it counts for the transcript.
    package var hello: [UInt8]

    /// Makes the message from its field.
    package init(hello: [UInt8] = []) {
        self.hello = hello
    }
}

extension AditHelloAnswer: JSONMessage {
    private enum Key: String, CodingKey { case hello }

    init(json decoder: any Decoder) throws {
        self.init(hello: try decoder.container(keyedBy: Key.self).bytes(.hello))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("hello", bytes: hello)
    }
}
