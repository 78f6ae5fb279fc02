// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

extension TURNRelay {
    /// The first two bytes of a Send indication and of a Data indication (RFC 8656 section 17).
    static let sendIndication: UInt16 = 0x0016
    static let dataIndication: UInt16 = 0x0017

    /// Forwards ChannelData or a Send indication in `buffer[message]`, around which there is `headroom` and `tailroom`.
    package mutating func forward(
        _ buffer: inout MutableRawSpan,
        _ message: Range<Int>,
        from client: TURNClientTuple,
        at now: Instant
    ) -> TURNForward {
        precondition(message.lowerBound >= Self.headroom, "the buffer lacks headroom")
        guard message.count >= ChannelData.headerByteCount else { return malformed() }
        let type = buffer.bytes.bigEndianUInt16(at: message.lowerBound)
        if type >> 14 == 1 { return forwardChannel(&buffer, message, type, from: client, at: now) }
        if type == Self.sendIndication { return forwardIndication(&buffer, message, from: client, at: now) }
        return type >> 14 == 0 ? .control : malformed()
    }

    /// Frames a peer's datagram in `buffer[payload]`, around which there is `headroom` and `tailroom`, for the client.
    package mutating func deliver(
        _ buffer: inout MutableRawSpan,
        _ payload: Range<Int>,
        from peer: IPEndpoint,
        on relay: TURNRelayID,
        at now: Instant
    ) -> TURNForward {
        precondition(payload.lowerBound >= Self.headroom, "the buffer lacks headroom")
        guard let slot = slot(of: relay) else { return drop() }
        return frame(&buffer, payload, from: peer, slot, isCharged: true, at: now)
    }

    /// Section 12.6.
    private mutating func forwardChannel(
        _ buffer: inout MutableRawSpan,
        _ message: Range<Int>,
        _ number: UInt16,
        from client: TURNClientTuple,
        at now: Instant
    ) -> TURNForward {
        let start = message.lowerBound + ChannelData.headerByteCount
        let end = start + Int(buffer.bytes.bigEndianUInt16(at: message.lowerBound + 2))
        guard end <= message.upperBound, let place = place(of: client) else { return malformed() }
        guard let index = allocations[place].channel(number), allocations[place].channels[index].expiry > now else {
            return drop()
        }
        if allocations[place].channels[index].epoch != epoch {
            allocations[place].channels[index].epoch = epoch
            allocations[place].channels[index].inside = byEndpoint[allocations[place].channels[index].peer] ?? -1
        }
        let peer = allocations[place].channels[index].peer
        let inside = allocations[place].channels[index].inside
        let mayLeave = allocations[place].channels[index].mayLeave
        return send(&buffer, start..<end, place, peer, inside, mayLeave, dontFragment: false, at: now)
    }

    /// Section 11.2.
    private mutating func forwardIndication(
        _ buffer: inout MutableRawSpan,
        _ message: Range<Int>,
        from client: TURNClientTuple,
        at now: Instant
    ) -> TURNForward {
        guard let (peer, data, dontFragment) = Self.sendParts(buffer.bytes.extracting(message)) else {
            return malformed()
        }
        guard !dontFragment || configuration.canForbidFragments, let place = place(of: client) else {
            return malformed()
        }
        guard peer.port != 0, let index = allocations[place].permission(of: peer.address),
            allocations[place].permissions[index].expiry > now
        else { return drop() }
        let inside = configuration.relayAddresses.contains(peer.address) ? byEndpoint[peer] ?? -1 : -1
        let mayLeave = allocations[place].permissions[index].mayLeave
        let range = (message.lowerBound + data.lowerBound)..<(message.lowerBound + data.upperBound)
        return send(&buffer, range, place, peer, inside, mayLeave, dontFragment: dontFragment, at: now)
    }

    /// Sends through the relay of the peer's family, or hands over to another allocation of this server.
    private mutating func send(
        _ buffer: inout MutableRawSpan,
        _ payload: Range<Int>,
        _ place: Int,
        _ peer: IPEndpoint,
        _ inside: Int32,
        _ mayLeave: Bool,
        dontFragment: Bool,
        at now: Instant
    ) -> TURNForward {
        let family = STUNAddressFamily(of: peer.address)
        var slot = Int(allocations[place].first)
        if slot < 0 || slots[slot].family != family { slot = Int(allocations[place].second) }
        guard slot >= 0, slots[slot].family == family, slots[slot].expiry > now, case .open = slots[slot].state,
            inside >= 0 || mayLeave, charge(slots[slot].device, payload.count, at: now)
        else { return drop() }
        slots[slot].sent += UInt64(payload.count)
        counters.datagramsToPeers += 1
        counters.bytesToPeers += UInt64(payload.count)
        guard inside >= 0 else { return .toPeer(id(of: slot), payload, to: peer, dontFragment: dontFragment) }
        return frame(&buffer, payload, from: slots[slot].relayed, Int(inside), isCharged: false, at: now)
    }

