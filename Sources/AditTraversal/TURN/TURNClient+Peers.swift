// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// What a client knows of a permission.
struct TURNClientPermission: Sendable {
    /// Whether the server has granted it.
    var isGranted = false
    /// Whether a request for it is under way.
    var isAsked = false
    var refreshAt: Instant?
}

/// What a client knows of a channel.
struct TURNClientChannel: Sendable {
    var number: UInt16
    var isBound = false
    var isAsked = false
    var refreshAt: Instant?
}

extension TURNClient {
    /// How long a permission or channel is used before it is refreshed: of 300 s (RFC 8656 section 9) all but the margin.
    private static let refreshAfter = Duration.seconds(240)
    /// How many addresses one request names.
    private static let batchLimit = 16

    mutating func permit(_ address: IPAddress, at now: Instant) {
        guard state != .over, state != .releasing else { return }
        if let known = permissions[address] {
            if known.isGranted { outputs.append(.event(.permitted(address))) }
            return
        }
        guard permissions.count < Self.permissionLimit else {
            outputs.append(.event(.notPermitted(address, .tooMany)))
            return
        }
        permissions[address] = TURNClientPermission()
        ask(at: now)
    }

    mutating func bind(_ peer: IPEndpoint, at now: Instant) {
        guard state != .over, state != .releasing, channels[peer] == nil, peer.port != 0,
            channels.count < Self.channelLimit
        else { return }
        var number = nextNumber
        while peers[number] != nil { number = Self.number(after: number) }
        nextNumber = Self.number(after: number)
        peers[number] = peer
        channels[peer] = TURNClientChannel(number: number)
        ask(at: now)
    }

    /// A number is not used again before all others, so that the server has forgotten it by then (section 12).
    private static func number(after number: UInt16) -> UInt16 {
        number == ChannelData.numbers.upperBound ? ChannelData.numbers.lowerBound : number + 1
    }

    mutating func send(_ bytes: [UInt8], to peer: IPEndpoint, at now: Instant) {
        guard state == .allocated, bytes.count <= 0xFF00 else { return }
        if let channel = channels[peer], channel.isBound {
            var message: [UInt8] = []
            message.reserveCapacity(bytes.count + 8)
            ChannelData.encode(channel.number, bytes, isPadded: configuration.transport != .udp, into: &message)
            outputs.append(.transmit(message))
            return
        }
        if permissions[peer.address] == nil, channels[peer] == nil { permit(peer.address, at: now) }
        guard permissions[peer.address] != nil || channels[peer] != nil else { return }
        let message = STUNMessage(
            .indication,
            .send,
            transactionID: STUNTransactionID(using: &random),
            attributes: [.xorPeerAddress(peer), .data(bytes)]
        )
        var encoded: [UInt8] = []
        encoded.reserveCapacity(bytes.count + 56)
        message.encode(into: &encoded)
        outputs.append(.transmit(encoded))
    }

    mutating func takeIndication(_ message: STUNMessage) {
        var peer: IPEndpoint?
        var data: [UInt8]?
        var error: (type: UInt8, code: UInt8, data: UInt32)?
        for attribute in message.attributes {
            switch attribute {
            case .xorPeerAddress(let value): peer = peer ?? value
            case .data(let value): data = value
            case .icmp(let type, let code, let data): error = (type, code, data)
            default: break
            }
        }
        // The server has let in what is from an address with a permission; anything else is not from it (section 11.4).
        guard message.unknownRequiredTypes.isEmpty, let peer,
            permissions[peer.address] != nil || channels.keys.contains(where: { $0.address == peer.address })
        else { return }
        if let data {
            outputs.append(.event(.data(data, from: peer)))
        } else if let error {
            outputs.append(.event(.refused(peer, type: error.type, code: error.code, data: error.data)))
        }
    }

    /// Asks for what was wished for before there was an allocation.
    mutating func requestWaiting(at now: Instant) { ask(at: now) }

