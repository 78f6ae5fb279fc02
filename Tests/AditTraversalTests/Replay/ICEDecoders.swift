// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire

/// What the fuzzer and the replay of its corpus feed to the ICE agent.
enum ICEDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "ICEAgent": agent,
        "ICECandidate": candidate,
        "ICEStream": stream,
    ]

    static func agent(_ bytes: [UInt8]) {
        var world = ICEFuzzWorld(bytes)
        world.play()
    }

    static func candidate(_ bytes: [UInt8]) {
        guard let candidate = ICECandidate(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition(ICECandidate(candidate.description) == candidate, "a candidate is read as it was written")
    }

    /// The first byte says how long the pieces are in which the rest comes.
    static func stream(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        var frames = PacketFrames()
        var rest = bytes.dropFirst()
        var count = 0
        while !rest.isEmpty {
            let piece = rest.prefix(Int(first) + 1)
            rest = rest.dropFirst(Int(first) + 1)
            let batches = frames.take(piece.span.bytes)
            for packet in batches.flatMap(\.packets) {
                count += packet.count + 2
                precondition(!packet.isEmpty && packet.count <= 65535, "a packet has a length")
            }
        }
        precondition(count <= bytes.count, "no more comes out than went in")
    }
}

/// An agent whose surroundings the fuzzer plays: every byte decides what happens next.
///
/// The fuzzer knows the passwords, as the peer does: it is what a hostile peer may do.
struct ICEFuzzWorld {
    private static let password = "thepasswordofthisone000000"
    private static let peerPassword = "thepasswordofthepeer000000"

