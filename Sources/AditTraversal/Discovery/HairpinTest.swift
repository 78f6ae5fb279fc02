// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Whether two sockets of this machine reach each other by their external endpoints (RFC 4787 section 6).
///
/// Both send to each other at once, so that no filter is in the way.
struct HairpinTest: Sendable {
    private static let tries = 7
    private static let interval = Duration.milliseconds(120)
    private static let patience = Duration.milliseconds(300)

    private let family: AddressFamily
    private var pair: [SocketID] = []
    private var externals: [IPEndpoint?] = [nil, nil]
    private var locals: [IPEndpoint?] = [nil, nil]
    private let marks: [STUNTransactionID]
    private var sent = 0
    private var next: Instant?
    private var hasArrived = false
    private(set) var isDone = false

    init(
        through server: ProbeServer,
        address: IPAddress,
        _ family: AddressFamily,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        self.family = family
        marks = [sockets.newTransactionID(), sockets.newTransactionID()]
        for number in 0..<2 {
            let socket = sockets.openUDP(address)
            pair.append(socket)
            sockets.ask(
                .hairpin(number),
                family,
                on: socket,
                to: server.endpoint,
                plan: .answered,
                now: now
            )
        }
    }

    var nextDeadline: Instant? { isDone ? nil : next }

    /// One of the sockets was seen as `external`.
    mutating func learned(
        _ answer: ProbeAnswer,
        _ external: IPEndpoint,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard case .hairpin(let number) = answer.request.purpose else { return }
        externals[number] = external
        locals[number] = answer.local
        if externals[0] != nil, externals[1] != nil, next == nil { next = now }
    }

    /// Takes a datagram that answers nothing.
    mutating func received(
        _ id: SocketID,
        _ bytes: [UInt8],
        from: IPEndpoint,
        _ sockets: inout ProbeSockets
    ) {
        guard let number = pair.firstIndex(of: id),
            let message = try? STUNMessage.decode(bytes.span.bytes),
            message.kind == .indication, message.transactionID == marks[1 - number]
        else { return }
        hasArrived = true
        isDone = true
    }

    /// Sends what is due.
    mutating func advance(_ sockets: inout ProbeSockets, at now: Instant) {
        guard !isDone else { return }
        if next == nil {
            // Without an answer there is nothing to send to.
            let family = family
            isDone = !sockets.isPending { request in
                guard case .hairpin = request.purpose else { return false }
                return request.family == family
            }
            return
        }
        guard let due = next, due <= now else { return }
        guard isTranslated, sent < Self.tries else {
            isDone = true
            return
        }
        sent += 1
        next = now + (sent < Self.tries ? Self.interval : Self.patience)
        for number in 0..<2 {
            guard let external = externals[1 - number] else { continue }
            var bytes: [UInt8] = []
            STUNMessage(.indication, transactionID: marks[number]).encode(into: &bytes)
            sockets.put(.send(pair[number], bytes, to: external, timeToLive: nil))
        }
    }

    private var isTranslated: Bool { externals != locals }

    /// What the test showed.
    var finding: NATFinding<Bool> {
        if externals.contains(nil) { return .unknown(.noAnswer) }
        if !isTranslated { return .unknown(.notApplicable) }
        return .certain(hasArrived)
    }
}
