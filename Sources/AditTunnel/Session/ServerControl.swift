// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditWire

/// The server's side of one control stream: hello, login, registrations, heartbeats, and who gets which work connection.
///
/// The machine decides; sockets, the policy and the registry of all sessions are the driver's.
package struct ServerControl: Sendable {
    private enum Phase: Equatable {
        case awaitingHello
        case awaitingLogin
        case awaitingDecision
        case open
        case ended
    }

    private enum Timer: Hashable {
        case login
        case heartbeat
        case visitors
    }

    private struct Tunnel {
        var transform: WorkTransform
        var isOpen: Bool
    }

    /// A request for a tunnel that is being decided, and the one that came meanwhile.
    private struct Request {
        var proxy: FRPNewProxy
        var transform: WorkTransform
        var next: FRPNewProxy?
    }

    private let configuration: Configuration
    private let connection: Connection
    private var phase: Phase
    private var handshake: ServerHandshake
    private var acceptance: LoginAcceptance?
    private var tokenKey: FRPTokenKey?
    private var queue = WorkConnectionQueue(poolCount: 0, patience: .zero, maximumWaiting: 1)
    private var tunnels: [String: Tunnel] = [:]
    private var requests: [String: Request] = [:]
    private var visitors: [VisitorID: FRPStartWorkConnection] = [:]
    private var timers = TimerTable<Timer>()
    private var outputs = OutputQueue<Output>()

    /// Makes the machine of a connection that has just been opened.
    package init(configuration: Configuration, connection: Connection, at now: Instant) {
        self.configuration = configuration
        self.connection = connection
        handshake = ServerHandshake(configuration: configuration, connection: connection)
        phase = connection.wireVersion == .v2 ? .awaitingHello : .awaitingLogin
        timers.set(.login, at: now + configuration.loginTimeout)
    }

    /// Whether both sides agreed on Adit's extension.
    package var isAdit: Bool { handshake.isAdit }
    /// What of Adit's extension both sides took; empty for a plain frp client.
    package var features: Set<AditFeature> { handshake.features }

    /// The next instant at which `timer` has to be handed in.
    package var nextDeadline: Instant? { timers.nextDeadline }

    /// Takes one step.
    package mutating func handle(_ input: Input, at now: Instant) {
        guard phase != .ended else { return }
        switch input {
        case .frame(let frame): receive(frame, at: now)
        case .accept(let acceptance, let runID): open(acceptance, runID: runID, at: now)
        case .refuse(let error, let frpText): refuse(error, frpText: frpText)
        case .tunnelAnswered(let response): answer(response)
        case .tunnelClosed(let close, let error): closeTunnel(close.proxyName, error)
        case .workConnection(let id, let message): offer(id, message, at: now)
        case .workConnectionLost(let id): queue.lose(id)
        case .visitor(let id, let start): arrive(id, start, at: now)
        case .visitorGone(let id), .started(let id): settle(id)
        case .startFailed(let id): startFailed(id, at: now)
        case .send(let message): if phase == .open { send(message) }
        case .end(let reason): end(reason)
        case .timer: expire(at: now)
        }
        if phase != .ended { updateVisitorTimer() }
    }

    /// What a stream to an Adit device for a visitor of this tunnel carries its bytes through; nil when the tunnel is not
    /// open, or when the device is a plain frp client whose work connections have to be asked for.
    package func streamTransform(of proxyName: String) -> WorkTransform? {
        guard phase == .open, isAdit, let tunnel = tunnels[proxyName], tunnel.isOpen else { return nil }
        return tunnel.transform
    }

    /// The next thing to do; nil when there is nothing more.
    package mutating func nextOutput() -> Output? {
        outputs.popFirst()
    }

    // MARK: Frames

    private mutating func receive(_ frame: FRPFrame, at now: Instant) {
        switch (phase, frame) {
        case (.awaitingHello, .clientHello(let hello, let payload)):
            switch handshake.answer(hello, payload: payload) {
            case .success(let reply):
                outputs.append(.send(reply))
                phase = .awaitingLogin
            case .failure(let refusal):
                outputs.append(.send(.serverHello(FRPServerHello(error: refusal.text))))
                end(.protocolBroken(refusal.text))
            }
        case (.awaitingLogin, .message(.login(let login))) where handshake.isHello(login):
            switch handshake.answer(login) {
            case .success(let answer): send(.helloAnswer(answer))
            case .failure(let refusal): refuse(refusal.error, frpText: refusal.error.what.english)
            }
        case (.awaitingLogin, .message(.login(let login))):
            switch handshake.request(login) {
            case .success(let request):
                phase = .awaitingDecision
                outputs.append(.authorize(request))
            case .failure(let refusal):
                refuse(refusal.error, frpText: refusal.error.what.english)
            }
        case (.open, .message(let message)):
            receive(message, at: now)
        default:
            end(.protocolBroken("a frame that does not belong here"))
        }
    }

    private mutating func receive(_ message: FRPMessage, at now: Instant) {
        switch message {
        case .newProxy(let proxy): register(proxy)
        case .closeProxy(let close):
            if tunnels.removeValue(forKey: close.proxyName) != nil {
                outputs.append(.closeTunnel(close.proxyName))
            }
        case .ping(let ping): answer(ping, at: now)
        case .peerSignal(let signal):
            guard features.contains(.paths) else { return end(.protocolBroken("a signal that was not agreed on")) }
            outputs.append(.peerSignal(signal))
        case .services(let services):
            guard features.contains(.services) else { return end(.protocolBroken("services that were not agreed on")) }
            outputs.append(.services(services))
        case .serviceQuery(let query):
            guard features.contains(.guests) else { return end(.protocolBroken("a query that was not agreed on")) }
            outputs.append(.serviceQuery(query))
        case .unsupported: break
        case .login: end(.protocolBroken("a second login on one control stream"))
        default: end(.protocolBroken("message \(message.id) on a control stream from a client"))
        }
    }

    private mutating func answer(_ ping: FRPPing, at now: Instant) {
        if configuration.requiresKeyOnHeartbeats, !isAdit {
            guard proves(ping.privilegeKey, ping.timestamp) else {
                send(.pong(FRPPong(error: "invalid ping")))
                return
            }
        }
        if let timeout = configuration.heartbeatTimeout { timers.set(.heartbeat, at: now + timeout) }
        send(.pong(FRPPong()))
    }

    private func proves(_ privilegeKey: String, _ timestamp: Int64) -> Bool {
        guard let tokenKey, !tokenKey.token.isEmpty else { return false }
        return tokenKey.accepts(privilegeKey: privilegeKey, timestamp: timestamp)
    }

    // MARK: Login

    private mutating func open(_ acceptance: LoginAcceptance, runID: String, at now: Instant) {
        guard phase == .awaitingDecision else { return }
        phase = .open
        self.acceptance = acceptance
        if !isAdit { tokenKey = FRPTokenKey(token: acceptance.token) }
        timers.cancel(.login)
        let adit = isAdit ? acceptance.response : nil
        send(.loginResponse(FRPLoginResponse(version: configuration.version, runID: runID, adit: adit)))
        outputs.append(.secure(handshake.security(token: acceptance.token)))
        outputs.append(.opened(runID: runID))
        guard !isAdit else {
            if let timeout = configuration.heartbeatTimeout { timers.set(.heartbeat, at: now + timeout) }
            return
        }
        let poolCount = min(max(handshake.poolCount, 0), configuration.maximumPoolCount)
        queue = WorkConnectionQueue(
            poolCount: poolCount,
            patience: configuration.workConnectionTimeout,
            maximumWaiting: configuration.maximumWaitingVisitors
        )
        for _ in 0..<poolCount { send(.requestWorkConnection) }
        if let timeout = configuration.heartbeatTimeout { timers.set(.heartbeat, at: now + timeout) }
    }

    private mutating func refuse(_ error: AditError, frpText: String) {
        guard phase == .awaitingDecision || phase == .awaitingLogin else { return }
        let adit = isAdit ? AditLoginResponse(error: AditErrorMessage(error)) : nil
        send(.loginResponse(FRPLoginResponse(version: configuration.version, error: frpText, adit: adit)))
        end(.refused(error))
    }

    // MARK: Tunnels

    private mutating func register(_ proxy: FRPNewProxy) {
        let name = proxy.proxyName
        guard !name.isEmpty, name.utf8.count <= 512 else {
            refuse(proxy, "invalid proxy name")
            return
        }
        if let pending = requests[name] {
            // A resent request gets the answer of its first copy; a different one has to wait for that answer.
            if pending.proxy != proxy || tunnels[name] == nil { requests[name]?.next = proxy }
            return
        }
        guard tunnels[name] != nil || tunnels.count < configuration.maximumTunnels else {
            refuse(proxy, "too many proxies")
            return
        }
        let transform = WorkTransform(proxy, token: acceptance?.token ?? "", isAdit: isAdit)
        if tunnels[name] == nil { tunnels[name] = Tunnel(transform: transform, isOpen: false) }
        requests[name] = Request(proxy: proxy, transform: transform)
        outputs.append(.openTunnel(proxy))
    }

    private mutating func refuse(_ proxy: FRPNewProxy, _ text: String) {
        let error = AditError(
            .limitReached,
            Text("This session cannot have the tunnel: \(text)", zh: "此会话无法使用该隧道：\(text)")
        )
        let adit = isAdit ? AditTunnelResponse(error: AditErrorMessage(error)) : nil
        send(.newProxyResponse(FRPNewProxyResponse(proxyName: proxy.proxyName, error: text, adit: adit)))
    }

    private mutating func answer(_ response: FRPNewProxyResponse) {
        let name = response.proxyName
        guard phase == .open, let request = requests.removeValue(forKey: name) else { return }
        if let tunnel = tunnels[name] {
            if response.error.isEmpty {
                tunnels[name] = Tunnel(transform: request.transform, isOpen: true)
            } else if !tunnel.isOpen {
                tunnels[name] = nil
            }
            var response = response
            if !isAdit { response.adit = nil }
            send(.newProxyResponse(response))
        } else if response.error.isEmpty {
            // The device closed it while it was being opened: it must not stay open at the server.
            outputs.append(.closeTunnel(name))
        }
        if let next = request.next { register(next) }
    }

    private mutating func closeTunnel(_ name: String, _ error: AditError) {
        guard phase == .open, tunnels.removeValue(forKey: name) != nil, isAdit else { return }
        send(.tunnelClosed(AditTunnelClosed(proxyName: name, error: AditErrorMessage(error))))
    }

    // MARK: Work connections

    private mutating func offer(_ id: WorkConnectionID, _ message: FRPNewWorkConnection, at now: Instant) {
        guard phase == .open, !isAdit else {
            outputs.append(.refuseWorkConnection(id, "this session takes no work connections"))
            return
        }
        if configuration.requiresKeyOnWorkConnections, !proves(message.privilegeKey, message.timestamp) {
            outputs.append(.refuseWorkConnection(id, "invalid NewWorkConn"))
            return
        }
        run(queue.offer(id), at: now)
    }

    private mutating func arrive(_ id: VisitorID, _ start: FRPStartWorkConnection, at now: Instant) {
        guard phase == .open, let tunnel = tunnels[start.proxyName], tunnel.isOpen else {
            outputs.append(.visitorFailed(id, Self.unreachable("the tunnel is not open", zh: "隧道未打开")))
            return
        }
        guard !isAdit else {
            // What can be opened to an Adit device is opened at once, by `streamTransform`.
            outputs.append(.visitorFailed(id, Self.unreachable("no stream to the device", zh: "无法连到设备")))
            return
        }
        visitors[id] = start
        run(queue.arrive(id, at: now), at: now)
    }

    private mutating func startFailed(_ id: VisitorID, at now: Instant) {
        run(queue.failed(id, at: now), at: now)
    }

    private mutating func settle(_ id: VisitorID) {
        visitors[id] = nil
        queue.settle(id)
    }

    private mutating func run(_ steps: [WorkConnectionQueue.Step], at now: Instant) {
        for step in steps {
            switch step {
            case .request: send(.requestWorkConnection)
            case .refuse(let id): outputs.append(.refuseWorkConnection(id, "too many idle work connections"))
            case .giveUp(let id):
                visitors[id] = nil
                outputs.append(
                    .visitorFailed(id, Self.unreachable("no work connection came in time", zh: "未及时得到工作连接"))
                )
            case .pair(let visitor, let connection):
                guard let start = visitors[visitor], let tunnel = tunnels[start.proxyName], tunnel.isOpen else {
                    // The tunnel was closed while the visitor waited; the connection serves the next one.
                    settle(visitor)
                    outputs.append(.visitorFailed(visitor, Self.unreachable("the tunnel was closed", zh: "隧道已关闭")))
                    run(queue.offer(connection), at: now)
                    continue
                }
                outputs.append(.start(visitor, on: connection, start, tunnel.transform))
            }
        }
    }

    private static func unreachable(_ why: String, zh: String) -> AditError {
        AditError(
            .deviceOffline,
            Text("The device cannot be reached", zh: "无法连到设备"),
            why: [Text(why, zh: zh)]
        )
    }

    // MARK: Time and end

    private mutating func updateVisitorTimer() {
        if let deadline = queue.nextDeadline {
            timers.set(.visitors, at: deadline)
        } else {
            timers.cancel(.visitors)
        }
    }

    private mutating func expire(at now: Instant) {
        while let timer = timers.expire(at: now) {
            switch timer {
            case .login: end(.protocolBroken("no complete login in \(configuration.loginTimeout.components.seconds) s"))
            case .heartbeat: end(.silent)
            case .visitors: run(queue.expire(at: now), at: now)
            }
        }
    }

    private mutating func send(_ message: FRPMessage) {
        outputs.append(.send(.message(message)))
    }

    private mutating func end(_ reason: SessionEnd) {
        phase = .ended
        timers.cancelAll()
        let left = queue.drain()
        let gone = Self.unreachable("the session ended", zh: "会话已结束")
        for connection in left.connections { outputs.append(.refuseWorkConnection(connection, "session ended")) }
        for visitor in visitors.keys.sorted(by: { $0.number < $1.number }) {
            outputs.append(.visitorFailed(visitor, gone))
        }
        visitors = [:]
        tunnels = [:]
        requests = [:]
        outputs.append(.ended(reason))
    }
}
