// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL

/// Answers STUN over TCP, and over TLS (RFC 8489 sections 6.2.2 and 6.2.3).
///
/// All connections share one desk behind a lock, which is held for about a microsecond for each message.
final class STUNStreams: Sendable {
    /// What a connection may do.
    struct Limits: Sendable {
        /// How many connections there may be.
        var total = 1024
        /// How many of them from one address.
        var fromOneAddress = 64
        /// How long a message may take from its first byte to its last.
        var message = TimeAmount.seconds(10)
        /// How long a connection may be silent; longer than a client repeats itself (RFC 8489 section 6.2.2, Ti).
        var idle = TimeAmount.seconds(60)
    }

    /// What was done so far.
    struct Figures: Sendable {
        var counters = STUNCounters()
        /// Connections now.
        var connections = 0
        /// Connections turned away because there were too many.
        var refusedConnections = 0
    }

    private struct State: Sendable {
        var desk: STUNDesk
        var connections = 0
        var refused = 0
        var connectBack: ConnectBackResponder
        var pendingConnectBacks = 0
        /// Until when nothing is promised, because it could not be kept.
        var isUnableUntil: Instant?
        /// All connections, in both directions.
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isStopped = false
    }

    /// How long nothing is promised after a connection that could not be made here.
    private static let recovery = Duration.seconds(30)

    private let limits: Limits
    private let gate: AcceptGate
    private let state: NIOLockedValueBox<State>
    private let alternatePort: UInt16?
    private let clock: Clock
    private let certificates: CertificateStore
    private let identity: ServerTLS
    private let patience: TimeAmount
    /// Who takes the connections of TURN's clients; nil for nobody.
    let turn: TURNDesk?

    init(
        _ desk: STUNDesk,
        limits: Limits,
        alternatePort: UInt16?,
        ownPorts: Set<UInt16>,
        parts: AditServer.Parts,
        certificates: CertificateStore,
        turn: TURNDesk? = nil
    ) {
        self.turn = turn
        self.limits = limits
        self.alternatePort = alternatePort
        self.certificates = certificates
        gate = AcceptGate(maximumTotal: limits.total, maximumPerAddress: limits.fromOneAddress)
        state = NIOLockedValueBox(State(desk: desk, connectBack: ConnectBackResponder(ownPorts: ownPorts)))
        clock = parts.clock
        identity = parts.identity.tls
        patience = parts.handshakePatience
    }

    /// What was done so far.
    var current: Figures {
        state.withLockedValue {
            Figures(counters: $0.desk.counters, connections: $0.connections, refusedConnections: $0.refused)
        }
    }

    // MARK: Connections

