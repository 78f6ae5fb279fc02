// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire

/// What a relay allows.
package struct TURNRelayConfiguration: Sendable {
    /// The realm that clients are told (RFC 8489 section 9.2).
    package var realm: String
    /// The secrets of time-limited credentials: the one that new credentials are made with first, then older ones.
    package var secrets: [TURNSecret]
    /// Users with passwords of their own.
    package var users: [String: String]
    /// Whether a user with a valid credential may make allocations now; nil for each.
    package var admits: (@Sendable (_ username: String) -> Bool)?
    /// The address families of which the driver can open sockets.
    package var families: [STUNAddressFamily]
    /// The addresses that relays are announced at; a permission for them is always given, for what is forwarded inside.
    package var relayAddresses: [IPAddress]
    /// To whom relays may send.
    package var peers: TURNPeerPolicy
    /// How many allocations there may be.
    package var allocationLimit: Int
    /// How many allocations a device may have.
    package var deviceAllocationLimit: Int
    /// How many payload bytes a device may have relayed in a second, both ways together; nil for any.
    package var deviceBytesPerSecond: Int?
    /// How many datagrams a device may have relayed in a second, both ways together; nil for any.
    package var deviceDatagramsPerSecond: Int?
    /// How many permissions an allocation may have.
    package var permissionLimit: Int
    /// How many channels an allocation may have.
    package var channelLimit: Int
    /// Whether the driver can set DF on a datagram; else DONT-FRAGMENT counts as unknown (RFC 8656 section 7.2).
    package var canForbidFragments: Bool
    /// What SOFTWARE says; nil to leave it out.
    package var software: String?
    /// How much a source that has shown no key may ask for over UDP; nil for no limits.
    package var limits: STUNLimits?

    /// The shortest lifetime of an allocation, and what it has when none is asked for, in seconds (RFC 8656 section 3.2).
    package static let defaultLifetime: UInt32 = 600
    /// The longest lifetime of an allocation, in seconds (RFC 8656 section 7.2).
    package static let longestLifetime: UInt32 = 3600
    /// How long a permission lasts, in seconds (RFC 8656 section 9).
    package static let permissionLifetime: Int64 = 300
    /// How long a channel lasts, in seconds (RFC 8656 section 12).
    package static let channelLifetime: Int64 = 600
    /// How long a port is kept for RESERVATION-TOKEN, in seconds (RFC 8656 section 7.2).
    package static let reservationLifetime: Int64 = 30
    /// How long a nonce is good, in seconds (RFC 8656 section 5 demands a new one each hour).
    package static let nonceLifetime: Int64 = 3600

    /// Makes a configuration.
    package init(
        realm: String = "adit",
        secrets: [TURNSecret] = [],
        users: [String: String] = [:],
        admits: (@Sendable (_ username: String) -> Bool)? = nil,
        families: [STUNAddressFamily] = [.v4],
        relayAddresses: [IPAddress] = [],
        peers: TURNPeerPolicy = TURNPeerPolicy(),
        allocationLimit: Int = 4096,
        deviceAllocationLimit: Int = 16,
        deviceBytesPerSecond: Int? = nil,
        deviceDatagramsPerSecond: Int? = nil,
        permissionLimit: Int = 256,
        channelLimit: Int = 256,
        canForbidFragments: Bool = false,
        software: String? = nil,
        limits: STUNLimits? = STUNLimits()
    ) {
        self.realm = realm
        self.secrets = secrets
        self.users = users
        self.admits = admits
        self.families = families
        self.relayAddresses = relayAddresses
        self.peers = peers
        self.allocationLimit = allocationLimit
        self.deviceAllocationLimit = deviceAllocationLimit
        self.deviceBytesPerSecond = deviceBytesPerSecond
        self.deviceDatagramsPerSecond = deviceDatagramsPerSecond
        self.permissionLimit = permissionLimit
        self.channelLimit = channelLimit
        self.canForbidFragments = canForbidFragments
        self.software = software
        self.limits = limits
    }
}
