// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditCrypto
internal import AditWire

/// A TURN server's core (RFC 8656): allocations, permissions, channels and what is relayed through them.
///
/// It owns no socket: a driver hands in what clients and peers send, and performs the outputs. Data has a path without
/// copies: `forward` and `deliver` work on the driver's buffer and say which bytes of it go where.
package struct TURNRelay: Sendable {
    /// How many bytes a buffer has to have before the bytes that are given to `forward` or `deliver`.
    package static let headroom = 48
    /// How many bytes a buffer has to have behind them.
    package static let tailroom = 3

    /// What is allowed; changes count from the next request on, of `limits` and `realm` not at all.
    package var configuration: TURNRelayConfiguration
    /// What was done so far.
    package internal(set) var counters = TURNRelayCounters()
    /// The Unix time at the driver's `Instant.zero`, in seconds: credentials expire by it.
    package var unixSecondsAtZero: Int64

    var outputs: [TURNRelayOutput] = []
    private var outputStart = 0
    let nonces: TURNNonce
    var random: any RandomNumberGenerator & Sendable
    /// For the transaction ids of indications, which protect nothing.
    var quick: SeededGenerator
    var limiter: STUNSourceLimiter?

    var allocations: [TURNAllocation] = []
    var freeAllocations: [Int32] = []
    var byClient: [TURNClientTuple: Int32] = [:]
    var slots: [TURNRelaySlot] = []
    var freeSlots: [Int32] = []
    /// Open relays by the endpoint at which they are announced.
    var byEndpoint: [IPEndpoint: Int32] = [:]
    /// Changes with `byEndpoint`.
    var epoch: UInt64 = 1
    /// Kept relays by their token.
    var byToken: [UInt64: Int32] = [:]
    var deviceTable: [TURNDevice] = []
    var freeDevices: [Int32] = []
    var deviceIndex: [String: Int32] = [:]
    /// The client of the last data message and its allocation: most come in rows.
    var lastClient: TURNClientTuple?
    var lastPlace: Int32 = -1
    /// No relay expires before it.
    var earliest: Instant?

    /// Makes a relay without allocations.
    ///
    /// - Parameter random: a generator that others cannot predict: keys of nonces, reservation tokens.
    package init(
        _ configuration: TURNRelayConfiguration,
        unixSecondsAtZero: Int64,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.configuration = configuration
        self.unixSecondsAtZero = unixSecondsAtZero
        var random = random
        nonces = TURNNonce(
            key: TURNNonceKey((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        )
        quick = SeededGenerator(seed: random.next())
        let seed: UInt64 = random.next()
        limiter = configuration.limits.map { STUNSourceLimiter($0, seed: seed) }
        self.random = random
    }

    /// When `timer(at:)` is to be called; nil for never.
    package var nextDeadline: Instant? { earliest }

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> TURNRelayOutput? {
        guard outputStart < outputs.count else {
            outputs.removeAll(keepingCapacity: outputs.count <= 16)
            outputStart = 0
            return nil
        }
        defer { outputStart += 1 }
        return outputs[outputStart]
    }

    /// Takes a message of a client: a datagram, or one message of its connection (see `ChannelData.byteCount(inStream:)`).
    package mutating func handle(_ bytes: RawSpan, from client: TURNClientTuple, at now: Instant) {
        guard bytes.byteCount >= ChannelData.headerByteCount else {
            counters.malformed += 1
            return
        }
        guard !Self.carriesData(bytes) else { return copy(bytes, at: now, .client(client)) }
        guard let message = try? STUNMessage.decode(bytes), message.kind == .request, !message.isClassic,
            client.client.port != 0 || client.transport != .udp
        else {
            counters.malformed += 1
            return
        }
        let request = TURNRequest(message, from: client, byteCount: bytes.byteCount)
        switch message.method {
        case .allocate: allocate(request, bytes, at: now)
        case .refresh: refresh(request, bytes, at: now)
        case .createPermission: createPermission(request, bytes, at: now)
        case .channelBind: bindChannel(request, bytes, at: now)
        default: counters.malformed += 1
        }
    }

    /// Takes a peer's datagram, as `deliver` does, with an output instead of bytes in place.
    package mutating func received(_ bytes: RawSpan, from peer: IPEndpoint, on relay: TURNRelayID, at now: Instant) {
        copy(bytes, at: now, .peer(peer, relay))
    }

    /// A client's connection is over: its allocation ends with it.
    package mutating func disconnected(_ client: TURNClientTuple, at now: Instant) {
        guard let place = byClient[client] else { return }
        remove(Int(place))
    }

    /// Ends every allocation of a device, whose credentials are not to be valid any more.
    package mutating func release(device: String, at now: Instant) {
        for place in allocations.indices where allocations[place].isUsed {
            if allocations[place].caller.device == device { remove(place) }
        }
        for slot in slots.indices {
            guard case .kept = slots[slot].state, slots[slot].device >= 0 else { continue }
            if deviceTable[Int(slots[slot].device)].name == device { close(slot) }
        }
    }

    /// The deadline passed.
    package mutating func timer(at now: Instant) {
        guard let due = earliest, due <= now else { return }
        for slot in slots.indices where slots[slot].expiry <= now {
            switch slots[slot].state {
            case .free, .opening: continue
            case .kept: close(slot)
            case .open: end(slot)
            }
        }
        earliest = nil
        for slot in slots {
            switch slot.state {
            case .free, .opening: continue
            case .kept, .open: expires(at: max(slot.expiry, now + .seconds(1)))
            }
        }
    }

    /// A nonce to be given to a device at login, which saves it the round trip of the first 401 as long as it comes from
    /// the address of its login.
    package func nonce(for username: String, from address: IPAddress, at now: Instant) -> String {
        nonces.make(for: .user(username, address), unixSeconds: unixSeconds(at: now))
    }

    /// How many allocations there are.
    package var allocationCount: Int { byClient.count }

    /// Whether a client has an allocation, or one is being made for it.
    package func hasAllocation(_ client: TURNClientTuple) -> Bool { byClient[client] != nil }

    /// How many allocations each device has, and what was relayed for it.
    package var devices: [TURNDeviceUsage] {
        deviceIndex.values.map { index in
            let device = deviceTable[Int(index)]
            return TURNDeviceUsage(device: device.name, allocations: device.relays, bytes: device.bytes)
        }
    }

    func unixSeconds(at now: Instant) -> Int64 { unixSecondsAtZero + now.nanoseconds / 1_000_000_000 }

    mutating func expires(at instant: Instant) {
        earliest = earliest.map { min($0, instant) } ?? instant
    }

    /// Whether it is ChannelData or a Send indication, which `forward` handles.
    private static func carriesData(_ bytes: RawSpan) -> Bool {
        bytes.byte(at: 0) & 0xC0 == 0x40 || bytes.bigEndianUInt16(at: 0) == Self.sendIndication
    }

    private enum Origin {
        case client(TURNClientTuple)
        case peer(IPEndpoint, TURNRelayID)
    }

    private mutating func copy(_ bytes: RawSpan, at now: Instant, _ origin: Origin) {
        var buffer = [UInt8](repeating: 0, count: Self.headroom)
        buffer.append(contentsOf: bytes.copyBytes(in: 0..<bytes.byteCount))
        let range = Self.headroom..<buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.tailroom))
        let forward: TURNForward
        do {
            var elements = buffer.mutableSpan
            var span = elements.mutableBytes
            switch origin {
            case .client(let client): forward = self.forward(&span, range, from: client, at: now)
            case .peer(let peer, let relay): forward = deliver(&span, range, from: peer, on: relay, at: now)
            }
        }
        switch forward {
        case .toPeer(let relay, let part, let peer, let dontFragment):
            outputs.append(.toPeer(relay, Array(buffer[part]), to: peer, dontFragment: dontFragment))
        case .toClient(let client, let part): outputs.append(.toClient(Array(buffer[part]), client))
        case .dropped, .control: break
        }
    }
}
