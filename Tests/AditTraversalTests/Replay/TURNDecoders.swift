// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire

/// What the fuzzer and the replay of its corpus feed to both ends of TURN.
enum TURNDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "TURNRelay": { bytes in
            var world = TURNRelayWorld(bytes)
            world.play()
        },
        "TURNClient": { bytes in
            var world = TURNClientWorld(bytes)
            world.play()
        },
    ]

    static let server = IPEndpoint(.v4(0xCB00_7101), 3478)
    static let peer = IPEndpoint(.v4(0xC000_0263), 5000)
    static let peerV6 = IPEndpoint(.v6(high: 0x2400_0000 << 32, low: 9), 5000)

    /// The attributes that bytes spell, as if they stood in a message; none when they do not.
    static func attributes(_ bytes: [UInt8]) -> [STUNAttribute] {
        let body = bytes.prefix(bytes.count & ~3)
        var message: [UInt8] = [0, 1, UInt8(body.count >> 8), UInt8(body.count & 255), 0x21, 0x12, 0xA4, 0x42]
        message += Array(repeating: 0, count: 12) + body
        return (try? STUNMessage.decode(message.span.bytes))?.attributes ?? []
    }
}

/// Pieces of the input: a byte that says what happens, a byte for its length, and as many bytes.
private struct Pieces {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func next() -> (what: UInt8, bytes: [UInt8])? {
        guard let what = rest.popFirst() else { return nil }
        let count = Int(rest.popFirst() ?? 0)
        defer { rest = rest.dropFirst(count) }
        return (what, Array(rest.prefix(count)))
    }
}

/// A relay whose clients, peers and clock the fuzzer plays; it can sign what it asks for.
private struct TURNRelayWorld {
    private static let secret = TURNSecret(Array("0123456789abcdef".utf8))
    private static let policy = TURNPeerPolicy(own: [.v4(0xCB00_7102)])
    private var pieces: Pieces
    private var relay: TURNRelay
    private var now = Instant.zero
    private var open: [TURNRelayID: IPEndpoint] = [:]
    private var order: [TURNRelayID] = []
    private var nextPort: UInt16 = 50_000
    private var count: UInt64 = 0

    init(_ bytes: [UInt8]) {
        pieces = Pieces(bytes)
        relay = TURNRelay(
            TURNRelayConfiguration(
                secrets: [Self.secret],
                families: [.v4, .v6],
                relayAddresses: [TURNDecoders.server.address],
                peers: Self.policy,
                allocationLimit: 6,
                deviceAllocationLimit: 4,
                permissionLimit: 4,
                channelLimit: 3,
                limits: nil
            ),
            unixSecondsAtZero: 1_000_000,
            random: SeededGenerator(seed: 1)
        )
    }

    private static func client(_ number: UInt8) -> TURNClientTuple {
        TURNClientTuple(
            client: IPEndpoint(.v4(UInt32(number & 3) + 1), 1000),
            socket: number & 1 == 0 ? 0 : UInt32(number),
            transport: number & 1 == 0 ? .udp : .tcp
        )
    }

    mutating func play() {
        while let (what, bytes) = pieces.next() {
            let client = Self.client(what >> 4)
            switch what & 15 {
            case 0, 1: relay.handle(bytes.span.bytes, from: client, at: now)
            case 2...6: ask(what & 15, bytes, client)
            case 7, 8:
                let peer = what & 16 == 0 ? TURNDecoders.peer : TURNDecoders.peerV6
                if let id = some(bytes.first) { relay.received(bytes.span.bytes, from: peer, on: id, at: now) }
            case 9: now = now + .seconds(Int64(bytes.first ?? 1) * 3)
            case 10:
                now = max(now, relay.nextDeadline ?? now)
                relay.timer(at: now)
            case 11: relay.disconnected(client, at: now)
            case 12:
                let kind = SocketRefusal.Kind.tooBig(mtu: 1280)
                if let id = some(bytes.first) {
                    relay.refused(SocketRefusal(kind, destination: TURNDecoders.peer, reporter: nil), on: id, at: now)
                }
            case 13: relay.release(device: "d\(client.client.address)", at: now)
            default:
                // Two relays of the server, one to the other.
                if let id = some(bytes.first), let endpoint = open[id] {
                    ask(5, [], client, [.xorPeerAddress(endpoint)])
                    ask(6, [], client, [.channelNumber(0x4000), .xorPeerAddress(endpoint)])
                    relay.handle([0x40, 0, 0, 1, 7].span.bytes, from: client, at: now)
                }
            }
            drain()
        }
        now = now + .seconds(4000)
        relay.timer(at: now)
        drain()
        precondition(open.isEmpty && relay.allocationCount == 0 && relay.devices.isEmpty, "everything ends")
        precondition(relay.nextDeadline == nil, "what has ended wants nothing")
    }

