// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import NIOCore

/// The visitor's end of a service of datagrams: each socket of this machine that sends to the local port is a flow, and each flow
/// a stream of its own; lives on one event loop.
final class VisitFlows {
    /// One flow.
    private final class Flow {
        let index: Int
        let socket: DatagramSocket
        let path: DatagramPath
        var stream: FlowStreamHandler?
        var isOpening = false
        /// Until when nothing is tried after it could not be led to the service.
        var restsUntil = Instant.zero
        var hasCome = false
        var waiting: [ByteBuffer] = []
        var waitingBytes = 0

        init(_ index: Int, _ socket: DatagramSocket, _ path: DatagramPath) {
            self.index = index
            self.socket = socket
            self.path = path
        }
    }

    private static let waitingLimit = 64
    private static let waitingByteLimit = 256 * 1024
    private static let rest = Duration.seconds(1)

    private let order: VisitOrder
    private let peer: VisitPeer
    private let eventLoop: any EventLoop
    private let proof: VisitProof
    private let answerTime: TimeAmount
    private let tell: (VisitNews) -> Void
    private var table: DatagramFlows
    private var flows: [Flow?] = []
    private var ends: [VisitSocket] = []
    private var timer: Scheduled<Void>?
    private var isClosed = false

    init(
        _ order: VisitOrder,
        _ peer: VisitPeer,
        on eventLoop: any EventLoop,
        proof: VisitProof,
        limits: ServiceVisits.Limits,
        tell: @escaping (VisitNews) -> Void
    ) {
        self.order = order
        self.peer = peer
        self.eventLoop = eventLoop
        self.proof = proof
        self.tell = tell
        answerTime = limits.answerTime
        var configuration = DatagramFlows.Configuration()
        configuration.maximumFlows = 1024
        configuration.idleTimeout = order.idleTimeout ?? .seconds(60)
        table = DatagramFlows(configuration: configuration)
    }

    /// How many flows there are.
    var count: Int { table.count }

    /// Takes datagrams at an endpoint; gives it with its port.
    func listen(_ endpoint: IPEndpoint) throws -> IPEndpoint {
        let end = VisitSocket(self)
        let socket = try DatagramSocket.bind(endpoint.address, port: endpoint.port, on: eventLoop, delegate: end).socket
        end.socket = socket
        ends.append(end)
        return IPEndpoint(endpoint.address, socket.port)
    }

