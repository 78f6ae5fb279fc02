// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// A server that this device joined, with the key that it will accept from now on.
package struct JoinedServer: Sendable, Hashable, Codable {
    /// The host as the invite named it.
    package var host: String
    /// The session port.
    package var port: UInt16
    /// The whole fingerprint of the server's key, `SHA256:` and 43 characters of base 64.
    package var fingerprint: String
    /// What the server calls this device.
    package var deviceName: String
    /// What the server calls itself.
    package var serverName: String
    /// The domain under which it gives names; empty when it has none.
    package var domain: String
    /// When this device joined, in seconds since 1970.
    package var joinedAt: Int64
    /// The port on which the server shows names, as it said when this device joined; nil when it shows none.
    package var httpPort: UInt16?
    /// Where the server answered STUN when this device was last connected; nil when it did not.
    package var stun: STUNOffer?
    /// Where the server relayed by TURN when this device was last connected, and the credentials it gave; nil when it did
    /// not.
    package var turn: TURNOffer?
    /// The framing of sessions with it; nil for the newest.
    package var wire: FRPWireVersion?

    /// Makes one from its parts.
    package init(
        host: String,
        port: UInt16,
        fingerprint: String,
        deviceName: String,
        serverName: String,
        domain: String,
        joinedAt: Int64,
        httpPort: UInt16? = nil,
        stun: STUNOffer? = nil,
        turn: TURNOffer? = nil,
        wire: FRPWireVersion? = nil
    ) {
        self.host = host
        self.port = port
        self.fingerprint = fingerprint
        self.deviceName = deviceName
        self.serverName = serverName
        self.domain = domain
        self.joinedAt = joinedAt
        self.httpPort = httpPort
        self.stun = stun
        self.turn = turn
        self.wire = wire
    }

    /// The host and the session port.
    package var place: HostPort { HostPort(host: host, port: port) }

    /// The entry as people and scripts may see it: without what gives access.
    package var withoutSecrets: JoinedServer {
        var server = self
        server.turn = turn?.withoutSecrets
        return server
    }

    /// The place as people write it: the port only when it is not 7000.
    package var shownPlace: String { port == 7000 ? host : place.description }
}

/// The file of joined servers: the one used by default stands first.
struct JoinedServerFile: Codable {
    var version = 1
    var servers: [JoinedServer] = []
}
