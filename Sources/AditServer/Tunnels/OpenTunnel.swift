// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTunnel
package import AditWire
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
        var streams: [ObjectIdentifier: any Channel] = [:]
        var expiry: Scheduled<Void>?
        var frontEnd: HTTPFrontEnd?
        var waiters: [EventLoopPromise<Void>] = []
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

    private let visitorLimit: Int
    private let live = NIOLockedValueBox(Live())

    init(
        id: TunnelID,
        session: ServerSession,
        request: FRPNewProxy,
        terms: TunnelTerms,
        hosts: [HostChoice.Host],
        port: UInt16,
        openedAt: UnixTime,
        visitorLimit: Int
    ) {
        self.id = id
        self.session = session
        self.request = request
        self.terms = terms
        self.hosts = hosts
        self.port = port
        self.openedAt = openedAt
        self.visitorLimit = visitorLimit
        proxyName = request.proxyName
        expiresAt = terms.life.map { openedAt + $0 }
    }

    var key: Key { Key(session: session.runID, proxyName: proxyName) }

    /// The name without the prefix of an frp user.
    package var shownName: String {
        if case .frp(let user, _) = session.identity, !user.isEmpty, proxyName.hasPrefix(user + ".") {
            return String(proxyName.dropFirst(user.count + 1))
        }
        return proxyName
    }

    /// Whether visitors may come: everything about it is settled and it is not closed.
    package var isReady: Bool { live.withLockedValue { $0.isReady && !$0.isClosed } }

    /// The public addresses, best first; empty until it is ready.
    package var addresses: [String] { live.withLockedValue { $0.addresses } }

    /// Lets visitors in; false when the tunnel was closed meanwhile.
    func open(addresses: [String]) -> Bool {
        live.withLockedValue { live in
            guard !live.isClosed else { return false }
            live.isReady = true
            live.addresses = addresses
            return true
        }
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

    /// Gives the tunnel the timer of its end, to be cancelled with it.
    func adopt(expiry: Scheduled<Void>) {
        let isClosed = live.withLockedValue { live in
            if !live.isClosed { live.expiry = expiry }
            return live.isClosed
        }
        if isClosed { expiry.cancel() }
    }

    /// Opens a stream to the device for one visitor; fails when there are too many, or the device does not answer.
    ///
    /// The stream is counted and closed with the tunnel.
    package func openStream(visitor: IPEndpoint?, local: IPEndpoint?) -> EventLoopFuture<any Channel> {
        let loop = session.eventLoop
        guard isReady else { return loop.makeFailedFuture(TunnelFault.closed) }
        guard counters.enter(limit: visitorLimit) else { return loop.makeFailedFuture(TunnelFault.full(visitorLimit)) }
        let opened = session.openWorkConnection(proxyName: proxyName, visitor: visitor, local: local)
        return opened.flatMap { channel in
            channel.eventLoop.flatSubmit { self.take(channel) }
        }.flatMapErrorThrowing { error in
            self.counters.leave()
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
                live.streams = [:]
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
        guard let listener = ended.listener else { return session.eventLoop.makeSucceededVoidFuture() }
        return listener.close().flatMapErrorThrowing { _ in }
    }

    /// Closes the listener alone; the future is kept when the visitors who are there have left.
    func drain(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        let state = live.withLockedValue { live in
            defer { live.listener = nil }
            // Streams of a name are kept for the next request, so only the reverse proxy knows when visitors are gone.
            let isIdle = live.isClosed || live.streams.isEmpty || terms.kind == .http
            if !isIdle { live.waiters.append(promise) }
            return (listener: live.listener, frontEnd: live.frontEnd, isIdle: isIdle)
        }
        state.listener?.close(promise: nil)
        if state.isIdle { promise.succeed() }
        guard let frontEnd = state.frontEnd else { return promise.futureResult }
        return frontEnd.drain(on: loop)
    }

    private func leave(_ id: ObjectIdentifier) {
        counters.leave()
        let waiters = live.withLockedValue { live in
            live.streams[id] = nil
            guard live.streams.isEmpty else { return [EventLoopPromise<Void>]() }
            defer { live.waiters = [] }
            return live.waiters
        }
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
            try channel.pipeline.syncOperations.addHandler(ByteCountHandler(counters), position: .first)
        } catch {
            live.withLockedValue { _ = $0.streams.removeValue(forKey: id) }
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
        channel.closeFuture.whenComplete { _ in
            self.leave(id)
        }
        return channel.eventLoop.makeSucceededFuture(channel)
    }
}

/// Why a visitor got no stream.
package enum TunnelFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// The tunnel was closed.
    case closed
    /// As many visitors as there may be are there.
    case full(Int)

    package var description: String {
        switch self {
        case .closed: "the tunnel is closed"
        case .full(let limit): "\(limit) visitors are there already"
        }
    }
}