    private var bytes: ArraySlice<UInt8>
    private var now = Instant.zero
    private var agent: ICEAgent
    private var sent: [(bytes: [UInt8], base: ICEBaseID, to: IPEndpoint)] = []
    private var silent: [IPAddress: Int] = [:]
    private var generator = SeededGenerator(seed: 1)
    private var isBlind = false
    private var streams: Set<ICEBaseID> = []

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
        let choice = self.bytes.popFirst() ?? 0
        var configuration = ICEConfiguration(
            role: choice & 1 == 0 ? .controlling : .controlled,
            tieBreaker: choice & 2 == 0 ? 0 : .max,
            local: Self.credentials("mine", Self.password),
            timing: choice & 4 == 0 ? .adit : .standard,
            renominates: choice & 8 == 0,
            connectsStreams: choice & 16 != 0
        )
        if choice & 32 != 0 { configuration.limits.pairs = 3 }
        agent = ICEAgent(configuration, random: SeededGenerator(seed: UInt64(choice)))
        if choice & 64 == 0 {
            hand(.local(candidate(1, .host), base: ICEBaseID(1)))
            hand(.remoteCredentials(Self.credentials("peer", Self.peerPassword)))
        }
    }

    private static func credentials(_ ufrag: String, _ password: String) -> ICECredentials {
        guard let credentials = ICECredentials(ufrag: ufrag, password: password) else {
            preconditionFailure("these are credentials")
        }
        return credentials
    }

    private mutating func next() -> UInt8 { bytes.popFirst() ?? 0 }

    /// One of a few endpoints, some of which nobody may aim at.
    private func endpoint(_ choice: UInt8) -> IPEndpoint {
        let addresses: [IPAddress] = [
            .v4(0xC633_6401), .v4(0xCB00_7101), .v4(0xC0A8_0102), .v4(0xA9FE_A9FE), .v4(0x7F00_0001), .v4(0xE000_0001),
            .v6(high: 0x2001_0DB8_0001_0000, low: 2), .v6(high: 0xFE80_0000_0000_0000, low: 1),
        ]
        return IPEndpoint(
            addresses[Int(choice & 7)],
            choice & 8 == 0 ? UInt16(4000 + Int(choice >> 4)) : UInt16(choice)
        )
    }

    private func candidate(_ choice: UInt8, _ type: ICECandidateType) -> ICECandidate {
        ICECandidate(
            foundation: "f\(choice & 3)",
            transport: choice & 128 == 0 ? .udp : .tcp,
            priority: UInt32(choice) << 22 | 1,
            endpoint: endpoint(choice),
            type: type,
            tcpType: choice & 128 == 0 ? nil : choice & 64 == 0 ? .passive : .simultaneousOpen
        )
    }

    mutating func play() {
        var steps = 0
        while !bytes.isEmpty, steps < 4000 {
            steps += 1
            step()
        }
        // Alone, it comes to rest: what remains are looks at paths, which end without answers.
        for _ in 0..<20_000 {
            guard let deadline = agent.nextDeadline else { break }
            now = max(now, deadline)
            hand(.timer)
        }
        precondition(agent.nextDeadline == nil, "an agent that nobody answers comes to rest")
    }

    private mutating func step() {
        let choice = next()
        let base = ICEBaseID(UInt32(choice >> 4 & 3) + 1)
        switch choice & 15 {
        case 0: hand(.local(candidate(next(), ICECandidateType.allCases[Int(choice >> 6)]), base: base))
        case 1: hand(.remote(candidate(next(), ICECandidateType.allCases[Int(choice >> 6)])))
        case 2: check(on: base)
        case 3, 4, 5: answer(choice)
        case 6:
            now = now + .milliseconds(Int(next()) * 20)
            hand(.timer)
        case 7: hand(.received(Array(bytes.prefix(Int(next()))), on: base, from: endpoint(next())))
        case 8: hand(.streamOpened(base: ICEBaseID(UInt32(next())), local: endpoint(next()), remote: endpoint(next())))
        case 9: hand(.streamClosed(base: ICEBaseID(UInt32(next()))))
        case 10: hand(.baseLost(base))
        case 11:
            isBlind = true
            hand(.probe(on: base, to: endpoint(next()), timeToLive: choice >> 4))
            isBlind = false
        case 12: hand(choice & 16 == 0 ? .measure : .active(choice & 32 == 0))
        case 13:
            hand(.restart(Self.credentials("mine", Self.password)))
            if choice & 16 == 0 { hand(.remoteCredentials(Self.credentials("peer", Self.peerPassword))) }
        case 14: hand(choice & 16 == 0 ? .localDone : .remoteDone)
        default: hand(.remoteCredentials(Self.credentials(choice & 16 == 0 ? "peer" : "other", Self.peerPassword)))
        }
    }

    /// A check of the peer, rightly protected or not.
    private mutating func check(on base: ICEBaseID) {
        let choice = next()
        var attributes: [STUNAttribute] = [.username(choice & 1 == 0 ? "mine:peer" : "mine:other")]
        if choice & 2 == 0 { attributes.append(.priority(UInt32(choice) << 20)) }
        if choice & 4 != 0 { attributes.append(.useCandidate) }
        attributes.append(choice & 8 == 0 ? .iceControlled(UInt64(choice)) : .iceControlling(UInt64(choice)))
        if choice & 16 != 0 { attributes.append(.other(type: 0xC001, [0, 0, 0, next()])) }
        if choice & 32 != 0 { attributes.append(.other(type: 0x7000, [])) }
        let id = STUNTransactionID(high: 1, low: choice & 64 == 0 ? generator.next() : UInt64(choice))
        let message = STUNMessage(.request, transactionID: id, attributes: attributes)
        let key = STUNIntegrityKey(password: choice & 128 == 0 ? Self.password : "wrong")
        var data: [UInt8] = []
        message.encode(into: &data, fingerprint: true, integrity: .sha1) { key.sha1Code(of: $0) }
        let source = endpoint(next())
        // Nobody can forge where a connection comes from.
        if choice & 128 == 0, streams.contains(base) { silent[source.address.source] = Int.min / 2 }
        hand(.received(data, on: base, from: source))
    }

    /// An answer to something that was sent.
    private mutating func answer(_ choice: UInt8) {
        guard !sent.isEmpty else { return }
        let asked = sent[Int(next()) % sent.count]
        guard let request = try? STUNMessage.decode(asked.bytes.span.bytes), request.kind == .request else { return }
        let errors = [487, 400, 420, 500]
        let isGood = choice & 16 == 0
        let message = STUNMessage(
            isGood ? .success : .error,
            transactionID: request.transactionID,
            attributes: isGood
                ? [.xorMappedAddress(endpoint(next()))] : [.errorCode(errors[Int(choice >> 6)], reason: "")]
        )
        let key = STUNIntegrityKey(password: choice & 32 == 0 ? Self.peerPassword : "wrong")
        var data: [UInt8] = []
        message.encode(into: &data, fingerprint: true, integrity: .sha1) { key.sha1Code(of: $0) }
        // Only a success that the peer has protected shows that it is there.
        if isGood, choice & 32 == 0 { silent[asked.to.address.source] = Int.min / 2 }
        hand(.received(data, on: asked.base, from: asked.to))
    }

    private mutating func hand(_ input: ICEInput) {
        if case .streamOpened(let base, _, _) = input { streams.insert(base) }
        agent.handle(input, at: now)
        var count = 0
        while let output = agent.nextOutput() {
            count += 1
            guard case .send(let data, let base, let to, _) = output else { continue }
            precondition(data.count <= 200, "a message is short")
            let refusal = ICEAddressFilter(own: [.v4(0xC0A8_0101)]).refusal(of: to, over: .tcp)
            let isConnected = refusal == .port && streams.contains(base)
            let hasAnswered = refusal == .port && to.port != 0 && silent[to.address.source, default: 0] < 0
            precondition(refusal == nil || isConnected || hasAnswered, "nobody is aimed at")
            if data.first == 0, !isBlind { silent[to.address.source, default: 0] += 1 }
            precondition(silent[to.address.source, default: 0] <= 50 * 60, "what is sent to the silent is bounded")
            if sent.count < 256 { sent.append((data, base, to)) }
        }
        precondition(count <= 400, "one input has few outputs")
        precondition(agent.pairCount <= 100, "pairs are bounded")
        precondition(agent.remoteCandidates.count <= 60, "remote candidates are bounded")
        if let selected = agent.selectedPair {
            precondition(agent.validPairs.contains(selected), "what is selected is valid")
        }
    }
}
