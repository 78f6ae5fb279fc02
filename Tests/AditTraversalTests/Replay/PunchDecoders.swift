// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// What the fuzzer and the replay of its corpus feed to the punching machines: every byte decides what happens next.
///
/// Whatever happens, the machines keep to their limits, come to their end by their own clock, and leave no socket open that is
/// not their owner's.
enum PunchDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "TCPPunch": { bytes in
            var world = TCPPunchWorld(bytes)
            world.play()
        },
        "PortSearch": portSearch,
        "PortSamples": portSamples,
    ]

    private static let address = IPAddress.v4(0xC633_6402)

    /// Two bytes are a port each; the first byte says how many belong to one side.
    static func portSamples(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        var endpoints: [IPEndpoint] = []
        var rest = bytes.dropFirst()
        while rest.count >= 2 {
            let port = UInt16(rest.removeFirst()) << 8 | UInt16(rest.removeFirst())
            endpoints.append(IPEndpoint(first & 128 != 0 && endpoints.count == 1 ? .v4(1) : address, port))
        }
        let block = first & 64 != 0 ? PortAllocation.block(20_000...22_047) : nil
        let own = PortSamples(Array(endpoints.prefix(Int(first & 7))), allocation: block)
        let peer = PortSamples(Array(endpoints.dropFirst(Int(first & 7))), allocation: block)
        precondition(own.endpoints.count <= PortSamples.limit && peer.endpoints.count <= PortSamples.limit)
        for samples in [own, peer] {
            let guesses = samples.guesses(60)
            precondition(
                guesses.isEmpty || guesses.count == 60 && Set(guesses).count > 1,
                "guesses are different ports"
            )
            precondition(guesses.allSatisfy { $0 >= 1024 }, "no well-known port is guessed")
        }
        var options = SearchOptions()
        options.allowsBlock = first & 32 != 0
        let plan = SearchPlan.make(own: own, peer: peer, at: IPEndpoint(address, 7), options: options)
        let other = SearchPlan.make(own: peer, peer: own, at: IPEndpoint(address, 7), options: options)
        precondition((plan == nil) == (other == nil), "both sides search, or none")
        guard let plan, let other else { return }
        precondition(plan.peer.address == address, "a search is aimed at the peer")
        let isMutual =
            switch plan.tactic {
            case .window, .block: true
            case .prediction, .birthday: false
            }
        precondition(isMutual ? plan.role == other.role : plan.role != other.role, "the parts fit")
    }

    static func portSearch(_ bytes: [UInt8]) {
        guard bytes.count > 4 else { return }
        var rest = bytes.dropFirst(4)
        let tactics: [SearchTactic] = [
            .prediction(window: Int(bytes[1])), .window(sockets: Int(bytes[1]) * 4),
            .birthday(sockets: Int(bytes[1]) * 4, probes: Int(bytes[2]) * 16), .block(probes: Int(bytes[2]) * 16),
        ]
        let role = bytes[0] & 4 == 0 ? SearchRole.opener : .prober
        var plan = SearchPlan(role, tactics[Int(bytes[0] & 3)], peer: IPEndpoint(address, 40_000))
        if bytes[0] & 8 != 0 { plan.guesses = (0..<UInt16(bytes[3]) * 8).map { 30_000 + $0 } }
        plan.waitsForOpener = bytes[0] & 16 != 0
        plan.openerTimeToLive = bytes[0] & 32 != 0 ? 4 : nil
        let limits = PunchLimits()
        var search = PortSearch(limits: limits, random: SeededGenerator(seed: UInt64(bytes[3])))
        var now = Instant.zero
        var asked: Set<Int> = []
        var open: Set<Int> = []
        var kept: Int?
        var sent: [Instant] = []
        var isOver = false
        func take() {
            while let output = search.nextOutput() {
                switch output {
                case .openSocket(let number): precondition(asked.insert(number).inserted, "a number is used once")
                case .closeSocket(let number):
                    asked.remove(number)
                    open.remove(number)
                case .probe(let number, let target, _):
                    precondition(number == 0 || open.contains(number), "a probe has a socket")
                    precondition(target.address == address && target.port >= 1024, "a probe is for the peer")
                    sent.append(now)
                case .ready: break
                case .finished: isOver = true
                }
            }
            precondition(asked.count + open.count <= limits.sockets, "sockets are bounded")
        }
        search.handle(.begin(plan), at: now)
        take()
        while let byte = rest.popFirst() {
            let number = asked.min() ?? Int(byte)
            switch byte & 7 {
            case 0, 1:
                if asked.remove(number) != nil { open.insert(number) }
                search.handle(.opened(number), at: now)
            case 2:
                asked.remove(number)
                search.handle(.notOpened(number), at: now)
            case 3: search.handle(.peerOpened, at: now)
            case 4 where byte > 250:
                kept = open.min()
                search.handle(kept.map { .foundOn($0) } ?? .found, at: now)
            case 5 where byte > 250: search.handle(.stop, at: now)
            default:
                now = max(now, search.nextDeadline ?? now)
                search.handle(.timer, at: now)
            }
            take()
        }
        var steps = 0
        while let deadline = search.nextDeadline {
            steps += 1
            precondition(steps < 20_000, "a search ends")
            now = max(now, deadline)
            search.handle(.timer, at: now)
            take()
        }
        precondition(isOver && now <= .zero + limits.duration, "a search ends in its time")
        precondition(asked.isEmpty && open.subtracting([kept ?? 0]).isEmpty, "a search closes its sockets")
        precondition(search.flowCount <= limits.flows && search.packetCount == sent.count, "flows are bounded")
        for (index, time) in sent.enumerated() where index >= limits.packetsPerSecond {
            // A socket that is opened late sends late; its place in the second was an earlier one.
            guard asked.isEmpty, plan.socketCount == 0 else { break }
            precondition(time - sent[index - limits.packetsPerSecond] >= .seconds(1), "the pace is kept")
        }
    }
}

