// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Logging
import NIOCore

/// Drives the server's control machine on a control stream.
final class ServerControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How many frames may be queued while the device does not read.
    private static let maximumUnreadFrames = 1024

    private let connection: AcceptedConnection
    private let shared: SessionAcceptor.Shared
    private let version: FRPWireVersion
    private let stream: ControlStream
    private var machine: ServerControl
    private var context: ChannelHandlerContext?
    private var session: ServerSession?
    private var isOpen = false
    private var hasEnded = false
    private var isStepping = false
    private var inputs: [ServerControl.Input] = []
    private var timer: Scheduled<Void>?
    private var timerDeadline: Instant?
    private var unreadFrames = 0
    private var nextID: UInt64 = 1
    private var visitors: [VisitorID: EventLoopPromise<any Channel>] = [:]
    private var idle: [WorkConnectionID: IdleWorkConnection] = [:]

    init(connection: AcceptedConnection, shared: SessionAcceptor.Shared, version: FRPWireVersion, at now: Instant) {
        self.connection = connection
        self.shared = shared
        self.version = version
        stream = ControlStream(version: version, role: .server, random: shared.random)
        var configuration = shared.configuration.control
        // With a multiplexer its pings watch the connection (frp: heartbeatTimeout -1 with tcpMux).
        if connection.multiplexer != nil { configuration.heartbeatTimeout = nil }
        machine = ServerControl(
            configuration: configuration,
            connection: ServerControl.Connection(
                wireVersion: version,
                isTLS: connection.isTLS,
                isTLS13: connection.isTLS13,
                canOpenStreams: connection.multiplexer != nil,
                fingerprint: connection.fingerprint,
                remoteAddress: connection.remoteAddress,
                serverRandom: shared.random(32)
            ),
            at: now
        )
    }

    private var now: Instant { Instant(connection.channel.eventLoop.now) }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        schedule()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasEnded else { return }
        stream.receive(unwrapInboundIn(data))
        drain()
    }

    /// Takes the frame that was read before this handler was there.
    func begin(_ frame: FRPFrame) {
        step(.frame(frame))
    }

    func channelInactive(context: ChannelHandlerContext) {
        step(.end(connection.lostReason ?? .peerClosed))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { step(.end(.peerClosed)) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        step(.end(.connectionLost("\(error)")))
    }

    private func drain() {
        do {
            while !hasEnded, let frame = try stream.nextFrame() { step(.frame(frame)) }
        } catch {
            step(.end(.protocolBroken("\(error)")))
        }
    }

    // MARK: The machine

    /// Hands one input to the machine and does what it asks for; called on the event loop.
    func step(_ input: ServerControl.Input) {
        inputs.append(input)
        // What an output causes at once is handled after all outputs before it.
        guard !isStepping else { return }
        isStepping = true
        var index = 0
        while index < inputs.count {
            machine.handle(inputs[index], at: now)
            while let output = machine.nextOutput() { perform(output) }
            index += 1
        }
        inputs = []
        isStepping = false
        schedule()
    }

    private func perform(_ output: ServerControl.Output) {
        switch output {
        case .send(let frame): send(frame)
        case .authorize(let request): authorize(request)
        case .secure(let security): stream.secure(security)
        case .opened: opened()
        case .openTunnel(let proxy): openTunnel(proxy)
        case .closeTunnel(let name):
            if let session { shared.policy.closeTunnel(named: name, for: session) }
        case .peerSignal(let signal): if let session { shared.policy.peerSignal(signal, from: session) }
        case .services(let services): if let session { shared.policy.services(services, from: session) }
        case .serviceQuery(let query): if let session { shared.policy.serviceQuery(query, from: session) }
        case .start(let visitor, let id, let start, let transform): self.start(visitor, id, start, transform)
        case .refuseWorkConnection(let id, let text): idle.removeValue(forKey: id)?.refuse(text)
        case .visitorFailed(let visitor, let error): visitors.removeValue(forKey: visitor)?.fail(error)
        case .ended(let reason): end(reason)
        }
    }

    private static func isReport(_ frame: FRPFrame) -> Bool {
        switch frame {
        case .message(.requestReport), .message(.visitorsRefused), .message(.peerSignal), .message(.peerUnavailable):
            true
        default: false
        }
    }

    private func send(_ frame: FRPFrame) {
        guard let context else { return }
        if context.channel.isWritable {
            unreadFrames = 0
        } else if Self.isReport(frame) {
            // A device that reads slowly misses reports and signals, which are sent again, not connections.
            return
        } else {
            unreadFrames += 1
            guard unreadFrames <= Self.maximumUnreadFrames else {
                step(.end(.connectionLost("the device does not read its control stream")))
                return
            }
        }
        do {
            let bytes = try stream.encode(frame)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        } catch {
            shared.logger.warning("a message could not be sent", metadata: ["error": "\(error)"])
        }
    }

    private func schedule() {
        let deadline = machine.nextDeadline
        guard deadline != timerDeadline, let context else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = deadline.map { deadline in
            context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) { [self] in
                timerDeadline = nil
                step(.timer)
            }
        }
    }

    // MARK: Login

    private func authorize(_ request: LoginRequest) {
        guard let context else { return }
        // A device that proves its key and names no secret guesses nothing; its neighbours' guesses must not lock it out.
        guard !request.mayBeGuess || !shared.gate.isBlocked(connection.remoteAddress?.address, at: now) else {
            let error = AditError(
                .limitReached,
                Text("Too many failed logins from this address", zh: "来自此地址的失败登录过多"),
                fix: Text("wait a minute and try again", zh: "请一分钟后再试")
            )
            step(.refuse(error, frpText: error.what.english))
            return
        }
        shared.policy.authorize(request, on: context.eventLoop)
            .hop(to: context.eventLoop)
            .assumeIsolated()
            .whenComplete { [self] result in
                switch result {
                case .success(.accept(let acceptance)): admit(acceptance, request)
                case .success(.refuse(let error, let frpText)): step(.refuse(error, frpText: frpText))
                case .failure(let error):
                    shared.logger.error("the login could not be decided", metadata: ["error": "\(error)"])
                    let refusal = AditError(.state, Text("The server could not decide", zh: "服务器无法作出决定"))
                    step(.refuse(refusal, frpText: refusal.what.english))
                }
            }
    }

    private func admit(_ acceptance: LoginAcceptance, _ request: LoginRequest) {
        guard !hasEnded, let context else { return }
        var runID = request.login.runID
        while runID.isEmpty || (request.login.runID.isEmpty && shared.directory.find(runID) != nil) {
            runID = Hexadecimal.encode(shared.random(8))
        }
        let session = ServerSession(
            runID: runID,
            identity: acceptance.identity,
            request: request,
            isAdit: machine.isAdit,
            features: machine.features,
            openedAt: now,
            eventLoop: context.eventLoop,
            handler: self
        )
        claim(session, acceptance)
    }

    private func claim(_ session: ServerSession, _ acceptance: LoginAcceptance) {
        guard !hasEnded, let context else {
            // Nobody may wait for a session that never opened.
            session.finish(.peerClosed)
            return
        }
        switch shared.directory.claim(session) {
        case .granted:
            self.session = session
            step(.accept(acceptance, runID: session.runID))
        case .occupied(let holder):
            holder.close(.takenOver)
            holder.closed.hop(to: context.eventLoop).assumeIsolated().whenComplete { [self] _ in
                claim(session, acceptance)
            }
        case .foreign:
            refuse(session, AditError(.notAllowed, Text("The run id belongs to another device", zh: "该会话属于另一台设备")))
        case .duplicateClient:
            refuse(
                session,
                AditError(.notAllowed, Text("A client with this id is online already", zh: "具有此 ID 的客户端已在线"))
            )
        case .full:
            refuse(
                session,
                AditError(.limitReached, Text("The server takes no more sessions", zh: "服务器不再接受更多会话"))
            )
        }
    }

    private func refuse(_ session: ServerSession, _ error: AditError) {
        session.finish(.refused(error))
        step(.refuse(error, frpText: error.what.english))
    }

    private func opened() {
        guard let session else { return }
        isOpen = true
        connection.authenticated()
        connection.session = session
        shared.policy.sessionOpened(session)
    }

    // MARK: Tunnels

    private func openTunnel(_ proxy: FRPNewProxy) {
        guard let session, let context else { return }
        shared.policy.openTunnel(proxy, for: session)
            .hop(to: context.eventLoop)
            .assumeIsolated()
            .whenComplete { [self] result in
                var response: FRPNewProxyResponse
                switch result {
                case .success(let answer): response = answer
                case .failure(let error):
                    let known = error as? AditError
                    response = FRPNewProxyResponse(error: known?.what.english ?? "internal error")
                    response.adit = known.map { AditTunnelResponse(error: AditErrorMessage($0)) }
                }
                response.proxyName = proxy.proxyName
                if hasEnded {
                    if response.error.isEmpty { shared.policy.closeTunnel(named: proxy.proxyName, for: session) }
                } else {
                    step(.tunnelAnswered(response))
                }
            }
    }

    // MARK: Work connections

    func openWorkConnection(_ start: FRPStartWorkConnection) -> EventLoopFuture<any Channel> {
        guard let context, !hasEnded else {
            let gone = AditError(.deviceOffline, Text("The device is offline", zh: "设备已离线"))
            return connection.channel.eventLoop.makeFailedFuture(gone)
        }
        if let transform = machine.streamTransform(of: start.proxyName), let multiplexer = connection.multiplexer {
            return context.eventLoop.makeCompletedFuture {
                try openStream(through: multiplexer, start, transform)
            }
        }
        let id = VisitorID(nextID)
        nextID += 1
        let promise = context.eventLoop.makePromise(of: (any Channel).self)
        visitors[id] = promise
        step(.visitor(id, start))
        return promise.futureResult
    }

    /// Opens a stream that leads to another device; `message` is its first frame.
    func openPeerStream(_ message: AditPeerStream) -> EventLoopFuture<any Channel> {
        let loop = connection.channel.eventLoop
        guard !hasEnded, let multiplexer = connection.multiplexer else {
            return loop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        return loop.makeCompletedFuture {
            let bytes = try WorkPipeline.bytes(.peerStream(message), version, withMagic: false)
            let stream = try multiplexer.openStreamOnLoop(EarlyDataHandler())
            stream.writeAndFlush(bytes, promise: nil)
            return stream
        }
    }

    func offer(_ connection: IdleWorkConnection, _ message: FRPNewWorkConnection) {
        guard !hasEnded else { return connection.refuse("session ended") }
        let id = WorkConnectionID(nextID)
        nextID += 1
        idle[id] = connection
        let bound = NIOLoopBound(self, eventLoop: self.connection.channel.eventLoop)
        connection.channel.closeFuture.hop(to: self.connection.channel.eventLoop).whenComplete { _ in
            bound.value.lost(id)
        }
        step(.workConnection(id, message))
    }

    private func lost(_ id: WorkConnectionID) {
        guard idle.removeValue(forKey: id) != nil else { return }
        step(.workConnectionLost(id))
    }

    private func start(
        _ visitor: VisitorID,
        _ id: WorkConnectionID,
        _ start: FRPStartWorkConnection,
        _ transform: WorkTransform
    ) {
        guard let waiting = idle.removeValue(forKey: id) else { return step(.startFailed(visitor)) }
        deliver(waiting.start(start, transform), to: visitor)
    }

    /// Opens a stream to an Adit device at once.
    private func openStream(
        through multiplexer: YamuxMultiplexer,
        _ start: FRPStartWorkConnection,
        _ transform: WorkTransform
    ) throws -> any Channel {
        do {
            let bytes = try WorkPipeline.bytes(.startWorkConnection(start), version, withMagic: false)
            let stream = try multiplexer.openStreamOnLoop(EarlyDataHandler())
            stream.writeAndFlush(bytes, promise: nil)
            try WorkPipeline.install(transform, on: stream, after: nil, random: shared.random)
            return stream
        } catch {
            throw AditError(
                .deviceOffline,
                Text("The device cannot be reached", zh: "无法连到设备"),
                why: [Text("no stream to the device: \(error)", zh: "无法连到设备：\(error)")]
            )
        }
    }

    private func deliver(_ channel: EventLoopFuture<any Channel>, to visitor: VisitorID) {
        channel.hop(to: connection.channel.eventLoop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                guard let promise = visitors.removeValue(forKey: visitor) else {
                    // The session ended meanwhile and the visitor has been told.
                    channel.close(promise: nil)
                    return
                }
                step(.started(visitor))
                promise.succeed(channel)
            case .failure:
                step(.startFailed(visitor))
            }
        }
    }

    // MARK: End

    private func end(_ reason: SessionEnd) {
        guard !hasEnded else { return }
        hasEnded = true
        timer?.cancel()
        if case .refused = reason { shared.gate.recordFailure(connection.remoteAddress?.address, at: now) }
        var details: Logger.Metadata = ["reason": "\(reason.error)"]
        if let address = connection.remoteAddress { details["address"] = "\(address)" }
        if let session { details["run"] = "\(session.runID)" }
        shared.logger.info("session ended", metadata: details)
        for connection in idle.values { connection.channel.close(promise: nil) }
        idle = [:]
        let gone = AditError(.deviceOffline, Text("The device went away", zh: "设备已断开"))
        for promise in visitors.values { promise.fail(gone) }
        visitors = [:]
        if let session {
            if isOpen { shared.policy.sessionClosed(session, reason: reason) }
            shared.directory.release(session)
            session.finish(reason)
        }
        connection.session = nil
        // The session holds this handler; whoever keeps the session must not keep both for ever.
        session = nil
        connection.end(control: context?.channel)
    }
}
