// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

/// Decides for every visitor of one tunnel, at the moment it comes, whether it may; and tells of each in the log.
///
/// The lines `visitor accepted` and `visitor refused` have a stable form (docs/security.md). Those who are turned away are
/// also counted, and the device is told of them now and then.
package final class VisitorGate: Sendable {
    private struct State {
        var connections: SourceRateLimiter?
        var requests: SourceRateLimiter?
        var refusals: [VisitorRefusal: Int] = [:]
        var firstRefusal = Instant.zero
        var quietUntil = Instant.zero
        var hasTimer = false
    }

    /// How long refusals are collected before the device is told the first time, and then between two times.
    private static let firstReport = Duration.seconds(1)
    private static let reportInterval = Duration.seconds(60)

    private let session: ServerSession
    private let proxyName: String
    private let logName: String
    private let allow: [CIDR]
    private let limits: TunnelLimits
    private let visitorLimit: Int
    private let counters: TunnelCounters
    private let ceiling: DeviceCeiling?
    private let clock: Clock
    private let log: Logger
    private let state: NIOLockedValueBox<State>

    /// What the bytes of visitors have to share on their way to the device; empty without limits.
    package let fromVisitors: [BandwidthLimiter]
    /// What the bytes of the device have to share on their way to visitors; empty without limits.
    package let toVisitors: [BandwidthLimiter]

    init(
        session: ServerSession,
        proxyName: String,
        shownName: String,
        terms: TunnelTerms,
        visitorLimit: Int,
        counters: TunnelCounters,
        ceiling: DeviceCeiling?,
        clock: Clock = .monotonic,
        log: Logger
    ) {
        self.session = session
        self.proxyName = proxyName
        logName = Self.logName(shownName)
        allow = terms.allow
        limits = terms.limits
        self.visitorLimit = min(visitorLimit, terms.limits.maxConnections ?? visitorLimit)
        self.counters = counters
        self.ceiling = ceiling
        self.clock = clock
        self.log = log
        state = NIOLockedValueBox(
            State(
                connections: terms.limits.connectionRate.map { SourceRateLimiter($0) },
                requests: terms.limits.requestRate.map { SourceRateLimiter($0) }
            )
        )
        var incoming: [BandwidthLimiter] = []
        var outgoing: [BandwidthLimiter] = []
        if let bandwidth = terms.limits.bandwidth {
            let first = BandwidthLimiter(bandwidth, on: session.eventLoop)
            incoming.append(first)
            // frp has one bucket for both directions.
            outgoing.append(terms.hasSharedBandwidth ? first : BandwidthLimiter(bandwidth, on: session.eventLoop))
        }
        if let limiter = ceiling?.fromVisitors { incoming.append(limiter) }
        if let limiter = ceiling?.toVisitors { outgoing.append(limiter) }
        fromVisitors = incoming
        toVisitors = outgoing
    }

    /// Whether bytes have to wait for their turn: then nothing may carry them past the handlers of this gate.
    package var isShaped: Bool { !fromVisitors.isEmpty || !toVisitors.isEmpty }

    /// Lets a visitor in and counts it, or says why not; each one that came in has to `leave`.
    ///
    /// A visitor whose address is not known only comes in where everybody does.
    package func enter(_ visitor: IPEndpoint?) throws(TunnelFault) {
        guard Self.admits(visitor?.address, allow) else {
            refuse(visitor, .allowList)
            throw .refused
        }
        if limits.connectionRate != nil, let address = visitor?.address {
            let now = clock.now()
            let wait = state.withLockedValue { $0.connections?.admit(address, at: now) }
            if let wait {
                refuse(visitor, .connectionRate)
                throw .tooOften(retryAfter: wait)
            }
        }
        if let ceiling, !ceiling.enter() {
            refuse(visitor, .deviceConnections)
            throw .full(ceiling.maximumConnections)
        }
        guard counters.enter(limit: visitorLimit) else {
            ceiling?.leave()
            refuse(visitor, .connections, isCounted: true)
            throw .full(visitorLimit)
        }
        log.info("visitor accepted", metadata: fields(visitor))
    }

    /// Counts a visitor out.
    package func leave() {
        counters.leave()
        ceiling?.leave()
    }

    /// Counts one more request; nil when it may be answered, else the time after which the visitor's next one will be.
    package func admitRequest(_ visitor: IPEndpoint) -> Duration? {
        guard limits.requestRate != nil else { return nil }
        let now = clock.now()
        guard let wait = state.withLockedValue({ $0.requests?.admit(visitor.address, at: now) }) else { return nil }
        refuse(visitor, .requestRate)
        return wait
    }

    /// Counts and tells of a visitor who was turned away.
    package func refuse(_ visitor: IPEndpoint?, _ reason: VisitorRefusal) {
        refuse(visitor, reason, isCounted: false)
    }

    /// The handlers for a channel on which visitors' bytes arrive; none without limits.
    func visitorHandlers() -> [any ChannelHandler] { fromVisitors.map { BandwidthReadHandler($0) } }

    /// Adds the handlers for a stream of the device; with `isWriting` those for both directions, else for its bytes alone.
    func shape(stream: any Channel, isWriting: Bool) throws {
        guard isShaped else { return }
        var handlers: [any ChannelHandler] = toVisitors.map { BandwidthReadHandler($0) }
        if isWriting { handlers += writers() }
        try stream.pipeline.syncOperations.addHandlers(handlers)
    }

    /// In the order of the pipeline: the last one gets what is written first, and the first one knows what all of them hold.
    private func writers() -> [any ChannelHandler] {
        var writers: [BandwidthWriteHandler] = []
        for limiter in fromVisitors.reversed() {
            writers.append(BandwidthWriteHandler(limiter, earlier: writers.last))
        }
        return writers.reversed()
    }

    static func admits(_ address: IPAddress?, _ allow: [CIDR]) -> Bool {
        if allow.isEmpty { return true }
        guard let address else { return false }
        return allow.contains { $0.contains(address) }
    }

    // MARK: Telling

    private func refuse(_ visitor: IPEndpoint?, _ reason: VisitorRefusal, isCounted: Bool) {
        if !isCounted { counters.refuse() }
        var fields = fields(visitor)
        fields["reason"] = "\(reason.rawValue)"
        log.info("visitor refused", metadata: fields)
        guard session.isAdit else { return }
        let now = clock.now()
        let delay = state.withLockedValue { state -> Duration? in
            if state.refusals.isEmpty { state.firstRefusal = now }
            state.refusals[reason, default: 0] += 1
            guard !state.hasTimer else { return nil }
            state.hasTimer = true
            return max(Self.firstReport, state.quietUntil - now)
        }
        guard let delay else { return }
        session.eventLoop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { [weak self] in self?.report() }
    }

    private func report() {
        let now = clock.now()
        let (refusals, seconds) = state.withLockedValue { state in
            defer {
                state.refusals = [:]
                state.hasTimer = false
                state.quietUntil = now + Self.reportInterval
            }
            return (state.refusals, Int((now - state.firstRefusal).inSeconds.rounded(.up)))
        }
        for (reason, count) in refusals.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let message = AditVisitorsRefused(
                proxyName: proxyName,
                reason: reason.rawValue,
                limit: limitText(reason),
                count: count,
                seconds: max(1, seconds)
            )
            session.send(.visitorsRefused(message))
        }
    }

    private func limitText(_ reason: VisitorRefusal) -> String {
        switch reason {
        case .allowList, .password: ""
        case .connections: "\(visitorLimit)"
        case .connectionRate: limits.connectionRate?.description ?? ""
        case .requestRate: limits.requestRate?.description ?? ""
        case .deviceConnections: "\(ceiling?.maximumConnections ?? 0)"
        }
    }

    private func fields(_ visitor: IPEndpoint?) -> Logger.Metadata {
        [
            "remote": "\(visitor?.address.unmapped.description ?? "-")", "port": "\(visitor?.port ?? 0)",
            "tunnel": "\(logName)",
        ]
    }

    /// A name that cannot look like another field of the line.
    private static func logName(_ name: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in LineLogHandler.printable(name).unicodeScalars.prefix(100) {
            result.append(scalar.properties.isWhitespace || scalar == "=" ? "_" : scalar)
        }
        return String(result)
    }
}