    /// Prepares an accepted TCP connection.
    func initialize(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            guard self.enter(channel) else { return }
            try channel.pipeline.syncOperations.addHandler(self.makeHandler(channel, over: .tcp))
        }
    }

    /// Prepares an accepted TLS connection: the certificate for the name that the client asks for, else the first one, else
    /// the server's own.
    func initializeTLS(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            guard self.enter(channel) else { return }
            let reader = ClientHelloHandler(patience: patience) { found, handler in
                guard case .success(let hello) = found else { return .drop }
                let named = hello.serverName.flatMap { HostName($0) }.flatMap { self.certificates.certificate(for: $0) }
                return self.secure(channel, named ?? self.certificates.standard, behind: handler)
            }
            try channel.pipeline.syncOperations.addHandler(reader)
        }
    }

    /// Takes a TLS connection of another port whose client asked for what is spoken here, with the server's own certificate.
    func takeTLS(_ channel: any Channel, behind handler: ClientHelloHandler) -> ClientHelloHandler.Decision {
        enter(channel) ? secure(channel, nil, behind: handler) : .drop
    }

    private func secure(
        _ channel: any Channel,
        _ certificate: VisitorCertificate?,
        behind handler: ClientHelloHandler
    ) -> ClientHelloHandler.Decision {
        let handshake = HandshakeHandler(patience: patience) { _, channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(self.makeHandler(channel, over: .tls))
            }
        }
        let tls: [any ChannelHandler] = certificate?.makeHandlers() ?? [identity.makeHandler().handler]
        do {
            try channel.pipeline.syncOperations.addHandlers(tls + [handshake], position: .after(handler))
            return .serve
        } catch {
            return .drop
        }
    }

    /// Counts a connection in until it is gone; false when it was one too many and is being closed.
    private func enter(_ channel: any Channel) -> Bool {
        let address = channel.remoteEndpoint?.address
        guard gate.enter(address) else {
            state.withLockedValue { $0.refused += 1 }
            channel.close(promise: nil)
            return false
        }
        state.withLockedValue { $0.connections += 1 }
        keep(channel)
        channel.closeFuture.whenComplete { _ in
            self.gate.leave(address)
            self.state.withLockedValue { $0.connections -= 1 }
        }
        return true
    }

    /// Keeps a connection in mind, so that it ends with the service.
    private func keep(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let isStopped = state.withLockedValue { state in
            if !state.isStopped { state.channels[id] = channel }
            return state.isStopped
        }
        if isStopped { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in self.state.withLockedValue { $0.channels[id] = nil } }
    }

    /// Closes every connection, and makes no further one.
    func stop() {
        let channels = state.withLockedValue { state in
            state.isStopped = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }

    private func makeHandler(_ channel: any Channel, over transport: STUNTransport) -> STUNStreamHandler {
        let none = IPEndpoint(.v4(0), 0)
        return STUNStreamHandler(
            self,
            limits: limits,
            from: channel.remoteEndpoint ?? none,
            at: channel.localEndpoint ?? none,
            over: transport
        )
    }

    // MARK: Messages

    /// What becomes of a connection after a message.
    enum Outcome: Equatable {
        case answered
        case silent
        /// The source asks too much; elsewhere it would not be answered, and here it must not wait for that.
        case limited
    }

    /// Writes the response to a message in place of what `reply` holds, and connects back on `eventLoop` when that is asked.
    func respond(
        to message: [UInt8],
        from source: IPEndpoint,
        at own: IPEndpoint,
        over transport: STUNTransport,
        on eventLoop: any EventLoop,
        into reply: inout [UInt8]
    ) -> Outcome {
        let now = clock.now()
        let (outcome, back) = state.withLockedValue { state -> (Outcome, STUNConnectBack?) in
            let limited = state.desk.counters.limited
            let route = state.desk.respond(
                to: message.span.bytes,
                from: source,
                at: own.address.unmapped,
                isAlternatePort: transport == .tcp && own.port == alternatePort,
                over: transport,
                now: now,
                into: &reply
            )
            guard route != nil else { return (state.desk.counters.limited > limited ? .limited : .silent, nil) }
            // Behind a proxy for TLS the peer is not the one that asks.
            guard transport == .tcp else { return (.answered, nil) }
            return (.answered, Self.connectBack(&state, message, from: source, at: own.address.unmapped, now, &reply))
        }
        // The promise is on its way before what it promises.
        if let back { eventLoop.execute { self.run(back, on: eventLoop) } }
        return outcome
    }

    private func run(_ back: STUNConnectBack, on eventLoop: any EventLoop) {
        back.run(on: eventLoop) { self.keep($0) }.whenComplete { result in
            let now = self.clock.now()
            self.state.withLockedValue { state in
                state.pendingConnectBacks -= 1
                if case .failure(let error) = result, STUNConnectBack.isOwnFault(error) {
                    state.isUnableUntil = now + Self.recovery
                }
            }
        }
    }

    /// The connection that a request asks for, promised in its response; nil when there is to be none.
    private static func connectBack(
        _ state: inout State,
        _ message: [UInt8],
        from source: IPEndpoint,
        at own: IPAddress,
        _ now: Instant,
        _ reply: inout [UInt8]
    ) -> STUNConnectBack? {
        guard state.pendingConnectBacks < ConnectBackResponder.pendingLimit, !state.isStopped,
            state.isUnableUntil.map({ $0 <= now }) ?? true
        else { return nil }
        let other = state.desk.address(besides: own)
        let plan = state.connectBack.plan(
            for: message.span.bytes,
            from: source,
            at: own,
            hasOtherAddress: other != nil,
            now: now,
            promisedIn: &reply
        )
        guard let plan else { return nil }
        state.pendingConnectBacks += 1
        return STUNConnectBack(plan: plan, own: plan.isFromOtherAddress ? other ?? own : own)
    }
}
