// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditWire

/// The device's side of one control stream: hello, login, registrations, heartbeats.
///
/// A machine lives as long as one connection; what is to be registered, and the run id, outlive it in the driver.
package struct DeviceControl: Sendable {
    private enum Phase: Equatable {
        case awaitingServerHello
        case awaitingLoginResponse
        case open
        case ended
    }

    private enum Timer: Hashable {
        case login
        case heartbeat
        case silence
        case registration
    }

    private let configuration: Configuration
    private let connection: Connection
    private let startedAt: Instant
    private let tokenKey: FRPTokenKey
    private var phase = Phase.awaitingLoginResponse
    private var helloPayload: [UInt8] = []
    private var transcript: FRPControlTranscript?
    private var algorithm: FRPControlCipher?
    private var registrations = ProxyRegistrations()
    private var timers = TimerTable<Timer>()
    private var outputs = OutputQueue<Output>()

    /// The run id that the server gave; the one of the configuration before that.
    package private(set) var runID: String
    /// Whether both sides agreed on Adit's extension.
    package private(set) var isAdit = false
    /// What of Adit's extension both sides took; empty before that, and with a plain frp server.
    package private(set) var features: Set<AditFeature> = []

    /// Makes the machine of a connection that has just been opened, and begins the login.
    package init(configuration: Configuration, connection: Connection, at now: Instant) {
        self.configuration = configuration
        self.connection = connection
        startedAt = now
        tokenKey = FRPTokenKey(token: configuration.credentials.token)
        runID = configuration.login.runID
        timers.set(.login, at: now + configuration.loginTimeout)
        begin(at: now)
    }

    /// The next instant at which `timer` has to be handed in.
    package var nextDeadline: Instant? { timers.nextDeadline }

    /// Takes one step.
    package mutating func handle(_ input: Input, at now: Instant) {
        guard phase != .ended else { return }
        switch input {
        case .frame(let frame): receive(frame, at: now)
        case .register(let proxy):
            registrations.want(proxy)
            if phase == .open { sendRegistrations(at: now) }
        case .unregister(let name):
            if registrations.forget(name), phase == .open { send(.closeProxy(FRPCloseProxy(proxyName: name))) }
        case .peerSignal(let signal):
            if phase == .open, features.contains(.paths) { send(.peerSignal(signal)) }
        case .services(let names):
            guard phase == .open, features.contains(.services) else { break }
            for message in AditServices.messages(for: names) { send(.services(message)) }
        case .serviceQuery(let query):
            if phase == .open, features.contains(.guests) { send(.serviceQuery(query)) }
        case .end(let reason): end(reason)
        case .timer: expire(at: now)
        }
        if phase == .open { updateRegistrationTimer() }
    }

    /// The next thing to do; nil when there is nothing more.
    package mutating func nextOutput() -> Output? {
        outputs.popFirst()
    }

    /// What to do with the bytes of a work connection; nil when no tunnel of that name is wanted.
    package func transform(for start: FRPStartWorkConnection) -> WorkTransform? {
        guard phase == .open, start.error.isEmpty, let proxy = registrations.active(start.proxyName) else { return nil }
        return WorkTransform(proxy, token: configuration.credentials.token, isAdit: isAdit)
    }

    // MARK: Login

    private mutating func begin(at now: Instant) {
        guard configuration.wireVersion == .v2 || configuration.credentials.isAdit else {
            send(.login(frpLogin(at: now)))
            return
        }
        var hello = FRPClientHello(
            tls: connection.isTLS,
            tcpMux: connection.isMultiplexed,
            algorithms: FRPControlCipher.allCases.map(\.rawValue),
            clientRandom: connection.clientRandom
        )
        if let key = configuration.credentials.key {
            hello.adit = AditHello(
                version: 1,
                features: AditFeature.allCases.filter(configuration.features.contains),
                deviceKey: key.publicKey.bytes
            )
        }
        let frame = FRPFrame.clientHello(hello)
        if case .clientHello(_, let payload) = frame { helloPayload = payload }
        phase = .awaitingServerHello
        guard configuration.wireVersion == .v2 else {
            // Without a frame for hellos it rides in a login that shows nothing else; a plain frp server refuses that.
            let login = FRPLogin(version: configuration.login.version, adit: AditLogin(hello: helloPayload))
            send(.login(login))
            return
        }
        outputs.append(.send(frame))
        // A plain client does not wait for the answer; an Adit device's proof covers it.
        if !configuration.credentials.isAdit { send(.login(frpLogin(at: now))) }
    }

    private func frpLogin(at now: Instant) -> FRPLogin {
        var login = configuration.login
        login.runID = runID
        login.timestamp = unixTime(at: now)
        login.privilegeKey = tokenKey.privilegeKey(timestamp: login.timestamp)
        return login
    }

    private mutating func receive(_ hello: FRPServerHello, payload: [UInt8], at now: Instant) {
        guard hello.error.isEmpty else {
            end(.refused(Self.refusal(hello.error)))
            return
        }
        guard let chosen = FRPControlCipher(rawValue: hello.algorithm), hello.codec.isEmpty || hello.codec == "json",
            hello.serverRandom.count == 32
        else {
            end(.protocolBroken("the ServerHello chose what was not offered"))
            return
        }
        algorithm = chosen
        let transcript = FRPControlTranscript(clientHello: helloPayload, serverHello: payload)
        self.transcript = transcript
        phase = .awaitingLoginResponse
        guard let key = configuration.credentials.key else { return }
        guard let adit = hello.adit, adit.version == 1, ServerHandshake.required.allSatisfy(adit.has),
            let fingerprint = connection.fingerprint
        else {
            end(.refused(Self.notAdit))
            return
        }
        guard !configuration.credentials.isGuest || adit.has(.guests) else {
            // It would enrol whoever has the token.
            return end(.refused(Self.takesNoGuests))
        }
        isAdit = true
        features = configuration.features.filter(adit.has)
        var login = configuration.login
        login.runID = runID
        var proof = AditLogin(deviceKey: key.publicKey.bytes, deviceName: configuration.deviceName)
        let input = LoginProof(transcript: transcript, serverFingerprint: fingerprint)
        guard let signature = try? input.signature(by: key) else {
            return end(.refused(AditError(.state, Text("This device's key cannot sign", zh: "本设备的密钥无法签名"))))
        }
        proof.signature = signature
        switch configuration.credentials {
        case .device(_, let invite): proof.invite = invite ?? []
        case .token(let token, _):
            proof.tokenProof = input.tokenProof(token: token)
        case .guest(let token, _):
            proof.isGuest = true
            if !token.isEmpty { proof.tokenProof = input.tokenProof(token: token) }
        case .frpToken: break
        }
        login.adit = proof
        send(.login(login))
    }

    private mutating func receive(_ response: FRPLoginResponse, at now: Instant) {
        if let error = response.adit?.error?.error, isAdit {
            end(.refused(error))
            return
        }
        guard response.error.isEmpty else {
            end(.refused(Self.refusal(response.error)))
            return
        }
        guard ServerHandshake.isRunID(response.runID) else {
            end(.protocolBroken("the login's answer has no run id"))
            return
        }
        runID = response.runID
        phase = .open
        timers.cancel(.login)
        let token = configuration.credentials.token
        let security: ControlSecurity =
            if isAdit {
                .none
            } else if let algorithm, let transcript {
                .aead(algorithm, token: token, transcript: transcript)
            } else {
                .cfb(token: token)
            }
        outputs.append(.secure(security))
        outputs.append(.opened(response))
        if configuration.heartbeatInterval != nil {
            if let timeout = configuration.heartbeatTimeout { timers.set(.silence, at: now + timeout) }
            ping(at: now)
        }
        sendRegistrations(at: now)
    }

    // MARK: Messages

    private mutating func receive(_ frame: FRPFrame, at now: Instant) {
        switch (phase, frame) {
        case (.awaitingServerHello, .serverHello(let hello, let payload)) where configuration.wireVersion == .v2:
            receive(hello, payload: payload, at: now)
        case (.awaitingServerHello, .message(.helloAnswer(let answer))) where configuration.wireVersion == .v1:
            guard case .serverHello(let hello, let payload)? = try? FRPFrame.serverHello(payload: answer.hello) else {
                return end(.protocolBroken("a ServerHello that cannot be read"))
            }
            receive(hello, payload: payload, at: now)
        case (.awaitingServerHello, .message(.loginResponse)) where configuration.wireVersion == .v1:
            // Whatever it says, nothing was proven to this server: it does not know the extension, or refuses it.
            end(.refused(Self.notAdit))
        case (.awaitingLoginResponse, .message(.loginResponse(let response))): receive(response, at: now)
        case (.open, .message(let message)): receive(message, at: now)
        default: end(.protocolBroken("a frame that does not belong here"))
        }
    }

    private mutating func receive(_ message: FRPMessage, at now: Instant) {
        switch message {
        case .newProxyResponse(let response): receive(response, at: now)
        case .requestWorkConnection:
            guard !isAdit else { return end(.protocolBroken("a request for a work connection from an Adit server")) }
            var first = FRPNewWorkConnection(runID: runID)
            if configuration.provesWorkConnections {
                first.timestamp = unixTime(at: now)
                first.privilegeKey = tokenKey.privilegeKey(timestamp: first.timestamp)
            }
            outputs.append(.openWorkConnection(first))
        case .pong(let pong):
            guard pong.error.isEmpty else { return end(.refused(Self.refusal(pong.error))) }
            if let timeout = configuration.heartbeatTimeout, configuration.heartbeatInterval != nil {
                timers.set(.silence, at: now + timeout)
            }
            outputs.append(.heartbeatAnswered)
        case .requestReport(let report): if isAdit { outputs.append(.requestReport(report)) }
        case .visitorsRefused(let refused): if isAdit { outputs.append(.visitorsRefused(refused)) }
        case .turnOffer(let offer): if isAdit { outputs.append(.turnOffered(offer)) }
        case .tunnelClosed(let closed): if isAdit { receive(closed) }
        case .draining(let draining):
            if isAdit { outputs.append(.draining(.milliseconds(max(0, min(draining.reconnectAfterMs, 300_000))))) }
        case .peerSignal(let signal): if features.contains(.paths) { outputs.append(.peerSignal(signal)) }
        case .peerUnavailable(let answer): if features.contains(.paths) { outputs.append(.peerUnavailable(answer)) }
        case .serviceHolder(let holder): if features.contains(.guests) { outputs.append(.serviceHolder(holder)) }
        case .unsupported: break
        default: end(.protocolBroken("message \(message.id) on a control stream from a server"))
        }
    }

    private mutating func receive(_ response: FRPNewProxyResponse, at now: Instant) {
        let name = response.proxyName
        if response.error.isEmpty, response.adit?.error == nil {
            if registrations.succeeded(name) { outputs.append(.registered(response)) }
            return
        }
        let error = response.adit?.error?.error ?? Self.registrationRefusal(response.error)
        let willRetry = !Self.needsPerson.contains(error.code)
        guard registrations.failed(name, retryAt: willRetry ? now + configuration.retryInterval : nil) else { return }
        outputs.append(.registrationFailed(name, error, willRetry: willRetry))
    }

    private mutating func receive(_ closed: AditTunnelClosed) {
        guard registrations.forget(closed.proxyName) else { return }
        let unknown = AditError(.notAllowed, Text("The server closed the tunnel", zh: "服务器关闭了隧道"))
        outputs.append(.tunnelClosed(closed.proxyName, closed.error?.error ?? unknown))
    }

    // MARK: Time and end

    private mutating func sendRegistrations(at now: Instant) {
        for proxy in registrations.due(at: now, resendAfter: configuration.resendInterval) { send(.newProxy(proxy)) }
    }

    private mutating func updateRegistrationTimer() {
        if let deadline = registrations.nextDeadline {
            timers.set(.registration, at: deadline)
        } else {
            timers.cancel(.registration)
        }
    }

    private mutating func ping(at now: Instant) {
        var ping = FRPPing()
        if configuration.provesHeartbeats, !isAdit {
            ping.timestamp = unixTime(at: now)
            ping.privilegeKey = tokenKey.privilegeKey(timestamp: ping.timestamp)
        }
        send(.ping(ping))
        outputs.append(.heartbeatSent)
        if let interval = configuration.heartbeatInterval { timers.set(.heartbeat, at: now + interval) }
    }

    private mutating func expire(at now: Instant) {
        while phase != .ended, let timer = timers.expire(at: now) {
            switch timer {
            case .login: end(.silent)
            case .silence: end(.silent)
            case .heartbeat: ping(at: now)
            case .registration: sendRegistrations(at: now)
            }
        }
    }

    private func unixTime(at now: Instant) -> Int64 {
        connection.unixTime + (now - startedAt).components.seconds
    }

    private mutating func send(_ message: FRPMessage) {
        outputs.append(.send(.message(message)))
    }

    private mutating func end(_ reason: SessionEnd) {
        phase = .ended
        timers.cancelAll()
        outputs.append(.ended(reason))
    }
}