    private func some(_ number: UInt8?) -> TURNRelayID? {
        order.isEmpty ? nil : order[Int(number ?? 0) % order.count]
    }

    private mutating func ask(
        _ method: UInt8,
        _ bytes: [UInt8],
        _ client: TURNClientTuple,
        _ more: [STUNAttribute] = []
    ) {
        let credentials = Self.secret.credentials(device: "d\(client.client.address)", expiry: 10_000_000)
        let methods: [UInt8: STUNMethod] = [
            2: .allocate, 3: .allocate, 4: .refresh, 5: .createPermission, 6: .channelBind,
        ]
        count += 1
        var attributes = TURNDecoders.attributes(bytes) + more
        if method == 2 { attributes.insert(.requestedTransport(17), at: 0) }
        attributes += [
            .username(credentials.username), .realm("adit"),
            .nonce(relay.nonce(for: credentials.username, from: client.client.address, at: now)),
        ]
        let message = STUNMessage(
            .request,
            methods[method] ?? .allocate,
            transactionID: STUNTransactionID(high: 0, low: count),
            attributes: attributes
        )
        let key = STUNIntegrityKey(username: credentials.username, realm: "adit", password: credentials.password)
        var request: [UInt8] = []
        message.encode(into: &request, integrity: .sha1) { key.sha1Code(of: $0) }
        relay.handle(request.span.bytes, from: client, at: now)
    }

    private mutating func drain() {
        var outputs = 0
        while let output = relay.nextOutput() {
            outputs += 1
            precondition(outputs < 64, "an input has few outputs")
            switch output {
            case .toClient(let bytes, let client):
                let isChannel = ChannelData.decode(bytes.span.bytes) != nil
                precondition(isChannel || (try? STUNMessage.decode(bytes.span.bytes)) != nil, "a client gets messages")
                precondition(client.transport == .udp || bytes.count & 3 == 0, "a stream's messages are padded")
            case .openRelay(let id, let family, let port):
                nextPort = max(nextPort &+ 2, 1024) & ~1
                let address = family == .v4 ? TURNDecoders.server.address : .v6(high: 0x2001_0DB8 << 32, low: 1)
                if nextPort % 14 == 0 {
                    relay.notOpened(id, now: now)
                    continue
                }
                add(id, IPEndpoint(address, nextPort))
                if case .evenKeepingNext(let other) = port { add(other, IPEndpoint(address, nextPort + 1)) }
                relay.opened(id, at: IPEndpoint(address, nextPort), now: now)
            case .toPeer(let id, _, let peer, _):
                precondition(open[id] != nil, "a relay that sends is open")
                precondition(Self.policy.permits(peer.address), "no relay sends where it may not")
            case .closeRelay(let id):
                open[id] = nil
                order.removeAll { $0 == id }
            case .event: break
            }
        }
        precondition(open.count <= 6, "relays are bounded")
    }

    private mutating func add(_ id: TURNRelayID, _ endpoint: IPEndpoint) {
        open[id] = endpoint
        order.append(id)
    }
}

/// A client whose server and clock the fuzzer plays; it can sign what it answers.
private struct TURNClientWorld {
    private var pieces: Pieces
    private var client: TURNClient
    private let key = STUNIntegrityKey(username: "user", realm: "adit", password: "password")
    private var now = Instant.zero
    private var asked: [STUNMessage] = []
    private let isStream: Bool