    /// Puts what a peer sent into a message for the client whose relay it came to (sections 11.3 and 12.7).
    private mutating func frame(
        _ buffer: inout MutableRawSpan,
        _ payload: Range<Int>,
        from peer: IPEndpoint,
        _ slot: Int,
        isCharged: Bool,
        at now: Instant
    ) -> TURNForward {
        guard case .open = slots[slot].state, slots[slot].expiry > now else { return drop() }
        let place = Int(slots[slot].allocation)
        var number: UInt16?
        if let index = allocations[place].channel(of: peer), allocations[place].channels[index].permission > now {
            if allocations[place].channels[index].expiry > now { number = allocations[place].channels[index].number }
        } else if !allocations[place].isPermitted(peer.address, at: now) {
            return drop()
        }
        guard !isCharged || charge(slots[slot].device, payload.count, at: now) else { return drop() }
        let isStream = allocations[place].client.transport != .udp
        let range: Range<Int>
        if let number {
            range = Self.writeChannel(number, around: payload, isPadded: isStream, into: &buffer)
        } else {
            guard payload.count <= STUNMessage.byteLimit - Self.headroom else { return drop() }
            let id = (UInt32(truncatingIfNeeded: quick.next()), quick.next())
            range = Self.writeIndication(peer, id, around: payload, into: &buffer)
        }
        slots[slot].received += UInt64(payload.count)
        counters.datagramsToClients += 1
        counters.bytesToClients += UInt64(payload.count)
        return .toClient(allocations[place].client, range)
    }

    private mutating func place(of client: TURNClientTuple) -> Int? {
        if lastPlace >= 0, lastClient == client { return Int(lastPlace) }
        guard let place = byClient[client] else { return nil }
        lastClient = client
        lastPlace = place
        return Int(place)
    }

    /// How many nanoseconds of its rate a device may have relayed at once, in datagrams.
    private static let datagramsAtOnce: Int64 = 250_000_000

    /// Books a datagram on a device; false when it is over its rate.
    private mutating func charge(_ device: Int32, _ byteCount: Int, at now: Instant) -> Bool {
        let device = Int(device)
        var datagrams: Int64?
        if let rate = configuration.deviceDatagramsPerSecond {
            let paid = max(deviceTable[device].paidDatagrams, now.nanoseconds)
            guard paid - now.nanoseconds <= Self.datagramsAtOnce else { return false }
            datagrams = paid + 1_000_000_000 / Int64(max(rate, 1))
        }
        if let rate = configuration.deviceBytesPerSecond {
            let paid = max(deviceTable[device].paid, now.nanoseconds)
            // A second's worth at once.
            guard paid - now.nanoseconds < 1_000_000_000 else { return false }
            deviceTable[device].paid = paid + Int64(byteCount) * 1_000_000_000 / Int64(max(rate, 1))
        }
        if let datagrams { deviceTable[device].paidDatagrams = datagrams }
        deviceTable[device].bytes += UInt64(byteCount)
        return true
    }

    private mutating func drop() -> TURNForward {
        counters.dropped += 1
        return .dropped
    }

    private mutating func malformed() -> TURNForward {
        counters.malformed += 1
        return .dropped
    }
}

extension TURNRelay {
    /// The peer and the data of a Send indication; nil when it is broken, lacks either, or has an attribute that has to be
    /// understood and is not.
    private static func sendParts(_ bytes: RawSpan) -> (peer: IPEndpoint, data: Range<Int>, dontFragment: Bool)? {
        guard STUNMessage.looksLikeSTUN(bytes) else { return nil }
        let id = STUNTransactionID(high: bytes.bigEndianUInt32(at: 8), low: bytes.bigEndianUInt64(at: 12))
        var peer: IPEndpoint?
        var data: Range<Int>?
        var dontFragment = false
        var walk = STUNAttributeWalk()
        var count = 0
        do throws(STUNError) {
            while let field = try walk.next(in: bytes) {
                count += 1
                guard count <= STUNMessage.attributeLimit else { return nil }
                guard field.counts else { continue }
                switch field.type {
                case STUNAttributeType.xorPeerAddress:
                    guard let found = endpoint(field, in: bytes) else { return nil }
                    if peer == nil { peer = found.masked(cookie: STUNMessage.magicCookie, transactionID: id) }
                case STUNAttributeType.data: data = data ?? field.range
                case STUNAttributeType.dontFragment: dontFragment = true
                case 0..<0x8000: guard STUNAttributeType.isKnown(field.type) else { return nil }
                default: continue
                }
            }
        } catch {
            return nil
        }
        guard let peer, let data else { return nil }
        return (peer, data, dontFragment)
    }