    /// Asks for each permission and channel that is new or due.
    private mutating func ask(at now: Instant) {
        guard state == .allocated else { return }
        var due = permissions.filter { $1.isDue(at: now) }.keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        while !due.isEmpty, requests.count < Self.transactionLimit {
            // A new one goes alone, so that a refusal says nothing about others.
            let isKnown = permissions[due[0]]?.isGranted == true
            var batch = [due.removeFirst()]
            while isKnown, batch.count < Self.batchLimit, let next = due.first, permissions[next]?.isGranted == true {
                batch.append(next)
                due.removeFirst()
            }
            for address in batch { permissions[address]?.isAsked = true }
            request(.permit(batch), at: now)
        }
        for (peer, channel) in channels.sorted(by: { $0.value.number < $1.value.number }) {
            guard channel.isDue(at: now), requests.count < Self.transactionLimit else { continue }
            channels[peer]?.isAsked = true
            request(.bind(peer), at: now)
        }
        schedule(at: now)
    }

    mutating func upkeep(at now: Instant) {
        upkeepAt = nil
        ask(at: now)
    }

    private mutating func schedule(at now: Instant) {
        upkeepAt = nil
        for permission in permissions.values where !permission.isAsked { upkeep(by: permission.refreshAt, at: now) }
        for channel in channels.values where !channel.isAsked { upkeep(by: channel.refreshAt, at: now) }
    }

    /// What could not be asked for at once, because too many requests are under way, is asked for soon.
    private mutating func upkeep(by instant: Instant?, at now: Instant) {
        let due = max(instant ?? now, now + .milliseconds(20))
        upkeepAt = upkeepAt.map { min($0, due) } ?? due
    }

    mutating func permitted(_ addresses: [IPAddress], at now: Instant) {
        for address in addresses {
            guard let known = permissions[address] else { continue }
            permissions[address] = TURNClientPermission(isGranted: true, refreshAt: now + Self.refreshAfter)
            if !known.isGranted { outputs.append(.event(.permitted(address))) }
        }
        ask(at: now)
    }

    mutating func notPermitted(_ addresses: [IPAddress], _ failure: TURNFailure, at now: Instant) {
        if failure == .mismatch || failure == .unauthorized { return end(failure) }
        guard addresses.count == 1 else {
            // One of them is no longer allowed: each is asked for alone.
            for address in addresses where permissions[address] != nil {
                permissions[address] = TURNClientPermission()
            }
            return ask(at: now)
        }
        for address in addresses where permissions.removeValue(forKey: address) != nil {
            outputs.append(.event(.notPermitted(address, failure)))
        }
        ask(at: now)
    }

    mutating func bound(_ peer: IPEndpoint, at now: Instant) {
        guard let known = channels[peer] else { return }
        channels[peer]?.isBound = true
        channels[peer]?.isAsked = false
        channels[peer]?.refreshAt = now + Self.refreshAfter
        if !known.isBound { outputs.append(.event(.bound(peer))) }
        // A channel brings a permission for its address (section 12.2).
        if permissions[peer.address]?.isAsked != true {
            permissions[peer.address] = TURNClientPermission(isGranted: true, refreshAt: now + Self.refreshAfter)
        }
        ask(at: now)
    }

    mutating func notBound(_ peer: IPEndpoint, _ failure: TURNFailure, at now: Instant) {
        if failure == .mismatch || failure == .unauthorized { return end(failure) }
        if let channel = channels.removeValue(forKey: peer) { peers[channel.number] = nil }
        if permissions[peer.address] == nil { outputs.append(.event(.notPermitted(peer.address, failure))) }
        ask(at: now)
    }
}

extension TURNClientPermission {
    /// Whether it is to be asked for.
    fileprivate func isDue(at now: Instant) -> Bool {
        guard !isAsked else { return false }
        guard let refreshAt else { return true }
        return refreshAt <= now
    }
}

extension TURNClientChannel {
    /// Whether it is to be asked for.
    fileprivate func isDue(at now: Instant) -> Bool {
        guard !isAsked else { return false }
        guard let refreshAt else { return true }
        return refreshAt <= now
    }
}
