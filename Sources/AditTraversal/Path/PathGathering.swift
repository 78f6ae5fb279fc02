// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Asks STUN servers, all in one moment, as what they see one UDP socket: reflexive candidates, and how the NAT gives ports.
struct PathGathering: Sendable {
    /// So many servers are asked: two addresses with two ports each.
    static let serverLimit = 4
    /// Quicker than RFC 8489, as other users of the same NAT must not come between; given up after 1.5 s.
    static let timing = STUNTiming(retransmission: .milliseconds(100), transmissions: 4, lastWait: 8)
    /// After so long without any answer TCP is tried beside UDP.
    static let suspicion = Duration.milliseconds(200)
    /// After so long without any answer UDP counts as blocked.
    static let silence = Duration.milliseconds(700)

    private struct Question: Sendable {
        var server: IPEndpoint
        var transaction: STUNTransaction
        var isOver = false
    }

    /// The servers, in the order in which they are asked.
    private(set) var servers: [IPEndpoint]
    /// As what each saw the socket; nil while it has not answered.
    private(set) var seen: [IPEndpoint?] = []
    /// The same when they were asked last; empty the first time.
    private(set) var former: [IPEndpoint?] = []
    /// Whether a server has seen something else than the time before.
    private(set) var hasChanged = false
    /// When the servers were asked; nil before.
    private(set) var askedAt: Instant?
    private var questions: [Question] = []
    /// How much of the silence was noticed.
    private var noticed = Duration.zero

    init(servers: [IPEndpoint]) {
        self.servers = Array(servers.prefix(Self.serverLimit))
        seen = Array(repeating: nil, count: self.servers.count)
    }

    /// Asks every server; what was seen before stays until one sees something else.
    mutating func begin(using random: inout any RandomNumberGenerator & Sendable, at now: Instant) {
        former = askedAt == nil ? [] : seen
        hasChanged = false
        askedAt = now
        noticed = .zero
        questions = servers.map { server in
            let isV6 = if case .v6 = server.address { true } else { false }
            let request = STUNMessage.bindingRequest(Self.transactionID(using: &random), isV6: isV6)
            return Question(server: server, transaction: STUNTransaction(request, timing: Self.timing, at: now))
        }
    }

    /// What to send next, and to whom.
    mutating func nextTransmission(at now: Instant) -> ([UInt8], to: IPEndpoint)? {
        for index in questions.indices where !questions[index].isOver {
            if let bytes = questions[index].transaction.nextTransmission(at: now) {
                return (bytes, questions[index].server)
            }
            if questions[index].transaction.outcome() != nil { questions[index].isOver = true }
        }
        return nil
    }

    /// Takes a message; whether it answered a question.
    mutating func receive(_ bytes: [UInt8], from remote: IPEndpoint, at now: Instant) -> Bool {
        for index in questions.indices where questions[index].server == remote && !questions[index].isOver {
            guard let outcome = questions[index].transaction.handle(bytes.span.bytes, at: now) else { continue }
            questions[index].isOver = true
            if case .success(let message, _) = outcome, let endpoint = message.mappedEndpoint,
                Self.isPlausible(endpoint, server: remote)
            {
                note(endpoint, by: index)
            }
            return true
        }
        return false
    }

    private mutating func note(_ endpoint: IPEndpoint, by index: Int) {
        if let old = seen[index], old != endpoint, !hasChanged {
            // What the others saw was the same mapping, or as old a one.
            hasChanged = true
            for other in questions.indices where !questions[other].isOver { seen[other] = nil }
        }
        seen[index] = endpoint
    }

    /// As what a server saw the socket last; nil when it never answered.
    func answer(of server: IPEndpoint) -> IPEndpoint? { servers.firstIndex(of: server).flatMap { seen[$0] } }

    /// As what a server saw the socket when it was asked the time before; nil when it did not answer.
    func formerAnswer(of server: IPEndpoint) -> IPEndpoint? {
        guard let index = servers.firstIndex(of: server), index < former.count else { return nil }
        return former[index]
    }

    /// Whether all servers saw the same the time before.
    var wasConstant: Bool {
        let answers = former.compactMap { $0 }
        return answers.count > 1 && Set(answers).count == 1
    }

    /// What each server saw, from which conclusions may be drawn: what one alone has seen anew says nothing until the others have
    /// answered too.
    var judged: [IPEndpoint?] { isDone || former.isEmpty ? seen : former }

    /// When `nextTransmission` is to be asked; nil when all is over.
    var nextDeadline: Instant? {
        questions.lazy.filter { !$0.isOver }.compactMap(\.transaction.nextDeadline).min()
    }

    /// Whether every server has answered or was given up.
    var isDone: Bool { askedAt != nil && questions.allSatisfy(\.isOver) }

    /// Whether servers are asked for the first time, and not all have answered.
    var isFirst: Bool { !isDone && former.isEmpty && !servers.isEmpty }

    /// The answers in the order of the questions.
    var answers: [IPEndpoint] { seen.compactMap { $0 } }

    /// When the silence is to be noticed; nil where somebody answered, or it was.
    var silenceDeadline: Instant? {
        guard let askedAt, !isDone, answers.isEmpty, !servers.isEmpty else { return nil }
        return [Self.suspicion, Self.silence].first { noticed < $0 }.map { askedAt + $0 }
    }

    /// Whether the silence has come to mean more than before; true once for each.
    mutating func noticeSilence(at now: Instant) -> Bool {
        let silence = isSilent(at: now) ? Self.silence : isSuspect(at: now) ? Self.suspicion : .zero
        guard silence > noticed else { return false }
        noticed = silence
        return true
    }

    /// Whether nobody has answered for so long that UDP may be blocked.
    func isSuspect(at now: Instant) -> Bool {
        guard let askedAt, !servers.isEmpty, answers.isEmpty else { return false }
        return now - askedAt >= Self.suspicion
    }

    /// Whether nobody has answered for so long that UDP must be blocked.
    func isSilent(at now: Instant) -> Bool {
        guard let askedAt, !servers.isEmpty, answers.isEmpty else { return false }
        return now - askedAt >= Self.silence || isDone
    }

    /// A server may lie, or be lied to by a router: what it says must be an address to which packets can go.
    private static func isPlausible(_ endpoint: IPEndpoint, server: IPEndpoint) -> Bool {
        let address = endpoint.address.unmapped
        return endpoint.port != 0 && !address.isLoopback && !address.isUnspecified && !address.isLinkLocal
            && endpoint != server
    }

    private static func transactionID(using random: inout any RandomNumberGenerator & Sendable) -> STUNTransactionID {
        let high = UInt32(truncatingIfNeeded: random.next())
        return STUNTransactionID(high: high, low: random.next())
    }
}
