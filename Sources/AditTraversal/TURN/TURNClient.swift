// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditCrypto
internal import AditWire

/// A TURN client (RFC 8656): one allocation on one server, over one socket or connection that its owner has.
///
/// It refreshes the allocation, its permissions and its channels by itself, answers 401 and 438 with the right key, and
/// hands datagrams of peers on. A datagram to a peer without a permission asks for one and follows it at once, since the
/// server reads the two in this order.
package struct TURNClient: Sendable {
    /// How many addresses may have permissions.
    package static let permissionLimit = 256
    /// How many peers may have channels.
    package static let channelLimit = 256
    /// How often another server is followed.
    package static let redirectionLimit = 3
    /// The longest message of a connection, in bytes.
    package static let streamMessageLimit = 0x1_0004
    /// How many requests may be under way; more wait for the next upkeep.
    static let transactionLimit = 64
    /// How long before its end the allocation is refreshed: long enough for a second attempt after the first timed out.
    static let margin = Duration.seconds(100)

    enum State: Sendable, Equatable {
        case idle
        case allocating
        case allocated
        case releasing
        case over
    }

    /// What it was made with; server and credentials as they are now.
    package internal(set) var configuration: TURNClientConfiguration
    /// The relay's endpoint while there is an allocation.
    package internal(set) var relayed: IPEndpoint?
    /// Where the server sees this client while there is an allocation.
    package internal(set) var mapped: IPEndpoint?

    var random: any RandomNumberGenerator & Sendable
    var outputs: [TURNClientOutput] = []
    private var outputStart = 0
    var state = State.idle
    var realm: String?
    var nonce: String?
    /// What the server offered; nil where it never said.
    var algorithms: [STUNPasswordAlgorithm]?
    /// Made anew when user, password, realm or algorithm change.
    var key: STUNIntegrityKey?
    var requests: [TURNClientRequest] = []
    var refreshAt: Instant?
    /// When the server forgets the allocation.
    var expiry: Instant?
    var permissions: [IPAddress: TURNClientPermission] = [:]
    var permissionCount: UInt64 = 0
    var channels: [IPEndpoint: TURNClientChannel] = [:]
    var peers: [UInt16: IPEndpoint] = [:]
    var nextNumber = ChannelData.numbers.lowerBound
    /// When the first permission or channel is to be refreshed.
    var upkeepAt: Instant?
    private var pending: [UInt8] = []
    /// When the server last sent something.
    var heardAt: Instant?
    var redirections = 0
    /// Whether an allocation that an earlier process left on this 5-tuple was given back.
    var hasCleared = false

    /// Makes a client; `.start` begins.
    package init(_ configuration: TURNClientConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        realm = configuration.realm
        nonce = configuration.nonce
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? {
        var earliest = refreshAt
        if let upkeepAt { earliest = earliest.map { min($0, upkeepAt) } ?? upkeepAt }
        for request in requests {
            guard let deadline = request.transaction.nextDeadline else { continue }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        return earliest
    }

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> TURNClientOutput? {
        guard outputStart < outputs.count else {
            outputs.removeAll(keepingCapacity: outputs.count <= 16)
            outputStart = 0
            return nil
        }
        defer { outputStart += 1 }
        return outputs[outputStart]
    }

    /// Takes what happened.
    package mutating func handle(_ input: TURNClientInput, at now: Instant) {
        switch input {
        case .start:
            guard state == .idle else { return }
            state = .allocating
            pending = []
            request(.allocate, at: now)
        case .received(let bytes):
            heardAt = now
            configuration.transport == .udp ? take(bytes, at: now) : takeStream(bytes, at: now)
        case .disconnected: if state != .over { end(.disconnected) }
        case .receivedBatch(let batch):
            heardAt = now
            take(batch, at: now)
        case .permit(let address): permit(address, at: now)
        case .forget(let address):
            permissions[address] = nil
            for (peer, channel) in channels where peer.address == address {
                channels[peer] = nil
                peers[channel.number] = nil
            }
        case .bind(let peer): bind(peer, at: now)
        case .send(let bytes, let peer): send(bytes, to: peer, at: now)
        case .sendBatch(let batch, let peer): send(batch, to: peer, at: now)
        case .credentials(let username, let password, let realm, let nonce):
            configuration.username = username
            configuration.password = password
            self.realm = realm ?? self.realm
            self.nonce = nonce ?? self.nonce
            key = nil
        case .verify:
            guard state == .allocated, !requests.contains(where: { $0.purpose == .verify }) else { return }
            request(.verify, at: now)
        case .release: release(at: now)
        case .timer: advance(at: now)
        }
    }

    private mutating func takeStream(_ bytes: [UInt8], at now: Instant) {
        guard state != .over else { return }
        var pending = self.pending
        self.pending = []
        if pending.isEmpty { pending = bytes } else { pending += bytes }
        var data = TURNChannelRun()
        var start = 0
        while start < pending.count {
            let count: Int?
            do throws(STUNError) {
                let rest = pending.span.bytes.extracting(start..<pending.count)
                count = try ChannelData.byteCount(inStream: rest, limit: Self.streamMessageLimit)
            } catch {
                return end(.malformed)
            }
            guard let count, pending.count - start >= count else { break }
            take(pending[start..<(start + count)], &data, at: now)
            guard state != .over else { return }
            start += count
        }
        flush(&data)
        self.pending = Array(pending[min(start, pending.count)...])
    }

    private mutating func take(_ batch: PacketBatch, at now: Instant) {
        guard configuration.transport == .udp else { return }
        guard batch.count > 1 else { return take(batch.bytes, at: now) }
        var data = TURNChannelRun()
        for index in 0..<batch.count {
            guard state != .over else { return }
            take(batch.bytes[batch.range(index)], &data, at: now)
        }
        flush(&data)
    }

    /// Takes one message: what came through one channel stays together.
    private mutating func take(_ bytes: ArraySlice<UInt8>, _ data: inout TURNChannelRun, at now: Instant) {
        guard state != .idle else { return }
        let span = bytes.span.bytes
        guard let (number, payload) = ChannelData.decode(span) else {
            flush(&data)
            return take(Array(bytes), at: now)
        }
        if data.number != number {
            flush(&data)
            data.number = number
        }
        if let complete = data.run.append(span.extracting(payload)) { tell(complete, of: number) }
    }

    private mutating func flush(_ data: inout TURNChannelRun) {
        if let batch = data.run.take() { tell(batch, of: data.number) }
    }

    private mutating func tell(_ batch: PacketBatch, of number: UInt16) {
        if let peer = peers[number] { outputs.append(.event(.data(batch, from: peer))) }
    }

    private mutating func release(at now: Instant) {
        guard state == .allocated else {
            // What is not there need not be given back; a request that is under way may still make it, until it times out.
            if state == .allocating || state == .idle { finish(.released) }
            return
        }
        state = .releasing
        relayed = nil
        forgetEverything()
        request(.release, at: now)
    }

    private mutating func advance(at now: Instant) {
        if let refreshAt, refreshAt <= now {
            self.refreshAt = nil
            request(.refresh, at: now)
        }
        for index in requests.indices {
            if let bytes = requests[index].transaction.nextTransmission(at: now) { outputs.append(.transmit(bytes)) }
        }
        while let index = requests.firstIndex(where: { $0.transaction.outcome() != nil }) {
            let request = requests.remove(at: index)
            fail(request, .timedOut, at: now)
        }
        if let upkeepAt, upkeepAt <= now { upkeep(at: now) }
    }

    /// Ends with an allocation or before there was one.
    mutating func end(_ failure: TURNFailure) {
        finish(state == .allocated ? .lost(failure) : state == .releasing ? .released : .failed(failure))
    }

    mutating func finish(_ event: TURNClientEvent) {
        state = .over
        forgetEverything()
        relayed = nil
        mapped = nil
        pending = []
        outputs.append(.event(event))
    }

    mutating func forgetEverything() {
        requests = []
        refreshAt = nil
        upkeepAt = nil
        permissions = [:]
        channels = [:]
        peers = [:]
    }
}

/// Packets that came through one channel, one after another.
private struct TURNChannelRun {
    var number: UInt16 = 0
    var run = PacketRun()
}
