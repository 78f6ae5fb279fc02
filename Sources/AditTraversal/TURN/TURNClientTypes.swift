// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// How a client reaches its TURN server, and what it asks for.
package struct TURNClientConfiguration: Sendable, Equatable {
    /// The server.
    package var server: IPEndpoint
    /// Over what.
    package var transport: STUNTransport
    /// The user of the long-term credential.
    package var username: String
    /// The password.
    package var password: String
    /// The realm, where it is known beforehand; with `nonce` it saves a round trip.
    package var realm: String?
    /// A nonce that the server gave beforehand.
    package var nonce: String?
    /// The lifetime to ask for, in seconds.
    package var lifetime: UInt32
    /// The family of the relayed address; nil for what the server gives without being asked, which is IPv4.
    package var family: STUNAddressFamily?
    /// When requests are sent again and given up; nil for the transport's standard.
    package var timing: STUNTiming?

    /// Makes it from its parts.
    package init(
        server: IPEndpoint,
        transport: STUNTransport = .udp,
        username: String,
        password: String,
        realm: String? = nil,
        nonce: String? = nil,
        lifetime: UInt32 = 600,
        family: STUNAddressFamily? = nil,
        timing: STUNTiming? = nil
    ) {
        self.server = server
        self.transport = transport
        self.username = username
        self.password = password
        self.realm = realm
        self.nonce = nonce
        self.lifetime = lifetime
        self.family = family
        self.timing = timing
    }
}

/// What a client is told.
package enum TURNClientInput: Sendable, Equatable {
    /// Begin: the socket is there, or the connection is up.
    case start
    /// A datagram from the server, or bytes of the connection.
    case received([UInt8])
    /// Datagrams from the server.
    case receivedBatch(PacketBatch)
    /// The connection to the server is over.
    case disconnected
    /// Let datagrams of an address in.
    case permit(IPAddress)
    /// Let datagrams of an address in no longer: its permission and channels are not refreshed any more.
    case forget(IPAddress)
    /// Bind a channel, which saves 32 bytes for each datagram to that peer and from it.
    case bind(IPEndpoint)
    /// Send a datagram to a peer; a permission is asked for when there is none.
    case send([UInt8], to: IPEndpoint)
    /// Send packets to a peer, which may be lost; over a connection to the server all or none.
    case sendBatch(PacketBatch, to: IPEndpoint)
    /// Use these from the next request on: the server gave new ones before the old ones expire.
    case credentials(username: String, password: String, realm: String?, nonce: String?)
    /// The allocation, or the way to it, may be there no longer: it is refreshed now, and lost when nobody answers soon.
    case verify
    /// Give the allocation back.
    case release
    /// The deadline passed.
    case timer
}

/// What the driver of a client has to do.
package enum TURNClientOutput: Sendable, Equatable {
    /// Send to the server: a datagram, or bytes of the connection.
    case transmit([UInt8])
    /// Send these datagrams to the server.
    case transmitBatch(PacketBatch)
    /// Write these bytes on the connection to the server, all or none: packets that may be lost.
    case offer([UInt8])
    /// Tell whoever runs the machine.
    case event(TURNClientEvent)
}

/// What a client tells.
package enum TURNClientEvent: Sendable, Equatable {
    /// The allocation is there: the relay's endpoint, and where the server sees this client.
    case allocated(relayed: IPEndpoint, mapped: IPEndpoint)
    /// Datagrams of a peer came.
    case data(PacketBatch, from: IPEndpoint)
    /// The permission is there.
    case permitted(IPAddress)
    /// The permission was refused, 403 most often.
    case notPermitted(IPAddress, TURNFailure)
    /// The channel is there.
    case bound(IPEndpoint)
    /// A datagram to a peer met an ICMP error; `data` holds the MTU where the error has one.
    case refused(IPEndpoint, type: UInt8, code: UInt8, data: UInt32)
    /// The server sends its clients to another one (300): from here on everything goes there, beginning with `.start`.
    case redirected(IPEndpoint)
    /// There will be no allocation.
    case failed(TURNFailure)
    /// There was an allocation, and there is none any more.
    case lost(TURNFailure)
    /// The allocation was given back.
    case released
}

/// Why a client has no allocation or permission.
package enum TURNFailure: Sendable, Hashable {
    /// Nobody answered in time.
    case timedOut
    /// The user, the password or the expiry is wrong (401 with a key, 441).
    case unauthorized
    /// The server forbids it (403).
    case forbidden
    /// The 5-tuple belongs to another allocation, or the server knows none (437).
    case mismatch
    /// The address family is not supported, or not the relay's (440, 443).
    case family
    /// The user has its share (486); not to be tried again for a minute.
    case quota
    /// The server is full (508); not to be tried again for a minute.
    case capacity
    /// Any other error.
    case refused(Int, reason: String)
    /// What came is not TURN, or lacks what it must have.
    case malformed
    /// The connection ended.
    case disconnected
    /// The machine's own limit of permissions or channels.
    case tooMany
}