    private static func endpoint(_ field: STUNAttributeField, in bytes: RawSpan) -> IPEndpoint? {
        guard field.byteCount >= 8 else { return nil }
        let port = bytes.bigEndianUInt16(at: field.offset + 2)
        switch (bytes.byte(at: field.offset + 1), field.byteCount) {
        case (1, 8): return IPEndpoint(.v4(bytes.bigEndianUInt32(at: field.offset + 4)), port)
        case (2, 20):
            let high = bytes.bigEndianUInt64(at: field.offset + 4)
            return IPEndpoint(.v6(high: high, low: bytes.bigEndianUInt64(at: field.offset + 12)), port)
        default: return nil
        }
    }

    private static func writeChannel(
        _ number: UInt16,
        around payload: Range<Int>,
        isPadded: Bool,
        into buffer: inout MutableRawSpan
    ) -> Range<Int> {
        let start = payload.lowerBound - ChannelData.headerByteCount
        buffer.write(UInt32(number) << 16 | UInt32(payload.count), at: start)
        return start..<(isPadded ? pad(payload, in: &buffer) : payload.upperBound)
    }

    private static func writeIndication(
        _ peer: IPEndpoint,
        _ id: (high: UInt32, low: UInt64),
        around payload: Range<Int>,
        into buffer: inout MutableRawSpan
    ) -> Range<Int> {
        let transactionID = STUNTransactionID(high: id.high, low: id.low)
        let masked = peer.masked(cookie: STUNMessage.magicCookie, transactionID: transactionID)
        var offset = payload.lowerBound - 4
        buffer.write(UInt32(STUNAttributeType.data) << 16 | UInt32(payload.count), at: offset)
        let type = UInt32(STUNAttributeType.xorPeerAddress) << 16
        switch masked.address {
        case .v4(let number):
            offset -= 12
            buffer.write(type | 8, at: offset)
            buffer.write(1 << 16 | UInt32(masked.port), at: offset + 4)
            buffer.write(number, at: offset + 8)
        case .v6(let high, let low):
            offset -= 24
            buffer.write(type | 20, at: offset)
            buffer.write(2 << 16 | UInt32(masked.port), at: offset + 4)
            buffer.write(high, at: offset + 8)
            buffer.write(low, at: offset + 16)
        }
        let end = pad(payload, in: &buffer)
        buffer.write(UInt32(dataIndication) << 16 | UInt32(end - offset), at: offset - 20)
        buffer.write(STUNMessage.magicCookie, at: offset - 16)
        buffer.write(id.high, at: offset - 12)
        buffer.write(id.low, at: offset - 8)
        return (offset - 20)..<end
    }

    /// Fills the payload up to a multiple of 4 with zeros; the end of it all.
    private static func pad(_ payload: Range<Int>, in buffer: inout MutableRawSpan) -> Int {
        let count = -payload.count & 3
        for index in 0..<count { buffer.storeBytes(of: 0, toByteOffset: payload.upperBound + index, as: UInt8.self) }
        return payload.upperBound + count
    }

    /// Takes an ICMP error about a datagram of a relay's socket (RFC 8656 section 11.5).
    package mutating func refused(_ refusal: SocketRefusal, on relay: TURNRelayID, at now: Instant) {
        guard let slot = slot(of: relay), case .open = slots[slot].state, slots[slot].expiry > now else { return }
        let place = Int(slots[slot].allocation)
        guard allocations[place].isPermitted(refusal.destination.address, at: now) else { return }
        let isV4 = slots[slot].family == .v4
        let (type, code, data): (UInt8, UInt8, UInt32) =
            switch refusal.kind {
            case .timeExceeded: (isV4 ? 11 : 3, 0, 0)
            case .portUnreachable: (isV4 ? 3 : 1, isV4 ? 3 : 4, 0)
            case .hostUnreachable: (isV4 ? 3 : 1, isV4 ? 1 : 3, 0)
            case .prohibited: (isV4 ? 3 : 1, isV4 ? 13 : 1, 0)
            case .tooBig(let mtu): (isV4 ? 3 : 2, isV4 ? 4 : 0, mtu)
            }
        let message = STUNMessage(
            .indication,
            .data,
            transactionID: STUNTransactionID(using: &quick),
            attributes: [.xorPeerAddress(refusal.destination), .icmp(type: type, code: code, data: data)]
        )
        var bytes: [UInt8] = []
        message.encode(into: &bytes)
        outputs.append(.toClient(bytes, allocations[place].client))
    }
}

extension MutableRawSpan {
    fileprivate mutating func write<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.bigEndian, toByteOffset: offset, as: Number.self)
    }
}
