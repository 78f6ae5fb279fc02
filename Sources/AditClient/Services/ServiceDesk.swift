// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
package import AditTraversal
import AditTunnel
import AditWire
package import NIOCore

/// Takes the streams that other devices open to the services of this one; lives on one event loop.
///
/// Each stream is judged by itself, when its request has come: by the service, by the device's name and key, and where the service
/// has a secret by the proof of it. Whoever is not allowed is told the same as for a service that is not there. When the list of
/// a service changes, streams of those who lost the right end.
package final class ServiceDesk {
    /// The bounds; a device is one key, with all its runs and connections.
    package struct Limits: Sendable {
        /// How long the request of a stream may take.
        package var requestTime = TimeAmount.seconds(5)
        /// How many streams of one device may wait for their request.
        package var waitingOfDevice = 64
        /// How many streams one device may have.
        package var streamsOfDevice = 1024
        /// How many streams there may be.
        package var streams = 8192

        /// Makes the usual bounds.
        package init() {}
    }

    private struct Device {
        var waiting = 0
        var streams = 0
    }

    private let limits: Limits
    private let dialer: TargetDialer
    private let eventLoop: any EventLoop
    private let isTrusted: (PathPeerID) -> Bool
    private let tell: (ServiceNews) -> Void
    private var services: [String: ServiceOrder] = [:]
    private var streams: [ObjectIdentifier: ServiceStream] = [:]
    private var devices: [String: Device] = [:]
    private var failing: Set<String> = []
    private var refusals: TokenBucket
    private var isClosed = false

    /// Makes a desk without services.
    ///
    /// - Parameters:
    ///   - isTrusted: whether the key is still the one that belongs to the name.
    ///   - tell: hears what happens, on the event loop.
    package init(
        limits: Limits = Limits(),
        dialer: TargetDialer = TargetDialer(),
        on eventLoop: any EventLoop,
        isTrusted: @escaping (PathPeerID) -> Bool = { _ in true },
        tell: @escaping (ServiceNews) -> Void
    ) {
        self.limits = limits
        self.dialer = dialer
        self.eventLoop = eventLoop
        self.isTrusted = isTrusted
        self.tell = tell
        refusals = TokenBucket(count: 5, per: .seconds(1), burst: 20, at: Instant(eventLoop.now))
    }

    /// The names of the services, in order.
    package var names: [String] { services.keys.sorted() }

    /// How many streams there are, those whose request has not come included.
    package var streamCount: Int { streams.count }

    /// Whether a device may have something to lose: it has a stream to a service.
    package var isInUse: Bool { streams.values.contains { $0.visitor != nil } }

    /// Offers these services and no others; of two with one name the last. Streams that are not allowed any more end.
    package func replace(with orders: [ServiceOrder]) {
        guard !isClosed else { return }
        let former = services
        services = Dictionary(orders.map { ($0.name, $0) }) { $1 }
        for stream in Array(streams.values) {
            guard let visitor = stream.visitor, let old = former[visitor.service] else { continue }
            let new = services[visitor.service]
            // Who came by another secret, or to another target, is not where the person wants visitors now.
            if new?.secret != old.secret || new?.target != old.target { cut(stream) }
        }
        failing.formIntersection(services.keys)
        reconsider()
    }

    /// Looks once more at every stream, and ends those that would not be allowed now.
    package func reconsider() {
        for stream in Array(streams.values) {
            guard let visitor = stream.visitor else { continue }
            guard let order = services[visitor.service], order.kind.carries(visitor.kind), allows(order, stream.peer.id)
            else {
                cut(stream)
                continue
            }
        }
    }

    /// Takes a stream that a device opened, before it is active.
    ///
    /// - Throws: when the channel takes no handlers; it has to be closed then.
    package func take(_ channel: any Channel, from peer: ServicePeer) throws {
        eventLoop.preconditionInEventLoop()
        let device = devices[peer.id.key, default: Device()]
        guard !isClosed, device.waiting < limits.waitingOfDevice, streams.count < limits.streams else {
            throw ChannelError.operationUnsupported
        }
        let stream = ServiceStream(channel, peer, at: eventLoop.now)
        let request = ServiceRequestHandler(patience: limits.requestTime) { [weak self] opening in
            self?.opened(stream, opening)
        }
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(EarlyDataHandler(maximumBytes: 1 << 20))
        try operations.addHandler(request, position: .first)
        streams[stream.id] = stream
        devices[peer.id.key, default: Device()].waiting += 1
        devices[peer.id.key]?.streams += 1
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.forget(stream) }
    }

    /// Ends every stream and takes none any more.
    package func close() {
        isClosed = true
        services = [:]
        for stream in Array(streams.values) { cut(stream) }
    }

    // MARK: Streams

    private func forget(_ stream: ServiceStream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        let key = stream.peer.id.key
        guard var device = devices[key] else { return }
        device.streams -= 1
        devices[key] = device.streams > 0 ? device : nil
    }

    private func cut(_ stream: ServiceStream) {
        stream.flow?.end()
        ChannelReset.close(stream.channel)
    }

    private func allows(_ order: ServiceOrder, _ id: PathPeerID) -> Bool {
        order.names(id.name) && isTrusted(id)
    }

    private func opened(_ stream: ServiceStream, _ opening: ServiceRequestHandler.Opening) {
        devices[stream.peer.id.key]?.waiting -= 1
        switch opening {
        case .broken: ChannelReset.close(stream.channel)
        case .otherVersion: answer(.unsupportedVersion, stream)
        case .request(let request):
            guard !isClosed, (devices[stream.peer.id.key]?.streams ?? 0) <= limits.streamsOfDevice else {
                return answer(.busy, stream)
            }
            decide(stream, request)
        }
    }

    private func decide(_ stream: ServiceStream, _ request: ServiceRequest) {
        let visitor = ServiceVisitor(service: request.name, device: stream.peer.id.name, kind: request.kind)
        guard let order = services[request.name], allows(order, stream.peer.id),
            let yes = yes(to: request, order, stream.peer)
        else {
            if refusals.take(1, at: Instant(eventLoop.now)) { tell(.refused(visitor)) }
            return answer(.refused, stream)
        }
        guard order.kind.carries(request.kind) else { return answer(.wrongKind, stream) }
        stream.visitor = visitor
        stream.yes = yes
        switch request.kind {
        case .tcp: serve(stream, visitor, order)
        case .udp: serveDatagrams(stream, visitor, order)
        }
    }

    /// What a visitor is told that may come, with this end's own proof; nil when it does not know the secret.
    private func yes(to request: ServiceRequest, _ order: ServiceOrder, _ peer: ServicePeer) -> ServiceAnswer? {
        if order.secret.isEmpty { return .accepted }
        guard let material = peer.connection.exportKeyingMaterial(label: ServiceProof.exporterLabel),
            let key = KeyFingerprint(peer.id.key),
            case let proof = ServiceProof(keyingMaterial: material, visitor: key),
            case let kind = request.kind.rawValue,
            proof.accepts(request.proof, secret: order.secret, kind: kind, name: order.name)
        else { return nil }
        return .proven(proof.answer(secret: order.secret, kind: kind, name: order.name))
    }

    /// Answers, and ends the stream where the answer is no.
    private func answer(_ answer: ServiceAnswer, _ stream: ServiceStream) {
        var bytes: [UInt8] = []
        answer.encode(into: &bytes)
        let channel = stream.channel
        let written = channel.writeAndFlush(ByteBuffer(bytes: bytes))
        guard !answer.isYes else { return }
        // What the visitor has sent meanwhile is read and dropped, so that the answer is not overtaken by a reset.
        written.assumeIsolated().whenComplete { _ in
            channel.close(mode: .output, promise: nil)
            try? channel.pipeline.syncOperations.addHandler(DrainHandler())
            try? channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self).handOver()
        }
    }

    // MARK: Connections

    private func serve(_ stream: ServiceStream, _ visitor: ServiceVisitor, _ order: ServiceOrder) {
        dialer.connect(order.target, allowed: order.targetAllow, on: eventLoop).assumeIsolated()
            .whenComplete { [self] result in
                switch result {
                case .failure(let error):
                    let failure = TargetDialer.failure(error)
                    note(failure, of: order)
                    answer(Self.answer(to: failure), stream)
                case .success(let target):
                    guard stream.channel.isActive, !isClosed else { return target.close(promise: nil) }
                    note(nil, of: order)
                    answer(stream.yes, stream)
                    removeRequestHandler(stream)
                    tell(.came(visitor))
                    join(stream, visitor, target)
                }
            }
    }

    private func join(_ stream: ServiceStream, _ visitor: ServiceVisitor, _ target: any Channel) {
        Relay.join(stream.channel, target).assumeIsolated().whenSuccess { [self] outcome in
            var figures = ServiceFigures()
            figures.bytesIn = UInt64(clamping: outcome.bytesFromFirst)
            figures.bytesOut = UInt64(clamping: outcome.bytesFromSecond)
            left(stream, visitor, figures)
        }
    }

    private func left(_ stream: ServiceStream, _ visitor: ServiceVisitor, _ figures: ServiceFigures) {
        var figures = figures
        figures.duration = .nanoseconds((eventLoop.now - stream.openedAt).nanoseconds)
        tell(.left(visitor, figures))
    }

    private func removeRequestHandler(_ stream: ServiceStream) {
        let operations = stream.channel.pipeline.syncOperations
        guard let context = try? operations.context(handlerType: ServiceRequestHandler.self) else { return }
        operations.removeHandler(context: context, promise: nil)
    }

    /// Tells once that a target is gone, and once that it is back.
    private func note(_ failure: TargetFailure?, of order: ServiceOrder) {
        guard services[order.name] == order else { return }
        if let failure {
            if failing.insert(order.name).inserted { tell(.targetFailed(service: order.name, failure)) }
        } else if failing.remove(order.name) != nil {
            tell(.targetAnswers(service: order.name))
        }
    }

    private static func answer(to failure: TargetFailure) -> ServiceAnswer {
        switch failure {
        case .refused: .targetRefuses
        case .timedOut: .targetSilent
        case .forbidden, .unresolved, .tls, .other: .targetUnreachable
        }
    }

    // MARK: Flows of datagrams

    private func serveDatagrams(_ stream: ServiceStream, _ visitor: ServiceVisitor, _ order: ServiceOrder) {
        dialer.permittedAddresses(of: order.target, allowed: order.targetAllow, on: eventLoop).assumeIsolated()
            .whenComplete { [self] result in
                guard stream.channel.isActive, !isClosed else { return }
                switch result {
                case .failure(let error):
                    let failure = TargetDialer.failure(error)
                    note(failure, of: order)
                    answer(Self.answer(to: failure), stream)
                case .success(let found):
                    let flow = ServiceFlow(
                        to: found.compactMap { IPEndpoint($0) },
                        idleTimeout: order.idleTimeout ?? .seconds(60),
                        on: eventLoop
                    ) { [weak self] event in
                        self?.heard(event, stream, visitor, order)
                    }
                    guard flow.open() else { return answer(.targetUnreachable, stream) }
                    begin(flow, stream, visitor)
                }
            }
    }

    private func begin(_ flow: ServiceFlow, _ stream: ServiceStream, _ visitor: ServiceVisitor) {
        stream.flow = flow
        answer(stream.yes, stream)
        let operations = stream.channel.pipeline.syncOperations
        do {
            try operations.addHandler(flow.makeStream(stream.peer.connection))
        } catch {
            return flow.end()
        }
        tell(.came(visitor))
        let early = (try? operations.handler(type: ServiceRequestHandler.self))?.takeDatagrams() ?? []
        removeRequestHandler(stream)
        // The stream was there before what came beside it.
        try? operations.handler(type: EarlyDataHandler.self).handOver()
        for payload in early { flow.forward(payload) }
    }

    private func heard(
        _ event: ServiceFlow.Event,
        _ stream: ServiceStream,
        _ visitor: ServiceVisitor,
        _ order: ServiceOrder
    ) {
        switch event {
        case .refused: note(.refused, of: order)
        case .answered: note(nil, of: order)
        case .ended:
            guard let flow = stream.flow else { return }
            stream.flow = nil
            left(stream, visitor, flow.figures)
        }
    }
}

/// Reads to the end and throws away, then closes: the last handler of a stream that was answered with no.
private final class DrainHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var timer: Scheduled<Void>?
    private var left = 1 << 20

    func handlerAdded(context: ChannelHandlerContext) {
        // Who does not take the answer in this time has lost it.
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(5)) {
            ChannelReset.close(context.channel)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        left -= unwrapInboundIn(data).readableBytes
        if left < 0 { ChannelReset.close(context.channel) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ChannelReset.close(context.channel)
    }
}
