// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

// A router that answers for its users takes an early packet of the peer as the beginning of a flow, and gives what is sent
// there later another port. So both ends open their NATs on fresh sockets with packets that die before they reach the other's
// router, tell each other, and only then send what is to arrive.

extension PathPeer {
    /// A fresh socket on its way to the peer.
    struct Openers: Sendable {
        var offer: PathOpenersOffer
        /// For which attempt it was begun.
        var attempt: Instant?
        var socket: UInt32?
        var question: PathGathering?
        /// How many openers, and then how many probes, were sent.
        var openerCount = 0
        var probeCount = 0
    }

    /// Openers are sent so often, against loss.
    static let openerCount = 3
    /// Probes are sent so often at most: 0.5 s at 50 ms, then 3 s at 200 ms.
    static let openerProbes = 25

    mutating func beginOpeners(at now: Instant) {
        guard !isDirect, sockets.count < Self.socketLimit, !world.stun.isEmpty else { return }
        startOpeners(round: (openers?.offer.round ?? 0) &+ 1, at: now)
        output(trace(Text("openers on a fresh socket", zh: "在新套接字上发送开路包"), at: now))
    }

    /// The peer began a round, or got on with one.
    mutating func followOpeners(_ offer: PathOpenersOffer?, at now: Instant) {
        guard let offer, policy != .relayOnly else { return }
        if !leads, offer.round != openers?.offer.round, world.main != nil, world.tactics.contains(.plain), !isDirect {
            startOpeners(round: offer.round, at: now)
        }
        if offer.round == openers?.offer.round { advanceOpeners(at: now) }
    }

    private mutating func startOpeners(round: UInt8, at now: Instant) {
        stopOpeners(at: now)
        guard beginsRound(at: now), let number = open(.opener, .udp(local: freshEndpoint)) else { return }
        openers = Openers(offer: PathOpenersOffer(round: round), attempt: attemptAt, socket: number)
        tellSoon(at: now)
    }

    mutating func openerOpened(_ number: UInt32, at now: Instant) {
        guard openers?.socket == number else { return }
        var question = PathGathering(servers: Array(world.stun.prefix(1)))
        question.begin(using: &random, at: now)
        openers?.question = question
        openerDue(at: now)
    }

    mutating func openerAnswered(_ bytes: [UInt8], from remote: IPEndpoint, at now: Instant) -> Bool {
        guard openers?.question?.receive(bytes, from: remote, at: now) == true else { return false }
        let answers = openers?.question?.answers ?? []
        openers?.offer.endpoints = answers
        openers?.question = nil
        tell(at: now)
        advanceOpeners(at: now)
        return true
    }

    mutating func openerFailed(at now: Instant) {
        openers?.socket = nil
        openers?.question = nil
        timers.cancel(.opener)
    }

    /// What the fresh socket has to send next: the question to the server, openers, probes.
    mutating func openerDue(at now: Instant) {
        guard let number = openers?.socket else { return }
        let base = ICEBaseID(number)
        if openers?.question != nil {
            while let (bytes, server) = openers?.question?.nextTransmission(at: now) {
                packetsSpent += 1
                output(.send(bytes, on: base, to: server, timeToLive: nil))
            }
            if let deadline = openers?.question?.nextDeadline {
                timers.set(.opener, at: deadline)
            } else {
                openerFailed(at: now)
            }
            return
        }
        advanceOpeners(at: now)
    }

    private mutating func advanceOpeners(at now: Instant) {
        guard let own = openers, let number = own.socket, !own.offer.endpoints.isEmpty, let theirs = remote?.openers,
            theirs.round == own.offer.round
        else { return }
        let targets = theirs.endpoints.filter { mayAim(at: $0) }
        guard !targets.isEmpty else { return }
        let base = ICEBaseID(number)
        if own.openerCount < Self.openerCount {
            openers?.openerCount += Self.openerCount
            for _ in 0..<Self.openerCount {
                for target in targets {
                    handleAgent(.probe(on: base, to: target, timeToLive: world.openerTimeToLive), at: now)
                }
            }
            openers?.offer.isOpened = true
            tell(at: now)
        }
        guard theirs.isOpened, own.probeCount < Self.openerProbes, !isDirect else { return }
        if let due = timers[.opener], due > now { return }
        openers?.probeCount += 1
        for target in targets { handleAgent(.probe(on: base, to: target, timeToLive: nil), at: now) }
        timers.set(.opener, at: now + (own.probeCount < 10 ? .milliseconds(50) : .milliseconds(200)))
    }

    mutating func stopOpeners(at now: Instant) {
        timers.cancel(.opener)
        guard let number = openers?.socket, !isInUse(number) else { return }
        openers?.socket = nil
        close(number, at: now)
    }
}