    /// Ends every flow and takes no datagrams any more.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        for index in table.indices { end(index) }
        for end in ends { end.socket?.close() }
        ends = []
    }

    // MARK: Datagrams

    /// Leads a datagram of this machine to the service.
    func received(_ payload: UnsafeRawBufferPointer, _ path: DatagramPath, at socket: DatagramSocket) {
        guard !isClosed, let flow = flow(of: path, at: socket) else { return }
        table.count(flow.index, datagramsIn: 1, bytesIn: payload.count, at: now)
        let buffer = ByteBuffer(bytes: payload)
        if let stream = flow.stream {
            if !stream.send(buffer) { table.countDrops(flow.index, 1) }
            return
        }
        guard flow.waiting.count < Self.waitingLimit, flow.waitingBytes + payload.count <= Self.waitingByteLimit,
            now >= flow.restsUntil
        else { return table.countDrops(flow.index, 1) }
        flow.waiting.append(buffer)
        flow.waitingBytes += payload.count
        if !flow.isOpening { open(flow, isFirst: true) }
    }

    private var now: Instant { Instant(eventLoop.now) }

    private func flow(of path: DatagramPath, at socket: DatagramSocket) -> Flow? {
        if let index = table.index(of: path.endpoint) { return flows[index] }
        guard case .opened(let index, let evicted) = table.open(path.endpoint, at: now) else { return nil }
        if let evicted { left(evicted) }
        while flows.count <= index { flows.append(nil) }
        let flow = Flow(index, socket, path)
        flows[index] = flow
        schedule()
        return flow
    }

    private func deliver(_ payload: ByteBuffer, _ flow: Flow) {
        guard flows[flow.index] === flow else { return }
        table.count(flow.index, datagramsOut: 1, bytesOut: payload.readableBytes, at: now)
        let before = flow.socket.sendDrops
        payload.withUnsafeReadableBytes { bytes in
            flow.socket.send(bytes, to: flow.path)
            flow.socket.flush()
        }
        if flow.socket.sendDrops > before { table.countDrops(flow.index, 1) }
    }

    // MARK: Streams

    private func open(_ flow: Flow, isFirst: Bool) {
        flow.isOpening = true
        peer.get { [self] result in
            guard flows[flow.index] === flow else { return }
            switch result {
            case .failure(let error): fail(flow, error)
            case .success(let found):
                guard let request = proof.request(.udp, to: found) else {
                    return fail(flow, ServiceProblem.broken(order.place))
                }
                open(flow, found, request, isFirst: isFirst)
            }
        }
    }

    private func open(_ flow: Flow, _ found: ServicePeer, _ request: ServiceRequest, isFirst: Bool) {
        let stream = FlowStreamHandler(found.connection, isAccepted: false) { [weak self] payload in
            self?.deliver(payload, flow)
        } closed: { [weak self] in
            guard let self, flows[flow.index] === flow, flow.stream != nil else { return }
            flow.stream = nil
            // After an answer of no, the flow stays for a moment, so that not every datagram asks again.
            if now >= flow.restsUntil { end(flow.index) }
        }
        let answer = VisitAnswerHandler(patience: answerTime) { [weak self, weak stream] answer in
            guard let self, flows[flow.index] === flow, let stream else { return false }
            guard proof.accepts(answer, .udp, from: found) else {
                fail(flow, proof.problem(answer, .udp))
                return false
            }
            stream.isAccepted = true
            flow.hasCome = true
            tell(.came(visitor))
            if proof.isMutual { begin(flow, stream) }
            return true
        }
        found.connection.openStream { channel in
            try channel.pipeline.syncOperations.addHandlers([answer, stream])
        }.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .failure(let error):
                guard flows[flow.index] === flow else { return }
                if case QUICStreamError.tooManyStreams = error {
                    return fail(flow, ServiceProblem.tooManyWait(order.place))
                }
                peer.forget(found)
                if isFirst { open(flow, isFirst: false) } else { fail(flow, ServiceProblem.lost(order.place)) }
            case .success(let channel):
                guard flows[flow.index] === flow, !isClosed else { return ChannelReset.close(channel) }
                var bytes: [UInt8] = []
                request.encode(into: &bytes)
                channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
                if !proof.isMutual { begin(flow, stream) }
            }
        }
    }

    /// Sends what waits, and what comes from now on.
    private func begin(_ flow: Flow, _ stream: FlowStreamHandler) {
        flow.isOpening = false
        flow.stream = stream
        for payload in takeWaiting(flow) where !stream.send(payload) { table.countDrops(flow.index, 1) }
    }

    private func takeWaiting(_ flow: Flow) -> [ByteBuffer] {
        defer {
            flow.waiting = []
            flow.waitingBytes = 0
        }
        return flow.waiting
    }

    private func fail(_ flow: Flow, _ error: AditError) {
        flow.isOpening = false
        flow.stream = nil
        flow.restsUntil = now + Self.rest
        table.countDrops(flow.index, takeWaiting(flow).count)
        tell(.failed(order.place, error))
    }

    // MARK: Ends

    private var visitor: ServiceVisitor {
        ServiceVisitor(service: order.place.service, device: order.place.device, kind: .udp)
    }

    private func schedule() {
        guard timer == nil, !isClosed, let deadline = table.nextDeadline else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) { [self] in
            timer = nil
            while let ended = table.expire(at: now) { left(ended) }
            schedule()
        }
    }

    private func end(_ index: Int) {
        if let ended = table.close(index) { left(ended) }
    }

    private func left(_ ended: DatagramFlows.Ended) {
        guard let flow = flows[ended.index] else { return }
        flows[ended.index] = nil
        let stream = flow.stream
        flow.stream = nil
        stream?.end()
        guard flow.hasCome else { return }
        var figures = ServiceFigures()
        figures.duration = now - ended.flow.openedAt
        // What a program here sends goes to the other device.
        figures.bytesIn = UInt64(ended.flow.bytesOut)
        figures.bytesOut = UInt64(ended.flow.bytesIn)
        figures.datagramsIn = UInt64(ended.flow.datagramsOut)
        figures.datagramsOut = UInt64(ended.flow.datagramsIn)
        figures.drops = UInt64(ended.flow.drops)
        tell(.left(visitor, figures))
    }
}

/// A local socket of a visit.
private final class VisitSocket: DatagramSocketDelegate {
    private weak var flows: VisitFlows?
    var socket: DatagramSocket?

    init(_ flows: VisitFlows) {
        self.flows = flows
    }

    func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
        if let socket { flows?.received(payload, path, at: socket) }
    }

    func endedRound() {}

    func peerRefused() {}

    func closed() {
        socket = nil
    }
}
