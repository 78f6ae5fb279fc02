// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// Asks one TURN server for an allocation, sends a datagram to itself through it, and gives it back.
package struct TURNQuery: SocketMachine {
    /// What came of the datagram.
    package enum Echo: Sendable, Equatable {
        /// It came back after so long.
        case arrived(Duration)
        /// The server does not let its own address be a peer.
        case refused(TURNFailure)
        /// It did not come back in time.
        case lost
    }

    /// What a server did.
    package struct Finding: Sendable, Equatable {
        /// The relay's endpoint.
        package var relayed: IPEndpoint
        /// Where the server saw this computer.
        package var mapped: IPEndpoint
        /// How long the allocation took, from the first message on.
        package var allocateTime: Duration
        /// What came of the datagram.
        package var echo: Echo

        /// Makes it from its parts.
        package init(relayed: IPEndpoint, mapped: IPEndpoint, allocateTime: Duration, echo: Echo) {
            self.relayed = relayed
            self.mapped = mapped
            self.allocateTime = allocateTime
            self.echo = echo
        }
    }

    /// What came of it; the machine is over then.
    package enum Event: Sendable, Equatable {
        /// There was an allocation.
        case answered(Finding)
        /// There was none.
        case refused(TURNFailure)
        /// The socket failed.
        case failed(SocketEnd)
        /// A router or the server's host refused the request (ICMP).
        case unreachable(SocketRefusal)
    }

    /// How long the whole may take, and the datagram of it.
    package static let limit = Duration.milliseconds(2800)
    private static let echoLimit = Duration.milliseconds(900)
    private static let resendAfter = Duration.milliseconds(250)

    private let name: String
    private var client: TURNClient
    private var outputs: [SocketOutput<Event>] = []
    private var socket: SocketID?
    private var nextSocket: UInt32 = 0
    private var payload: [UInt8]
    private var begun: Instant?
    private var deadline: Instant?
    private var sentAt: Instant?
    private var resendAt: Instant?
    private var finding: Finding?
    private var refusal: SocketRefusal?
    private var isOver = false

    /// Makes a query.
    ///
    /// - Parameter name: whom TLS is to find there.
    package init(
        _ configuration: TURNClientConfiguration,
        name: String = "",
        random: any RandomNumberGenerator & Sendable
    ) {
        var random = random
        payload = (0..<24).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        self.name = name
        client = TURNClient(configuration, random: random)
        open()
    }

    package var nextDeadline: Instant? {
        guard !isOver else { return nil }
        return [client.nextDeadline, deadline, resendAt].compactMap { $0 }.min()
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isOver, let socket else { return }
        if deadline == nil { deadline = now + Self.limit }
        switch input {
        case .opened(let id, _) where id == socket: start(at: now)
        case .connected(let id, _, _) where id == socket: start(at: now)
        case .received(let id, let bytes, let source) where id == socket && source == server:
            client.handle(.received(bytes), at: now)
        case .bytes(let id, let bytes) where id == socket: client.handle(.received(bytes), at: now)
        case .refused(let id, let refusal) where id == socket && refusal.destination == server: self.refusal = refusal
        case .closed(let id, let end) where id == socket:
            self.socket = nil
            if let finding { finish(.answered(finding)) } else { finish(.failed(end)) }
        case .timer:
            client.handle(.timer, at: now)
            advance(at: now)
        default: break
        }
        drain(at: now)
    }

    private var server: IPEndpoint { client.configuration.server }

    private mutating func open() {
        let id = SocketID(nextSocket)
        nextSocket += 1
        socket = id
        let any: IPAddress
        switch server.address {
        case .v4: any = .v4(0)
        case .v6: any = .v6(high: 0, low: 0)
        }
        let local = IPEndpoint(any, 0)
        switch client.configuration.transport {
        case .udp: outputs.append(.open(id, .udp(local: local)))
        case .tcp: outputs.append(.open(id, .tcp(local: local, remote: server)))
        case .tls: outputs.append(.open(id, .tls(local: local, remote: server, name: name)))
        }
    }

    private mutating func start(at now: Instant) {
        if begun == nil { begun = now }
        client.handle(.start, at: now)
    }

    private mutating func drain(at now: Instant) {
        while !isOver, let output = client.nextOutput() {
            switch output {
            case .transmit(let bytes):
                guard let socket else { continue }
                if client.configuration.transport == .udp {
                    outputs.append(.send(socket, bytes, to: server, timeToLive: nil))
                } else {
                    outputs.append(.write(socket, bytes))
                }
            // Nothing is sent in batches here.
            case .transmitBatch, .offer: break
            case .event(let event): take(event, at: now)
            }
        }
    }

    private mutating func take(_ event: TURNClientEvent, at now: Instant) {
        switch event {
        case .allocated(let relayed, let mapped):
            let time = now - (begun ?? now)
            finding = Finding(relayed: relayed, mapped: mapped, allocateTime: time, echo: .lost)
            deadline = min(deadline ?? now + Self.echoLimit, now + Self.echoLimit)
            // Not before the permission is there: how long the datagram takes is measured.
            client.handle(.permit(relayed.address), at: now)
        case .permitted: send(at: now)
        case .notPermitted(_, let failure): end(.refused(failure), at: now)
        case .data(let batch, let source):
            guard batch.bytes == payload, source == finding?.relayed, let sentAt else { return }
            end(.arrived(now - sentAt), at: now)
        case .released:
            if let finding { finish(.answered(finding)) }
        case .failed(let failure), .lost(let failure):
            if let finding {
                finish(.answered(finding))
            } else if let refusal, failure == .timedOut {
                finish(.unreachable(refusal))
            } else {
                finish(.refused(failure))
            }
        case .redirected:
            if client.configuration.transport == .udp { return client.handle(.start, at: now) }
            if let socket { outputs.append(.close(socket, isAbrupt: false)) }
            open()
        case .bound, .refused: break
        }
    }

    private mutating func send(at now: Instant) {
        guard let relayed = finding?.relayed else { return }
        sentAt = now
        resendAt = now + Self.resendAfter
        client.handle(.send(payload, to: relayed), at: now)
    }

    /// Gives the allocation back, and waits a moment for that to be heard.
    private mutating func end(_ echo: Echo, at now: Instant) {
        finding?.echo = echo
        resendAt = nil
        sentAt = nil
        deadline = now + .milliseconds(300)
        client.handle(.release, at: now)
    }

    private mutating func advance(at now: Instant) {
        if let resendAt, resendAt <= now {
            self.resendAt = nil
            send(at: now)
        }
        guard let deadline, deadline <= now else { return }
        guard let finding else {
            return finish(refusal.map { .unreachable($0) } ?? .refused(.timedOut))
        }
        if sentAt != nil { return end(.lost, at: now) }
        finish(.answered(finding))
    }

    private mutating func finish(_ event: Event) {
        isOver = true
        if let socket { outputs.append(.close(socket, isAbrupt: false)) }
        socket = nil
        outputs.append(.event(event))
    }
}
