// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// What a client knows of a permission.
struct TURNClientPermission: Sendable {
    /// Counts them in the order in which they were wished for.
    var number: UInt64 = 0
    /// Whether the server has granted it.
    var isGranted = false
    /// Whether a request for it is under way.
    var isAsked = false
    var failures = 0
    var refreshAt: Instant?
}

/// What a client knows of a channel.
struct TURNClientChannel: Sendable {
    var number: UInt16
    var isBound = false
    var isAsked = false
    var failures = 0
    var refreshAt: Instant?
}

extension TURNClient {
    /// How long a permission or channel is used before it is refreshed: of 300 s (RFC 8656 section 9) all but the margin.
    private static let refreshAfter = Duration.seconds(240)
    /// How many addresses one request names.
    private static let batchLimit = 16
    /// How often in a row something that was granted is asked for in vain.
    private static let failureLimit = 4
    /// How long what finds too many requests under way waits.
    private static let pause = Duration.milliseconds(20)

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
        permissionCount += 1
        permissions[address] = TURNClientPermission(number: permissionCount)
        // A new one goes alone, so that a refusal says nothing about others.
        ask([address], at: now)
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
        askToBind(peer, at: now)
    }

    /// A number is not used again before all others, so that the server has forgotten it by then (section 12).
    private static func number(after number: UInt16) -> UInt16 {
        number == ChannelData.numbers.upperBound ? ChannelData.numbers.lowerBound : number + 1
    }

    mutating func send(_ bytes: [UInt8], to peer: IPEndpoint, at now: Instant) {
        guard bytes.count <= Self.payloadLimit, maySend(to: peer, at: now) else { return }
        var message: [UInt8] = []
        encode(bytes[...], to: peer, into: &message)
        outputs.append(.transmit(message))
    }

    /// A message for each packet, so that a run of packets becomes a run of messages (RFC 8656 section 12.4).
    mutating func send(_ batch: PacketBatch, to peer: IPEndpoint, at now: Instant) {
        guard batch.segmentSize <= Self.payloadLimit, maySend(to: peer, at: now) else { return }
        let isStream = configuration.transport != .udp
        var messages: [UInt8] = []
        messages.reserveCapacity(batch.bytes.count + batch.count * 8)
        var length = 0
        for index in 0..<batch.count {
            let before = messages.count
            encode(batch.bytes[batch.range(index)], to: peer, into: &messages)
            guard !isStream else { continue }
            if messages.count > PacketBatch.byteLimit {
                // Headers may make one batch too many of it.
                let rest = Array(messages[before...])
                outputs.append(.transmitBatch(PacketBatch(bytes: Array(messages[..<before]), segmentSize: length)))
                messages = rest
                length = 0
            }
            length = max(length, messages.count - before)
            if length == 0 { length = messages.count }
        }
        outputs.append(
            isStream ? .offer(messages) : .transmitBatch(PacketBatch(bytes: messages, segmentSize: length))
        )
    }

    /// The longest payload that any message has room for.
    private static let payloadLimit = 0xFF00

    /// Whether the server is there and the peer is let in, or about to be: the server reads what asks for it first.
    private mutating func maySend(to peer: IPEndpoint, at now: Instant) -> Bool {
        guard state == .allocated else { return false }
        if channels[peer] != nil { return true }
        if permissions[peer.address] == nil { permit(peer.address, at: now) }
        return permissions[peer.address] != nil
    }

    /// ChannelData, or a Send indication where no channel is bound yet.
    private mutating func encode(_ payload: ArraySlice<UInt8>, to peer: IPEndpoint, into bytes: inout [UInt8]) {
        if let channel = channels[peer], channel.isBound {
            // Padding is for streams alone (section 12.5).
            ChannelData.encode(channel.number, payload, isPadded: configuration.transport != .udp, into: &bytes)
            return
        }
        let message = STUNMessage(
            .indication,
            .send,
            transactionID: STUNTransactionID(using: &random),
            attributes: [.xorPeerAddress(peer), .data(Array(payload))]
        )
        message.encode(into: &bytes)
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
            outputs.append(.event(.data(PacketBatch(data), from: peer)))
        } else if let error {
            outputs.append(.event(.refused(peer, type: error.type, code: error.code, data: error.data)))
        }
    }

    /// Asks for permissions with one request, or soon when too many requests are under way.
    private mutating func ask(_ addresses: [IPAddress], at now: Instant) {
        guard state == .allocated else { return }
        guard requests.count < Self.transactionLimit else { return upkeep(by: now + Self.pause) }
        for address in addresses { permissions[address]?.isAsked = true }
        request(.permit(addresses), at: now)
    }

    private mutating func askToBind(_ peer: IPEndpoint, at now: Instant) {
        guard state == .allocated else { return }
        guard requests.count < Self.transactionLimit else { return upkeep(by: now + Self.pause) }
        channels[peer]?.isAsked = true
        request(.bind(peer), at: now)
    }

    /// Asks for each permission and channel that is new or due, and finds out when the next one is.
    mutating func upkeep(at now: Instant) {
        upkeepAt = nil
        guard state == .allocated else { return }
        var known: [IPAddress] = []
        for (address, permission) in permissions.sorted(by: { $0.value.number < $1.value.number }) {
            guard permission.isDue(at: now) else { continue }
            if permission.isGranted { known.append(address) } else { ask([address], at: now) }
        }
        for start in stride(from: 0, to: known.count, by: Self.batchLimit) {
            ask(Array(known[start..<min(start + Self.batchLimit, known.count)]), at: now)
        }
        for (peer, channel) in channels.sorted(by: { $0.value.number < $1.value.number }) where channel.isDue(at: now) {
            askToBind(peer, at: now)
        }
        for permission in permissions.values where !permission.isAsked {
            upkeep(by: max(permission.refreshAt ?? now, now + Self.pause))
        }
        for channel in channels.values where !channel.isAsked {
            upkeep(by: max(channel.refreshAt ?? now, now + Self.pause))
        }
    }

    private mutating func upkeep(by due: Instant) {
        upkeepAt = upkeepAt.map { min($0, due) } ?? due
    }

    mutating func permitted(_ addresses: [IPAddress], at now: Instant) {
        for address in addresses {
            guard let known = permissions[address] else { continue }
            grant(address, at: now)
            if !known.isGranted { outputs.append(.event(.permitted(address))) }
        }
    }

    private mutating func grant(_ address: IPAddress, at now: Instant) {
        permissions[address]?.isGranted = true
        permissions[address]?.isAsked = false
        permissions[address]?.failures = 0
        permissions[address]?.refreshAt = now + Self.refreshAfter
        upkeep(by: now + Self.refreshAfter)
    }

    mutating func notPermitted(_ addresses: [IPAddress], _ failure: TURNFailure, at now: Instant) {
        if failure == .mismatch || failure == .unauthorized { return end(failure) }
        for address in addresses {
            guard var permission = permissions[address] else { continue }
            permission.isAsked = false
            permission.failures += 1
            permission.refreshAt = now
            // What was granted may be asked for again: the answer was lost, or another of the batch is not allowed any more.
            let isHopeful = permission.isGranted && (failure == .timedOut || addresses.count > 1)
            if isHopeful, permission.failures < Self.failureLimit {
                permissions[address] = permission
                if failure != .timedOut { permissions[address]?.isGranted = false }
                upkeep(by: now)
            } else {
                permissions[address] = nil
                outputs.append(.event(.notPermitted(address, failure)))
            }
        }
    }

    mutating func bound(_ peer: IPEndpoint, at now: Instant) {
        guard let known = channels[peer] else { return }
        channels[peer]?.isBound = true
        channels[peer]?.isAsked = false
        channels[peer]?.failures = 0
        channels[peer]?.refreshAt = now + Self.refreshAfter
        upkeep(by: now + Self.refreshAfter)
        if !known.isBound { outputs.append(.event(.bound(peer))) }
        // A channel brings a permission for its address (section 12.2).
        if permissions[peer.address]?.isAsked == false { grant(peer.address, at: now) }
    }

    mutating func notBound(_ peer: IPEndpoint, _ failure: TURNFailure, at now: Instant) {
        if failure == .mismatch || failure == .unauthorized { return end(failure) }
        guard var channel = channels[peer] else { return }
        channel.isAsked = false
        channel.failures += 1
        channel.refreshAt = now
        if channel.isBound, failure == .timedOut, channel.failures < Self.failureLimit {
            channels[peer] = channel
            return upkeep(by: now)
        }
        channels[peer] = nil
        peers[channel.number] = nil
        if permissions[peer.address] == nil { outputs.append(.event(.notPermitted(peer.address, failure))) }
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