    init(_ bytes: [UInt8]) {
        isStream = (bytes.first ?? 0) & 1 != 0
        pieces = Pieces(Array(bytes.dropFirst()))
        client = TURNClient(
            TURNClientConfiguration(
                server: TURNDecoders.server,
                transport: isStream ? .tcp : .udp,
                username: "user",
                password: "password",
                realm: "adit",
                nonce: "nonce"
            ),
            random: SeededGenerator(seed: 1)
        )
    }

    mutating func play() {
        tell(.start)
        while let (what, bytes) = pieces.next() {
            let number = UInt32(bytes.first ?? 0)
            let peer = IPEndpoint(.v4(0xC000_0200 + number % 7), UInt16(number) + 1)
            switch what & 15 {
            case 0: tell(.received(bytes))
            case 1...4: answer(what, bytes)
            case 5: tell(.permit(peer.address))
            case 6: tell(.bind(peer))
            case 7: tell(.send(bytes, to: peer))
            case 8: tell(.forget(peer.address))
            case 9: tell(.release)
            case 10: tell(.start)
            case 11: tell(.received([0x40, what >> 4, 0, UInt8(bytes.count & 3)] + bytes))
            case 12: now = now + .seconds(Int64(number) * 5)
            case 13: what & 16 == 0 ? tell(.disconnected) : batches(what, bytes, peer)
            case 14: indicate(peer, bytes)
            default: pass()
            }
        }
    }

    private mutating func batches(_ what: UInt8, _ bytes: [UInt8], _ peer: IPEndpoint) {
        guard !bytes.isEmpty else { return }
        let size = max(1 + Int(what >> 5) * 3, (bytes.count + PacketBatch.countLimit - 1) / PacketBatch.countLimit)
        let batch = PacketBatch(bytes: bytes, segmentSize: size)
        tell(.sendBatch(batch, to: peer))
        tell(.receivedBatch(batch))
    }

    private mutating func pass() {
        guard let deadline = client.nextDeadline else { return }
        now = max(now, deadline)
        tell(.timer)
    }

    private mutating func answer(_ what: UInt8, _ bytes: [UInt8]) {
        guard !asked.isEmpty else { return }
        let request = asked.remove(at: Int(what >> 4) % asked.count)
        var attributes = TURNDecoders.attributes(bytes)
        if what & 15 == 1 {
            attributes = [
                .xorRelayedAddress(TURNDecoders.peer), .xorMappedAddress(TURNDecoders.peer), .lifetime(600),
            ]
        }
        let isError = what & 15 == 3
        if isError { attributes.insert(.errorCode(300 + Int(bytes.first ?? 138), reason: ""), at: 0) }
        let message = STUNMessage(
            isError ? .error : .success,
            request.method,
            transactionID: request.transactionID,
            attributes: attributes
        )
        var response: [UInt8] = []
        message.encode(into: &response, integrity: what & 15 == 4 ? nil : .sha1) { key.sha1Code(of: $0) }
        tell(.received(response))
    }

    private mutating func indicate(_ peer: IPEndpoint, _ bytes: [UInt8]) {
        var message: [UInt8] = []
        STUNMessage(
            .indication,
            .data,
            transactionID: STUNTransactionID(high: 1, low: 1),
            attributes: [.xorPeerAddress(peer), .data(bytes)]
        ).encode(into: &message)
        tell(.received(message))
    }

    private mutating func tell(_ input: TURNClientInput) {
        client.handle(input, at: now)
        var outputs = 0
        while let output = client.nextOutput() {
            outputs += 1
            precondition(outputs < 1000, "an input has few outputs")
            if case .transmitBatch(let batch) = output {
                precondition(!isStream && batch.count <= PacketBatch.countLimit, "a batch has limits")
            }
            if case .offer(let bytes) = output { precondition(isStream && bytes.count & 3 == 0, "messages are padded") }
            guard case .transmit(let bytes) = output else { continue }
            precondition(!isStream || bytes.count & 3 == 0, "a stream's messages are padded")
            if ChannelData.decode(bytes.span.bytes) != nil { continue }
            guard let message = try? STUNMessage.decode(bytes.span.bytes) else {
                preconditionFailure("a client sends messages")
            }
            guard message.kind == .request else { continue }
            asked.append(message)
            if asked.count > 16 { asked.removeFirst() }
        }
        precondition(client.nextDeadline.map { $0 >= .zero } ?? true, "a deadline is an instant")
    }
}
