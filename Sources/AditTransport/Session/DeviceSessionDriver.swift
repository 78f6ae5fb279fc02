// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Logging
import NIOCore

/// The loop of a device's session; lives on its event loop.
final class DeviceSessionDriver {
    private enum State {
        case new
        case linked(DeviceLink)
        case waiting(Scheduled<Void>)
        case refused
        case stopped
    }

    /// Refusals that no waiting mends.
    private static let permanent: Set<ErrorCode> = [
        .inviteUsed, .inviteExpired, .inviteWrong, .deviceRemoved, .tokenRefused, .notJoined, .serverKeyChanged,
        .versionsApart, .notAllowed,
    ]

    private let eventLoop: any EventLoop
    private let delegate: any DeviceSessionDelegate
    private let random: RandomBytes
    private let unixTime: @Sendable () -> Int64
    private let logger: Logger
    private let dialer: Dialer
    private var configuration: DeviceSessionConfiguration
    private var connector: DeviceConnector?
    private var schedule: ReconnectSchedule
    private var state = State.new
    private var attempt = 0
    private var wishes: [String: FRPNewProxy] = [:]
    private var order: [String] = []
    private var hasToldStop = false
    private var stopPromises: [EventLoopPromise<Void>] = []

    init(
        configuration: DeviceSessionConfiguration,
        eventLoop: any EventLoop,
        delegate: any DeviceSessionDelegate,
        random: RandomBytes,
        unixTime: @escaping @Sendable () -> Int64,
        logger: Logger
    ) {
        var configuration = configuration
        // The extension lives on streams that the server opens.
        if configuration.credentials.isAdit { configuration.isMultiplexed = true }
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.delegate = delegate
        self.random = random
        self.unixTime = unixTime
        self.logger = logger
        dialer = Dialer(target: configuration.server, timeout: configuration.connectTimeout)
        schedule = ReconnectSchedule(seed: random.seed())
    }

    // MARK: Commands

    func start() {
        guard case .new = state else { return }
        // A guest's peers trust each other by a secret, and nobody by the server's word.
        if configuration.credentials.isAdit, !configuration.credentials.isGuest, !configuration.serverTrust.isVerified {
            refuse(
                AditError(
                    .serverKeyChanged,
                    Text("The server's key is not known", zh: "服务器的密钥未知"),
                    why: [
                        Text(
                            "an Adit device does not log in to a server that it cannot verify",
                            zh: "Adit 设备不会登录无法验证的服务器"
                        )
                    ],
                    fix: Text("join with an invite: adit join INVITE", zh: "请用邀请码加入：adit join 邀请码")
                )
            )
            return
        }
        do {
            connector = DeviceConnector(
                dialer: dialer,
                tls: configuration.serverTrust.isTLS
                    ? try ClientTLS(
                        trust: configuration.serverTrust,
                        host: configuration.server.host,
                        clientCertificate: configuration.clientCertificate,
                        isAdit: configuration.credentials.isAdit
                    ) : nil,
                sendsTLSMarker: configuration.sendsTLSMarker,
                timeout: .nanoseconds(configuration.connectTimeout.wholeNanoseconds)
            )
        } catch {
            refuse(
                AditError(
                    .configuration,
                    Text("The TLS files cannot be used", zh: "无法使用 TLS 文件"),
                    why: [Text(verbatim: "\(error)")]
                )
            )
            return
        }
        connect()
    }

    func register(_ proxy: FRPNewProxy) {
        if wishes.updateValue(proxy, forKey: proxy.proxyName) == nil { order.append(proxy.proxyName) }
        if case .linked(let link) = state { link.step(.register(proxy)) }
    }

    func unregister(_ name: String) {
        forget(name)
        if case .linked(let link) = state { link.step(.unregister(name)) }
    }

    /// Says something to another device; dropped while there is no session.
    func signal(_ signal: AditPeerSignal) {
        if case .linked(let link) = state { link.step(.peerSignal(signal)) }
    }

    /// Tells the server which services this run has; dropped while there is no session.
    func announce(_ services: [String]) {
        if case .linked(let link) = state { link.step(.services(services)) }
    }

    /// Asks who has a private proxy; dropped while there is no session.
    func ask(_ query: AditServiceQuery) {
        if case .linked(let link) = state { link.step(.serviceQuery(query)) }
    }

    func openPeerStream(
        _ message: AditPeerStream,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        guard case .linked(let link) = state else {
            return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        return link.openPeerStream(message, initialize)
    }

    /// The network has changed, to these addresses, or something else says that the way to the server may be gone.
    func check(_ addresses: [IPAddress]?) {
        // Another network says nothing of how often it failed in this one.
        if addresses != nil { schedule.reset() }
        switch state {
        case .linked(let link): link.check(addresses)
        case .waiting: if addresses != nil { reconnectNow() }
        case .new, .refused, .stopped: break
        }
    }

    func reconnectNow() {
        guard case .waiting(let timer) = state else { return }
        timer.cancel()
        schedule.reset()
        connect()
    }

    func stop() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        stopPromises.append(promise)
        switch state {
        case .linked(let link):
            state = .stopped
            link.close(.closed)
            link.closed(on: eventLoop).assumeIsolated().whenComplete { [self] _ in stopped() }
        case .waiting(let timer):
            timer.cancel()
            stopped()
        case .new, .refused, .stopped:
            stopped()
        }
        return promise.futureResult
    }

