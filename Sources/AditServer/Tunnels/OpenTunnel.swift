// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTunnel
package import AditWire
import Logging
import NIOConcurrencyHelpers
package import NIOCore

/// One tunnel while its session holds it: who opened it, what it serves, and every connection that runs through it.
package final class OpenTunnel: Sendable {
    /// What identifies a tunnel from outside the registry: a session cannot have two of one name.
    struct Key: Hashable, Sendable {
        var session: String
        var proxyName: String
    }

    private struct Live {
        var isReady = false
        var isClosed = false
        var addresses: [String] = []
        var listener: (any Channel)?
        /// The port of UDP and its visitors.
        var datagrams: DatagramEntrance?
        var streams: [ObjectIdentifier: any Channel] = [:]
        /// Visitors whose bytes go past the event loops.
        var spliced: [ObjectIdentifier: SplicedPair] = [:]
        var expiry: Scheduled<Void>?
        var frontEnd: HTTPFrontEnd?
        var waiters: [EventLoopPromise<Void>] = []

        var isIdle: Bool { streams.isEmpty && spliced.isEmpty }
    }

    /// The registry's id.
    package let id: TunnelID
    /// The session that holds it.
    package let session: ServerSession
    /// The proxy's name on the wire.
    package let proxyName: String
    /// What was asked for.
    package let request: FRPNewProxy
    /// What was agreed.
    package let terms: TunnelTerms
    /// The hosts that lead here; empty for a tunnel with a port.
    package let hosts: [HostChoice.Host]
    /// The public port; 0 for a tunnel with hosts.
    package let port: UInt16
    /// When it was opened.
    package let openedAt: UnixTime
    /// When it ends by itself; nil when it does not.
    package let expiresAt: UnixTime?
    /// What passed through it.
    package let counters = TunnelCounters()

    /// Who may come in, and how much may pass.
    package let gate: VisitorGate
    /// Tells the device of requests.
    let reporter: RequestReporter

    private let live = NIOLockedValueBox(Live())

    init(
        id: TunnelID,
        session: ServerSession,
        request: FRPNewProxy,
        terms: TunnelTerms,
        hosts: [HostChoice.Host],
        port: UInt16,
        openedAt: UnixTime,
        visitorLimit: Int,
        ceiling: DeviceCeiling?,
        log: Logger
    ) {
        self.id = id
        self.session = session
        self.request = request
        self.terms = terms
        self.hosts = hosts
        self.port = port
        self.openedAt = openedAt
        proxyName = request.proxyName
        expiresAt = terms.life.map { openedAt + $0 }
        reporter = RequestReporter(on: session.eventLoop) { session.send(.requestReport($0)) }
        gate = VisitorGate(
            session: session,
            proxyName: request.proxyName,
            shownName: hosts.first?.leaseName ?? Self.shownName(request.proxyName, session),
            terms: terms,
            visitorLimit: visitorLimit,
            counters: counters,
            ceiling: ceiling,
            log: log
        )
    }

    /// The public ports; none for a tunnel with hosts.
    var ports: [PublicPort] { port == 0 ? [] : terms.kind.portKinds.map { PublicPort($0, port) } }

    var key: Key { Key(session: session.runID, proxyName: proxyName) }

    /// The name without the prefix of an frp user.
    package var shownName: String { Self.shownName(proxyName, session) }

    private static func shownName(_ proxyName: String, _ session: ServerSession) -> String {
        if case .frp(let user, _) = session.identity, !user.isEmpty, proxyName.hasPrefix(user + ".") {
            return String(proxyName.dropFirst(user.count + 1))
        }
        return proxyName
    }

    /// Whether visitors may come: everything about it is settled and it is not closed.
    package var isReady: Bool { live.withLockedValue { $0.isReady && !$0.isClosed } }

    /// The public addresses, best first; empty until it is ready.
    package var addresses: [String] { live.withLockedValue { $0.addresses } }

    /// How many visitors' bytes are moved inside the kernel at the moment.
    package var splicedVisitors: Int { live.withLockedValue { $0.spliced.count } }

    /// Lets visitors in; false when the tunnel was closed meanwhile.
    func open(addresses: [String]) -> Bool {
        let (isOpen, listener) = live.withLockedValue { live -> (Bool, (any Channel)?) in
            guard !live.isClosed else { return (false, nil) }
            live.isReady = true
            live.addresses = addresses
            return (true, live.listener)
        }
        // A listener that was closed meanwhile takes nobody any more.
        listener?.setOption(.autoRead, value: true).whenFailure { _ in }
        return isOpen
    }

    /// Gives the tunnel its own listener, and the reverse proxy behind it, to be closed with it.
    ///
    /// False when the tunnel was closed meanwhile.
    func adopt(listener: any Channel, frontEnd: HTTPFrontEnd?) -> Bool {
        live.withLockedValue { live in
            guard !live.isClosed else { return false }
            live.listener = listener
            live.frontEnd = frontEnd
            return true
        }
    }

    /// Gives the tunnel its port of UDP, to be closed with it; false when the tunnel was closed meanwhile.
    func adopt(datagrams: DatagramEntrance) -> Bool {
        live.withLockedValue { live in
            guard !live.isClosed else { return false }
            live.datagrams = datagrams
            return true
        }
    }

    /// Gives the tunnel the timer of its end, to be cancelled with it.
    func adopt(expiry: Scheduled<Void>) {
        let isClosed = live.withLockedValue { live in
            if !live.isClosed { live.expiry = expiry }
            return live.isClosed
        }
        if isClosed { expiry.cancel() }
    }

    /// Opens a stream to the device for one visitor; fails when it may not come in, or the device does not answer.
    ///
    /// This is where every visitor is judged. The stream is counted and closed with the tunnel.
    package func openStream(visitor: IPEndpoint?, local: IPEndpoint?) -> EventLoopFuture<any Channel> {
        let loop = session.eventLoop
        guard isReady else { return loop.makeFailedFuture(TunnelFault.closed) }
        do throws(TunnelFault) {
            try gate.enter(visitor)
        } catch {
            return loop.makeFailedFuture(error)
        }
        let opened = session.openWorkConnection(proxyName: proxyName, visitor: visitor, local: local)
        return opened.flatMap { channel in
            channel.eventLoop.inEventLoop ? self.take(channel) : channel.eventLoop.flatSubmit { self.take(channel) }
        }.flatMapErrorThrowing { error in
            self.gate.leave()
            self.counters.note(error: LineLogHandler.printable(String(describing: error)))
            throw error
        }
    }

    /// Closes the listener, every stream and the timer; completes when the port is free again.
    @discardableResult
    func close() -> EventLoopFuture<Void> {
        let ended = live.withLockedValue { live in
            live.isClosed = true
            defer {
                live.listener = nil
                live.datagrams = nil
                live.expiry = nil
                live.frontEnd = nil
                live.waiters = []
            }
            return live
        }
        ended.expiry?.cancel()
        ended.frontEnd?.closeAll()
        for waiter in ended.waiters { waiter.succeed() }
        for stream in ended.streams.values { stream.close(promise: nil) }
        for pair in ended.spliced.values { pair.abort() }
        let closings = [ended.listener?.close(), ended.datagrams?.close()].compactMap { $0 }
        let loop = session.eventLoop
        return EventLoopFuture.andAllComplete(closings.map { $0.hop(to: loop) }, on: loop)
    }

    /// Closes the listener alone; the future is kept when the visitors who are there have left.
    func drain(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        let state = live.withLockedValue { live in
            defer { live.listener = nil }
            // Streams of a name are kept for the next request, so only the reverse proxy knows when visitors are gone.
            let isIdle = live.isClosed || live.isIdle || terms.kind == .http
            if !isIdle { live.waiters.append(promise) }
            return (listener: live.listener, frontEnd: live.frontEnd, isIdle: isIdle)
        }
        state.listener?.close(promise: nil)
        if state.isIdle { promise.succeed() }
        guard let frontEnd = state.frontEnd else { return promise.futureResult }
        return frontEnd.drain(on: loop)
    }

    /// Joins a visitor and the stream that was opened for it, inside the kernel when both are plain sockets.
    ///
    /// - Parameter splicing: called when it is inside the kernel.
    func join(
        _ visitor: any Channel,
        _ stream: any Channel,
        _ forwarder: SpliceForwarder,
        splicing: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<Void> {
        // Most streams run inside a session and are no sockets of their own.
        if gate.isShaped || stream is StreamChannel {
            return Relay.join(visitor, stream).map { outcome in
                if case .failed(let reason) = outcome.end { self.counters.note(error: reason) }
            }
        }
        let id = ObjectIdentifier(stream)
        let adopted = NIOLockedValueBox<SplicedPair?>(nil)
        let spliced = SplicePath.join(
            visitor,
            stream,
            through: forwarder,
            passing: 1,
            adopt: { pair in
                adopted.withLockedValue { $0 = pair }
                splicing()
                return self.live.withLockedValue { live in
                    guard !live.isClosed, live.streams.removeValue(forKey: id) != nil else { return false }
                    live.spliced[ObjectIdentifier(pair)] = pair
                    return true
                }
            },
            release: ByteCountHandler.release,
            onBytes: { self.counters.add(bytesIn: $0, bytesOut: $1) }
        )
        return spliced.flatMap { outcome in
            guard let outcome else { return Relay.join(visitor, stream) }
            return outcome.map { outcome in
                if let pair = adopted.withLockedValue({ $0 }) {
                    self.leave { $0.spliced.removeValue(forKey: ObjectIdentifier(pair)) != nil }
                }
                return outcome
            }
        }.map { outcome in
            if case .failed(let reason) = outcome.end { self.counters.note(error: reason) }
        }
    }

    /// Counts a visitor out unless it is not there any more, or has only changed its place.
    private func leave(_ remove: (inout Live) -> Bool) {
        let (wasThere, waiters) = live.withLockedValue { live in
            let wasThere = remove(&live)
            guard live.isIdle else { return (wasThere, [EventLoopPromise<Void>]()) }
            defer { live.waiters = [] }
            return (wasThere, live.waiters)
        }
        if wasThere { gate.leave() }
        for waiter in waiters { waiter.succeed() }
    }

    private func take(_ channel: any Channel) -> EventLoopFuture<any Channel> {
        let id = ObjectIdentifier(channel)
        let isTaken = live.withLockedValue { live in
            guard !live.isClosed else { return false }
            live.streams[id] = channel
            return true
        }
        guard isTaken else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(TunnelFault.closed)
        }
        do {
            let operations = channel.pipeline.syncOperations
            let early = try? operations.handler(type: EarlyDataHandler.self).heldByteCount
            try operations.addHandler(ByteCountHandler(counters, received: early ?? 0), position: .first)
            try gate.shape(stream: channel, isWriting: terms.kind == .http)
        } catch {
            live.withLockedValue { _ = $0.streams.removeValue(forKey: id) }
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
        channel.closeFuture.whenComplete { _ in
            self.leave { $0.streams.removeValue(forKey: id) != nil }
        }
        return channel.eventLoop.makeSucceededFuture(channel)
    }
}