/// A TCP punch, at once or in steps, whose sockets do what the fuzzer wants.
struct TCPPunchWorld {
    private static let peer = IPEndpoint(.v4(0xC000_0202), 40_000)
    private static let server = IPEndpoint(.v4(0xCB00_710A), 3478)
    private static let local = IPEndpoint(.v4(0xC0A8_0102), 0)

    // One of the two; each changes in its place, so that nothing is copied.
    private var punch: TCPPunch?
    private var sevenSteps: SevenSteps?
    private var bytes: ArraySlice<UInt8>
    private let choice: UInt8
    private var now = Instant.zero
    private var open: [PunchSocketID: SocketKind] = [:]
    private var owned: Set<PunchSocketID> = []
    private var opened = 0
    private var nextAccepted = PunchSocketID.acceptedStart

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
        choice = self.bytes.popFirst() ?? 0
        let random = SeededGenerator(seed: UInt64(choice))
        if choice & 1 == 0 {
            punch = TCPPunch(random: random)
        } else {
            let side = choice & 2 == 0 ? SevenStepsConfiguration.Side.asking : .asked
            sevenSteps = SevenSteps(
                SevenStepsConfiguration(side, keepsFourthSocket: choice & 4 != 0),
                random: random
            )
        }
    }

    private var deadline: Instant? { punch?.nextDeadline ?? sevenSteps?.nextDeadline }

    mutating func play() {
        hand(.begin(local: Self.local, servers: choice & 8 == 0 ? [Self.server, Self.server] : []))
        while let byte = bytes.popFirst() { step(byte) }
        var steps = 0
        while let deadline {
            steps += 1
            precondition(steps < 50_000, "a punch ends")
            now = max(now, deadline)
            hand(.timer)
        }
        hand(.stop)
        precondition(open.keys.allSatisfy { owned.contains($0) }, "a punch closes its sockets")
        precondition(opened < 4000, "a punch is bounded")
    }

    private mutating func step(_ byte: UInt8) {
        let ids = open.keys.sorted { $0.number < $1.number }
        let id = ids.isEmpty ? PunchSocketID(UInt32(byte)) : ids[Int(byte >> 4) % ids.count]
        let kind = open[id]
        switch byte & 15 {
        case 0, 1:
            switch kind {
            case .listener: hand(.opened(id, local: IPEndpoint(Self.local.address, 50_000)))
            case .tcp(_, let remote) where !owned.contains(id):
                hand(.connected(id, local: IPEndpoint(Self.local.address, 50_000), remote: remote))
            default: hand(.connected(id, local: Self.local, remote: Self.peer))
            }
        case 2:
            guard let listener = open.first(where: { if case .listener = $0.value { true } else { false } })?.key else {
                return
            }
            let accepted = PunchSocketID(nextAccepted)
            nextAccepted += 1
            open[accepted] = .tcp(local: Self.local, remote: Self.peer)
            hand(.accepted(accepted, by: listener, local: Self.local, remote: Self.peer))
        case 3, 4:
            let ends: [SocketEnd] = [
                .refused, .reset, .timedOut, .addressUnavailable, .unreachable, .finished, .denied,
            ]
            open[id] = nil
            owned.remove(id)
            hand(.closed(id, ends[Int(byte >> 4) % ends.count]))
        case 5:
            let count = Int(byte >> 4) * 3
            let some = Array(bytes.prefix(count))
            bytes = bytes.dropFirst(count)
            hand(.bytes(id, some))
        case 6: hand(.targets([IPEndpoint(Self.peer.address, 40_000 + UInt16(byte))]))
        case 7: hand(.go)
        case 8: hand(.goAfter(.milliseconds(Int(byte))))
        case 9:
            let tactics: [SearchTactic] = [
                .prediction(window: 60), .window(sockets: 300), .birthday(sockets: 256, probes: 400),
                .block(probes: 300),
            ]
            let role = byte & 64 == 0 ? SearchRole.opener : .prober
            var plan = SearchPlan(role, tactics[Int(byte >> 4) & 3], peer: Self.peer)
            if byte & 128 != 0 { plan.guesses = Array(30_000..<31_024) }
            hand(.search(plan))
        case 10 where byte > 250: hand(.stop)
        default:
            now = max(now, deadline ?? now)
            hand(.timer)
        }
    }

    private mutating func hand(_ input: TCPPunchInput) {
        punch?.handle(input, at: now)
        sevenSteps?.handle(input, at: now)
        while let output = punch?.nextOutput() ?? sevenSteps?.nextOutput() { perform(output) }
    }

    private mutating func perform(_ output: TCPPunchOutput) {
        switch output {
        case .open(let id, let kind):
            precondition(open[id] == nil && id.number < PunchSocketID.acceptedStart, "an id is used once")
            open[id] = kind
            opened += 1
            precondition(open.count < 300, "sockets are bounded")
        case .write(let id, _): precondition(open[id] != nil, "what is written to is open")
        case .close(let id, _): open[id] = nil
        case .event(.established(let id, _, _)): owned.insert(id)
        case .event: break
        }
    }
}