    private func stopped() {
        state = .stopped
        if !hasToldStop {
            hasToldStop = true
            delegate.sessionEvent(.stopped)
        }
        let promises = stopPromises
        stopPromises = []
        for promise in promises { promise.succeed() }
    }

    // MARK: The loop

    private func connect() {
        guard let connector else { return }
        attempt += 1
        delegate.sessionEvent(.connecting(attempt: attempt))
        let reference = WeakLink()
        let link = DeviceLink(
            eventLoop: eventLoop,
            configuration: configuration,
            connector: connector,
            random: random,
            logger: logger,
            callbacks: DeviceLink.Callbacks(
                onOutput: { [self] output in if let link = reference.link { handle(output, link) } },
                onRoundTrip: { [delegate] time in delegate.sessionEvent(.roundTrip(time)) },
                onWorkConnection: { [delegate] start, channel in
                    delegate.workConnection(start, channel: channel)
                },
                onPeerStream: { [delegate] message, channel in
                    delegate.peerStream(message, channel: channel)
                },
                onEnd: { [self] error in ended(error) }
            )
        )
        reference.link = link
        state = .linked(link)
        link.start(unixTime: unixTime())
    }

    private func handle(_ output: DeviceControl.Output, _ link: DeviceLink) {
        switch output {
        case .opened(let response): opened(response, link)
        case .registered(let response): delegate.sessionEvent(.registered(response))
        case .registrationFailed(let name, let error, let willRetry):
            delegate.sessionEvent(.registrationFailed(name: name, error, willRetry: willRetry))
        case .tunnelClosed(let name, let error):
            forget(name)
            delegate.sessionEvent(.tunnelClosed(name: name, error))
        case .requestReport(let report): delegate.sessionEvent(.requestReport(report))
        case .visitorsRefused(let refused): delegate.sessionEvent(.visitorsRefused(refused))
        case .turnOffered(let offer): delegate.sessionEvent(.turnOffered(offer))
        case .draining(let wait):
            schedule.draining(for: wait, at: now)
            delegate.sessionEvent(.draining(wait))
        case .peerSignal(let signal): delegate.sessionEvent(.peerSignal(signal))
        case .peerUnavailable(let answer): delegate.sessionEvent(.peerUnavailable(answer))
        case .serviceHolder(let holder): delegate.sessionEvent(.serviceHolder(holder))
        case .heartbeatSent: delegate.sessionEvent(.heartbeatSent)
        case .heartbeatAnswered, .send, .secure, .openWorkConnection, .ended: break
        }
    }

    private func opened(_ response: FRPLoginResponse, _ link: DeviceLink) {
        attempt = 0
        schedule.connected(at: now)
        configuration.runID = response.runID
        // An invite is good for one login; from here on the key speaks.
        if case .device(let key, _) = configuration.credentials {
            configuration.credentials = .device(key, invite: nil)
        }
        delegate.sessionEvent(
            .connected(
                DeviceConnection(
                    runID: response.runID,
                    serverAddress: link.remoteAddress,
                    fingerprint: link.fingerprint,
                    adit: configuration.credentials.isAdit ? response.adit : nil,
                    serverVersion: response.version,
                    features: link.features
                )
            )
        )
        for name in order {
            if let proxy = wishes[name] { link.step(.register(proxy)) }
        }
    }

    private func ended(_ failure: any Error) {
        guard case .linked = state else { return }
        let error: AditError
        switch failure {
        case let end as SessionEnd:
            error = end.error
            if case .refused(let refusal) = end {
                if refusal.code == .notAllowed, !configuration.runID.isEmpty {
                    // The run id went to somebody else: come back as a new session.
                    configuration.runID = ""
                } else if isPermanent(refusal) {
                    return refuse(refusal)
                }
            }
        case let dial as DialFailure: error = dial.error
        default: error = SessionEnd.connectionLost("\(failure)").error
        }
        let delay = schedule.nextDelay(at: now)
        let timer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { [self] in
            connect()
        }
        state = .waiting(timer)
        delegate.sessionEvent(.disconnected(error, retryAfter: delay))
    }

    private func isPermanent(_ refusal: AditError) -> Bool {
        guard configuration.credentials.isAdit, Self.permanent.contains(refusal.code) else { return false }
        // A certificate that an authority does not vouch for may be renewed without anybody here.
        switch configuration.serverTrust {
        case .publicAuthorities, .authorities: return refusal.code != .serverKeyChanged
        default: return true
        }
    }

    private func refuse(_ error: AditError) {
        state = .refused
        delegate.sessionEvent(.refused(error))
    }

    private func forget(_ name: String) {
        wishes[name] = nil
        order.removeAll { $0 == name }
    }

    private var now: Instant { Instant(eventLoop.now) }
}

/// Lets a link's callbacks know their link, which is made after them.
private final class WeakLink {
    weak var link: DeviceLink?
}
