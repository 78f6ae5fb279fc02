// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// Asks one STUN server, over UDP or TCP, as whom it sees this machine; follows a server that sends it to another one.
package struct STUNQuery: SocketMachine {
    /// What is asked.
    package struct Configuration: Sendable, Equatable {
        /// The server.
        package var server: IPEndpoint
        /// UDP or TCP; TLS is not the machine's.
        package var transport: STUNTransport
        /// Where it sends from; nil for any address and port.
        package var local: IPEndpoint?
        /// When the request is sent again and given up; nil for the transport's standard.
        package var timing: STUNTiming?
        /// What to add to the request.
        package var attributes: [STUNAttribute]

        /// Makes it from its parts.
        package init(
            server: IPEndpoint,
            transport: STUNTransport = .udp,
            local: IPEndpoint? = nil,
            timing: STUNTiming? = nil,
            attributes: [STUNAttribute] = []
        ) {
            self.server = server
            self.transport = transport
            self.local = local
            self.timing = timing
            self.attributes = attributes
        }
    }

    /// What came of it; the machine is over then.
    package enum Event: Sendable, Equatable {
        /// The server answered: from whom the request came in its eyes, and from where this machine sent it.
        case answered(mapped: IPEndpoint, local: IPEndpoint, by: IPEndpoint, roundTrip: Duration)
        /// The server answered without an address, or with an error.
        case refused(Int, reason: String)
        /// Nobody answered in time.
        case timedOut
        /// The socket failed.
        case failed(SocketEnd)
        /// A router or the server's host refused the request (ICMP).
        case unreachable(SocketRefusal)
    }

    /// How often another server is followed.
    package static let redirectionLimit = 3

    private let configuration: Configuration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [SocketOutput<Event>] = []
    private var visited: [IPEndpoint]
    private var nextSocket: UInt32 = 0
    private var socket: SocketID?
    private var local: IPEndpoint?
    private var transaction: STUNTransaction?
    private var pending: [UInt8] = []
    private var connectDeadline: Instant?
    private var refusal: SocketRefusal?

    /// Makes a query; it begins with the first input, which may be `.timer`.
    package init(_ configuration: Configuration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        visited = [configuration.server]
        openSocket()
    }

    package var nextDeadline: Instant? { transaction?.nextDeadline ?? connectDeadline }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard let socket else { return }
        switch input {
        case .opened(let id, let local) where id == socket: begin(local, at: now)
        case .connected(let id, let local, _) where id == socket: begin(local, at: now)
        case .received(let id, let bytes, let source) where id == socket:
            guard source == server else { return }
            take(transaction?.handle(bytes.span.bytes, at: now))
        case .bytes(let id, let bytes) where id == socket: handleStream(bytes, at: now)
        case .refused(let id, let refusal) where id == socket && refusal.destination == server: self.refusal = refusal
        case .closed(let id, let end) where id == socket:
            self.socket = nil
            finish(.failed(end))
        case .timer: advance(at: now)
        default: break
        }
        if transaction == nil, connectDeadline == nil, self.socket != nil {
            connectDeadline = now + .milliseconds(39_500)
        }
    }

    private var server: IPEndpoint { visited[visited.count - 1] }

    private mutating func openSocket() {
        let id = SocketID(nextSocket)
        nextSocket += 1
        socket = id
        let any: IPAddress
        switch server.address {
        case .v4: any = .v4(0)
        case .v6: any = .v6(high: 0, low: 0)
        }
        let local = configuration.local ?? IPEndpoint(any, 0)
        let kind: SocketKind = configuration.transport == .udp ? .udp(local: local) : .tcp(local: local, remote: server)
        outputs.append(.open(id, kind))
    }

    private mutating func begin(_ local: IPEndpoint, at now: Instant) {
        self.local = local
        let isV6: Bool
        switch server.address {
        case .v4: isV6 = false
        case .v6: isV6 = true
        }
        let id = STUNTransactionID(using: &random)
        transaction = STUNTransaction(
            .bindingRequest(id, attributes: configuration.attributes, isV6: isV6),
            timing: configuration.timing ?? (configuration.transport == .udp ? .standard : .reliable),
            at: now
        )
        connectDeadline = nil
        advance(at: now)
    }

    private mutating func advance(at now: Instant) {
        if let connectDeadline, transaction == nil {
            if now >= connectDeadline { finish(.timedOut) }
            return
        }
        guard let socket else { return }
        if let bytes = transaction?.nextTransmission(at: now) {
            let isDatagram = configuration.transport == .udp
            outputs.append(
                isDatagram ? .send(socket, bytes, to: server, timeToLive: nil) : .write(socket, bytes)
            )
        }
        take(transaction?.outcome())
    }

    private mutating func handleStream(_ bytes: [UInt8], at now: Instant) {
        pending += bytes
        while !pending.isEmpty, transaction != nil {
            guard let count = try? STUNMessage.byteCount(inStream: pending.span.bytes, limit: 4096) else {
                if pending.count >= 4 { finish(.failed(.malformed)) }
                return
            }
            guard pending.count >= count else { return }
            let message = Array(pending.prefix(count))
            pending.removeFirst(count)
            take(transaction?.handle(message.span.bytes, at: now))
        }
    }

    private mutating func take(_ outcome: STUNOutcome?) {
        switch outcome {
        case nil: return
        case .success(let message, let roundTrip):
            guard let mapped = message.mappedEndpoint, let local else { return finish(.refused(0, reason: "")) }
            finish(.answered(mapped: mapped, local: local, by: server, roundTrip: roundTrip))
        case .refused(let number, let reason): finish(.refused(number, reason: reason))
        case .notUnderstood: finish(.refused(0, reason: ""))
        case .timedOut:
            if let refusal { finish(.unreachable(refusal)) } else { finish(.timedOut) }
        case .tryAlternate(let endpoint, _):
            // Neither in a circle nor for ever, nor to the other family (RFC 8489 section 10).
            guard visited.count <= Self.redirectionLimit, !visited.contains(endpoint),
                endpoint.address.isSameFamily(as: server.address)
            else { return finish(.refused(300, reason: "")) }
            closeSocket()
            visited.append(endpoint)
            openSocket()
        }
    }

    private mutating func finish(_ event: Event) {
        closeSocket()
        connectDeadline = nil
        outputs.append(.event(event))
    }

    private mutating func closeSocket() {
        if let socket { outputs.append(.close(socket, isAbrupt: false)) }
        socket = nil
        transaction = nil
        pending = []
        refusal = nil
    }
}

extension IPAddress {
    fileprivate func isSameFamily(as other: IPAddress) -> Bool {
        switch (self, other) {
        case (.v4, .v4), (.v6, .v6): true
        case (.v4, .v6), (.v6, .v4): false
        }
    }
}
