// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// The sockets of a discovery and the requests under way on them.
///
/// Only what answers a request of its own counts: the transaction id, 96 random bits, and the socket have to match. What
/// arrives beyond a limit is not looked at, so that a flood costs little.
struct ProbeSockets: Sendable {
    /// How many datagrams of each socket are looked at.
    static let datagramLimit = 128
    /// How many bytes of a datagram are looked at.
    static let byteLimit = 1500
    /// How many requests may be under way.
    static let requestLimit = 512

    private struct Socket {
        var local: IPEndpoint?
        var datagramCount = 0
    }

    private(set) var outputs: [SocketOutput<NATDiscovery.Event>] = []
    private var random: any RandomNumberGenerator & Sendable
    private var nextNumber: UInt32 = 1
    private var sockets: [SocketID: Socket] = [:]
    private var requests: [STUNTransactionID: ProbeRequest] = [:]
    private var order = 0
    /// Datagrams that were no answer to anything.
    private(set) var strayCount = 0

    init(random: any RandomNumberGenerator & Sendable) {
        self.random = random
    }

    // MARK: Outputs

    mutating func nextOutput() -> SocketOutput<NATDiscovery.Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    mutating func tell(_ event: NATDiscovery.Event) {
        outputs.append(.event(event))
    }

    /// Gives a machine's output to the driver.
    mutating func put(_ output: SocketOutput<NATDiscovery.Event>) {
        outputs.append(output)
    }

    // MARK: Sockets

    mutating func newID() -> SocketID {
        defer { nextNumber += 1 }
        return SocketID(nextNumber)
    }

    mutating func newTransactionID() -> STUNTransactionID {
        STUNTransactionID(using: &random)
    }

    /// Opens a UDP socket on `address`.
    mutating func openUDP(_ address: IPAddress) -> SocketID {
        let id = newID()
        sockets[id] = Socket()
        put(.open(id, .udp(local: IPEndpoint(address, 0))))
        return id
    }

    /// Where a UDP socket is bound; nil before it is open.
    func local(of id: SocketID) -> IPEndpoint? { sockets[id]?.local }

    func isUDP(_ id: SocketID) -> Bool { sockets[id] != nil }

    mutating func opened(_ id: SocketID, local: IPEndpoint, at now: Instant) {
        guard sockets[id] != nil, sockets[id]?.local == nil else { return }
        sockets[id]?.local = local
        let waiting = requests.filter { $0.value.socket == id && $0.value.next == nil }
        for (key, _) in waiting.sorted(by: { $0.value.order < $1.value.order }) {
            requests[key]?.next = now
        }
        sendDue(at: now)
    }

    /// Closes a UDP socket and gives its requests up.
    mutating func close(_ id: SocketID) {
        guard sockets.removeValue(forKey: id) != nil else { return }
        requests = requests.filter { $0.value.socket != id && $0.value.listener != id }
        put(.close(id, isAbrupt: true))
    }

    /// Forgets a socket that the system has closed.
    mutating func lost(_ id: SocketID) {
        guard sockets.removeValue(forKey: id) != nil else { return }
        requests = requests.filter { $0.value.socket != id && $0.value.listener != id }
    }

    mutating func closeAll() {
        for id in sockets.keys.sorted(by: { $0.number < $1.number }) { close(id) }
        requests.removeAll()
    }

    // MARK: Requests

    /// Sends a Binding request as soon as its socket is open, and again by its plan.
    @discardableResult
    mutating func ask(
        _ purpose: ProbePurpose,
        _ family: AddressFamily,
        on socket: SocketID,
        to destination: IPEndpoint,
        answerFrom source: IPEndpoint? = nil,
        at listener: SocketID? = nil,
        attributes: [STUNAttribute] = [],
        timeToLive: UInt8? = nil,
        plan: RetryPlan,
        now: Instant
    ) -> STUNTransactionID? {
        guard let entry = sockets[socket], requests.count < Self.requestLimit else { return nil }
        let id = newTransactionID()
        var bytes: [UInt8] = []
        // A server answers with no more than it got, unless it gives credit, which all behind one address share.
        STUNMessage.bindingRequest(id, attributes: attributes, isV6: family == .v6).encode(into: &bytes)
        order += 1
        requests[id] = ProbeRequest(
            family: family,
            purpose: purpose,
            socket: socket,
            listener: listener ?? socket,
            destination: destination,
            source: source ?? destination,
            bytes: bytes,
            timeToLive: timeToLive,
            plan: plan,
            order: order,
            next: entry.local == nil ? nil : now
        )
        if entry.local != nil { send(id, at: now) }
        return id
    }

    /// Gives up the requests for which that holds.
    mutating func giveUp(where isMeant: (ProbeRequest) -> Bool) {
        requests = requests.filter { !isMeant($0.value) }
    }

    /// Whether a request for which that holds is under way.
    func isPending(where isMeant: (ProbeRequest) -> Bool) -> Bool {
        requests.values.contains(where: isMeant)
    }

    /// When a request is to be sent again or given up.
    var nextDeadline: Instant? {
        var earliest: Instant?
        for request in requests.values {
            guard let next = request.next else { continue }
            if earliest.map({ next < $0 }) ?? true { earliest = next }
        }
        return earliest
    }

    /// Sends what is due, and takes out what nobody answered.
    mutating func expire(at now: Instant) -> [ProbeRequest] {
        sendDue(at: now)
        var over: [ProbeRequest] = []
        for (id, request) in requests where request.tries >= request.plan.tries {
            guard let next = request.next, next <= now else { continue }
            over.append(request)
            requests[id] = nil
        }
        return over.sorted { $0.order < $1.order }
    }

    private mutating func sendDue(at now: Instant) {
        let due = requests.filter { entry in
            guard let next = entry.value.next else { return false }
            return next <= now && entry.value.tries < entry.value.plan.tries
        }
        for (id, _) in due.sorted(by: { $0.value.order < $1.value.order }) { send(id, at: now) }
    }

    private mutating func send(_ id: STUNTransactionID, at now: Instant) {
        guard var request = requests[id] else { return }
        request.tries += 1
        request.firstSent = request.firstSent ?? now
        request.next =
            now + (request.tries < request.plan.tries ? request.plan.interval : request.plan.patience)
        requests[id] = request
        put(
            .send(request.socket, request.bytes, to: request.destination, timeToLive: request.timeToLive)
        )
    }

    /// Reads a datagram; nil unless it answers a request.
    ///
    /// An answer from another endpoint than the expected one is handed out without ending the request.
    mutating func receive(_ id: SocketID, _ bytes: [UInt8], from: IPEndpoint, at now: Instant)
        -> ProbeAnswer?
    {
        guard sockets[id] != nil else { return nil }
        sockets[id]?.datagramCount += 1
        guard let socket = sockets[id], socket.datagramCount <= Self.datagramLimit,
            bytes.count <= Self.byteLimit,
            let message = try? STUNMessage.decode(bytes.span.bytes), message.method == .binding,
            message.kind == .success || message.kind == .error,
            let request = requests[message.transactionID], request.listener == id,
            let sent = request.firstSent,
            let local = sockets[request.socket]?.local
        else {
            strayCount += 1
            return nil
        }
        let answer = ProbeAnswer(
            request: request,
            message: message,
            from: from,
            local: local,
            roundTrip: now - sent
        )
        if answer.isFromSource { requests[message.transactionID] = nil }
        return answer
    }
}
