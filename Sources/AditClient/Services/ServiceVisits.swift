// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
import AditTransport
import AditWire
package import NIOCore
import NIOPosix

/// The visitor's end of a service of another device: a local port, each connection of which becomes a stream; lives on one event
/// loop.
package final class ServiceVisits {
    /// The bounds.
    package struct Limits: Sendable {
        /// How long somebody waits for a connection to the device.
        package var patience = TimeAmount.seconds(20)
        /// How many may wait for it.
        package var waiting = 256
        /// How long the service may take to answer.
        package var answerTime = TimeAmount.seconds(45)
        /// How many connections there may be.
        package var connections = 4096

        /// Makes the usual bounds.
        package init() {}
    }

    private let order: VisitOrder
    private let limits: Limits
    private let proof: VisitProof
    private let peers: any ServicePeers
    private let eventLoop: any EventLoop
    private let tell: (VisitNews) -> Void
    private let peer: VisitPeer
    private var listeners: [any Channel] = []
    private var flows: VisitFlows?
    private var connections: [ObjectIdentifier: any Channel] = [:]
    private var isClosed = false
    /// Takes the connections for which there was no direct path in time.
    package weak var fallback: ServiceVisits?

    /// Makes visits that do not listen yet.
    ///
    /// - Parameters:
    ///   - ownKey: the fingerprint of this device's key, for the proof of a secret.
    ///   - tell: hears what happens, on the event loop.
    package init(
        _ order: VisitOrder,
        peers: any ServicePeers,
        ownKey: KeyFingerprint?,
        limits: Limits = Limits(),
        on eventLoop: any EventLoop,
        tell: @escaping (VisitNews) -> Void
    ) {
        self.order = order
        self.limits = limits
        self.peers = peers
        proof = VisitProof(order: order, ownKey: ownKey)
        self.eventLoop = eventLoop
        self.tell = tell
        peer = VisitPeer(
            order.place,
            peers,
            on: eventLoop,
            patience: order.directTime.map { min(limits.patience, .nanoseconds($0.wholeNanoseconds)) }
                ?? limits.patience,
            capacity: limits.waiting
        )
    }

    /// How many connections and flows there are.
    package var visitCount: Int { connections.count + (flows?.count ?? 0) }

    /// Listens; gives the first endpoint. Fails with an `AditError` with `ErrorCode.cannotListen`.
    package func listen() -> EventLoopFuture<IPEndpoint> {
        let addresses = order.address.map { [$0] } ?? [.v4(0x7F00_0001), .v6(high: 0, low: 1)]
        let first: EventLoopFuture<IPEndpoint> = bind(addresses[0], order.port)
        return first.assumeIsolated().flatMap { [self] endpoint in
            guard addresses.count > 1 else { return eventLoop.makeSucceededFuture(endpoint) }
            // A machine without IPv6, or with another program there, has one address fewer.
            let done = eventLoop.makePromise(of: IPEndpoint.self)
            bind(addresses[1], endpoint.port).whenComplete { _ in done.succeed(endpoint) }
            return done.futureResult
        }.nonisolated()
    }

    /// Leads a connection of this machine to the service: a channel of bytes that holds an `EarlyDataHandler`.
    ///
    /// The future succeeds when it is over, with why it could not be led there where that is so.
    package func visit(_ local: any Channel) -> EventLoopFuture<AditError?> {
        let done = eventLoop.makePromise(of: AditError?.self)
        guard !isClosed, connections.count < limits.connections else {
            ChannelReset.close(local)
            done.succeed(ServiceProblem.tooManyWait(order.place))
            return done.futureResult
        }
        let id = ObjectIdentifier(local)
        connections[id] = local
        local.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.connections[id] = nil }
        lead(local, done, isFirst: true)
        return done.futureResult
    }

    /// Looks for the other end before anybody comes.
    package func prepare() {
        peer.get { _ in }
    }

    /// Looks for the other end anew when the next one comes; those who are there stay.
    package func forget(_ name: String) {
        peer.forget(named: name)
    }

    /// Listens no longer and ends every visit.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        for listener in listeners { listener.close(promise: nil) }
        flows?.close()
        peer.close()
        for channel in Array(connections.values) { ChannelReset.close(channel) }
    }

    // MARK: Listening

    private func bind(_ address: IPAddress, _ port: UInt16) -> EventLoopFuture<IPEndpoint> {
        var future = eventLoop.makeSucceededFuture(IPEndpoint(address, port))
        if order.kind.hasConnections {
            future = future.assumeIsolated().flatMap { [self] in bindConnections($0) }.nonisolated()
        }
        if order.kind.hasDatagrams {
            future = future.assumeIsolated().flatMap { [self] in bindDatagrams($0) }.nonisolated()
        }
        return future
    }

    private func bindConnections(_ endpoint: IPEndpoint) -> EventLoopFuture<IPEndpoint> {
        let visits = NIOLoopBound(self, eventLoop: eventLoop)
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    RelaySocket.prepare(channel)
                    let arrival = ArrivalHandler { visits.value.came(channel) }
                    try channel.pipeline.syncOperations.addHandlers([EarlyDataHandler(), arrival])
                }
            }
            .bind(host: endpoint.address.description, port: Int(endpoint.port))
            .flatMapThrowing { channel in
                let visits = visits.value
                guard !visits.isClosed else {
                    channel.close(promise: nil)
                    throw ChannelError.alreadyClosed
                }
                visits.listeners.append(channel)
                return IPEndpoint(endpoint.address, UInt16(clamping: channel.localAddress?.port ?? 0))
            }
            .flatMapErrorThrowing { throw ServiceProblem.cannotListen(endpoint, $0) }
    }

    private func bindDatagrams(_ endpoint: IPEndpoint) -> EventLoopFuture<IPEndpoint> {
        let flows = flows ?? VisitFlows(order, peer, on: eventLoop, proof: proof, limits: limits, tell: tell)
        self.flows = flows
        do {
            return eventLoop.makeSucceededFuture(try flows.listen(endpoint))
        } catch {
            return eventLoop.makeFailedFuture(ServiceProblem.cannotListen(endpoint, error))
        }
    }

    private func came(_ channel: any Channel) {
        visit(channel).assumeIsolated().whenSuccess { [order, tell] error in
            if let error { tell(.failed(order.place, error)) }
        }
    }

    // MARK: Streams

    private func lead(_ local: any Channel, _ done: EventLoopPromise<AditError?>, isFirst: Bool) {
        let deadline = order.directTime.map { eventLoop.now + .nanoseconds($0.wholeNanoseconds) }
        peer.get { [self] result in
            guard local.isActive, !isClosed else { return done.succeed(nil) }
            switch result {
            case .failure(let error): yield(local, error, done)
            case .success(let found):
                guard let deadline else { return begin(local, found, done, isFirst: isFirst) }
                peers.whenDirect(found.id, within: max(.zero, deadline - eventLoop.now)) { [self] isDirect in
                    guard local.isActive, !isClosed else { return done.succeed(nil) }
                    guard isDirect else { return yield(local, ServiceProblem.noDirectPath(order.place), done) }
                    begin(local, found, done, isFirst: isFirst)
                }
            }
        }
    }

    /// Gives a connection for which there is no path to those who take it then.
    private func yield(_ local: any Channel, _ error: AditError, _ done: EventLoopPromise<AditError?>) {
        guard order.directTime != nil, let fallback else { return fail(local, error, done) }
        connections[ObjectIdentifier(local)] = nil
        tell(.fellBack(order.place))
        fallback.visit(local).cascade(to: done)
    }

    private func begin(
        _ local: any Channel,
        _ found: ServicePeer,
        _ done: EventLoopPromise<AditError?>,
        isFirst: Bool
    ) {
        guard let request = proof.request(.tcp, to: found) else {
            return fail(local, ServiceProblem.broken(order.place), done)
        }
        open(local, found, request, done, isFirst: isFirst)
    }

    private func open(
        _ local: any Channel,
        _ found: ServicePeer,
        _ request: ServiceRequest,
        _ done: EventLoopPromise<AditError?>,
        isFirst: Bool
    ) {
        var problem: AditError?
        var hasCome = false
        var goOn: (() -> Void)?
        let answer = VisitAnswerHandler(patience: limits.answerTime, readsItself: proof.isMutual) { [self] answer in
            let isYes = proof.accepts(answer, .tcp, from: found)
            if isYes {
                hasCome = true
                tell(.came(visitor(.tcp)))
            } else if local.isActive {
                problem = proof.problem(answer, .tcp)
            }
            // The handler has to be gone from the stream before it is joined.
            if let go = goOn { eventLoop.assumeIsolated().execute(go) }
            return isYes
        }
        found.connection.openStream { channel in
            try channel.pipeline.syncOperations.addHandlers([answer, EarlyDataHandler()])
        }.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .failure(QUICStreamError.tooManyStreams): fail(local, ServiceProblem.tooManyWait(order.place), done)
            case .failure:
                // The connection was over and nobody knew; a new one is worth one try.
                peer.forget(found)
                guard isFirst else { return fail(local, ServiceProblem.lost(order.place), done) }
                lead(local, done, isFirst: false)
            case .success(let stream):
                guard local.isActive, !isClosed else {
                    ChannelReset.close(stream)
                    return done.succeed(nil)
                }
                var bytes: [UInt8] = []
                request.encode(into: &bytes)
                stream.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
                let start = eventLoop.now
                let join = { [self] in
                    Relay.join(local, stream).assumeIsolated().whenSuccess { [self] outcome in
                        guard problem == nil, hasCome else { return done.succeed(problem) }
                        var figures = ServiceFigures()
                        figures.duration = .nanoseconds((eventLoop.now - start).nanoseconds)
                        figures.bytesIn = UInt64(clamping: outcome.bytesFromSecond)
                        figures.bytesOut = UInt64(clamping: outcome.bytesFromFirst)
                        tell(.left(visitor(.tcp), figures))
                        done.succeed(nil)
                    }
                }
                guard proof.isMutual else { return join() }
                local.closeFuture.assumeIsolated().whenComplete { _ in
                    // Who has gone does not wait for the proof.
                    if goOn != nil { ChannelReset.close(stream) }
                }
                goOn = { [self] in
                    goOn = nil
                    guard hasCome else { return problem.map { fail(local, $0, done) } ?? done.succeed(nil) }
                    guard local.isActive, !isClosed else {
                        ChannelReset.close(stream)
                        return done.succeed(nil)
                    }
                    join()
                }
            }
        }
    }

    private func visitor(_ kind: ServiceKind) -> ServiceVisitor {
        ServiceVisitor(service: order.place.service, device: order.place.device, kind: kind)
    }

    private func fail(_ local: any Channel, _ error: AditError, _ done: EventLoopPromise<AditError?>) {
        ChannelReset.close(local)
        done.succeed(error)
    }
}

/// Tells that an accepted connection is active, and takes itself away.
private final class ArrivalHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let arrived: () -> Void

    init(_ arrived: @escaping () -> Void) {
        self.arrived = arrived
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        arrived()
    }
}
