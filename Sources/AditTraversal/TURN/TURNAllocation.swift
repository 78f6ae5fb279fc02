// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// A client's right to send to an address through its allocation, and to hear of it (RFC 8656 section 9).
struct TURNPermission: Sendable {
    var address: IPAddress
    var expiry: Instant
    /// Whether the policy lets datagrams leave for it; else only relays of this server on it are reached.
    var mayLeave: Bool
}

/// A number that stands for a peer (RFC 8656 section 12).
struct TURNChannel: Sendable {
    var number: UInt16
    var peer: IPEndpoint
    var expiry: Instant
    /// Until when the peer's address has a permission: the same as that permission's.
    var permission: Instant
    /// As in `TURNPermission`.
    var mayLeave: Bool
    /// The relay of this server that the peer is, as of `epoch`; -1 when it is none.
    var inside: Int32 = -1
    /// When `inside` was looked up, in changes of the table of relays.
    var epoch: UInt64 = 0
}

/// A relayed transport address: the socket of an allocation, or one that is kept for another.
struct TURNRelaySlot: Sendable {
    enum State: Sendable {
        case free
        case opening
        case open
        /// For whoever brings the token.
        case kept(token: UInt64)
    }

    var state = State.free
    /// Counts how often the place was used; part of the id, so that an old id is never taken for a new one.
    var generation: UInt32 = 0
    /// The place of the allocation; -1 for none.
    var allocation: Int32 = -1
    /// The place of the device.
    var device: Int32 = -1
    var family = STUNAddressFamily.v4
    var relayed = IPEndpoint(.v4(0), 0)
    var expiry = Instant.zero
    var sent: UInt64 = 0
    var received: UInt64 = 0
}

/// An Allocate request whose sockets are being opened.
struct TURNPendingAllocate: Sendable {
    var request: STUNMessage
    var caller: TURNCaller
    var lifetime: UInt32
    /// How many sockets have not been answered for.
    var waiting: Int
    /// The place of the relay that is kept for later; -1 for none.
    var kept: Int32 = -1
    /// What became of the family that was asked for in addition.
    var addressError: STUNAttribute?
}

/// An allocation (RFC 8656 section 2.2): what a 5-tuple has.
struct TURNAllocation: Sendable {
    var isUsed = false
    var client = TURNClientTuple(client: IPEndpoint(.v4(0), 0), socket: 0, transport: .udp)
    var caller: TURNCaller
    /// Of the request that made it, to answer a retransmission alike (section 7.2).
    var transactionID: STUNTransactionID
    /// What the answer said about a second family and a kept port, for the same reason.
    var extra: [STUNAttribute] = []
    var pending: TURNPendingAllocate?
    /// The places of its relays; the second is -1 but for one with both families, and either may have been given back.
    var first: Int32 = -1
    var second: Int32 = -1
    var device: Int32
    var permissions: [TURNPermission] = []
    var channels: [TURNChannel] = []

    init(_ client: TURNClientTuple, _ caller: TURNCaller, device: Int32, transactionID: STUNTransactionID) {
        isUsed = true
        self.client = client
        self.caller = caller
        self.device = device
        self.transactionID = transactionID
    }

    /// Where the permission of an address is; nil when it never had one.
    func permission(of address: IPAddress) -> Int? {
        for index in permissions.indices where permissions[index].address == address { return index }
        return nil
    }

    /// Where the channel of a peer is.
    func channel(of peer: IPEndpoint) -> Int? {
        for index in channels.indices where channels[index].peer == peer { return index }
        return nil
    }

    /// Where the channel of a number is.
    func channel(_ number: UInt16) -> Int? {
        for index in channels.indices where channels[index].number == number { return index }
        return nil
    }

    /// Whether datagrams of an address may come in.
    func isPermitted(_ address: IPAddress, at now: Instant) -> Bool {
        guard let index = permission(of: address) else { return false }
        return permissions[index].expiry > now
    }
}

/// A device's share.
struct TURNDevice: Sendable {
    var name: String
    /// How many relays it has, kept and opening ones too.
    var relays = 0
    var bytes: UInt64 = 0
    /// When what was relayed is paid off, in nanoseconds (see `STUNSourceLimiter`).
    var paid = Int64.min / 2
    /// The same of datagrams.
    var paidDatagrams = Int64.min / 2
}

/// Who sent a request, proven by its key.
struct TURNCaller: Sendable {
    var username: String
    var device: String
    var key: STUNIntegrityKey
    var algorithm: STUNIntegrityKey.Algorithm
    /// With what the request was protected, and the response is to be.
    var integrity: STUNIntegrity
}
