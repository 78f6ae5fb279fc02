// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

/// Passes signals from device to device, and says who is not there.
///
/// The server says who sent a signal, by the key that the sender proved at its login, and from where its session comes if it
/// may; what is in it is signed for the receiver and nothing to the server. Nothing is kept: a signal for a device that is
/// away, or that does not read, is gone, and its sender sends it again.
final class PeerSignalling: Sendable {
    /// Devices.
    private let members: NIOLockedValueBox<PeerDirectory<ServerSession>>
    /// Guests, who find each other and nobody else.
    private let guests: NIOLockedValueBox<PeerDirectory<ServerSession>>
    private let proxies = NIOLockedValueBox(PrivateProxies<ServerSession>())
    let tally = NIOLockedValueBox(ServerStatus.Signals(devices: 0, forwarded: 0, refused: 0, limited: 0))
    /// What passed on all streams between devices.
    let streamed = TunnelCounters()
    /// Whether the server's owner lets devices reach each other through their sessions.
    let relays: @Sendable () -> Bool
    /// What the server's owner lets a device use.
    let ceiling: @Sendable (ServerSession) -> DeviceCeiling?
    private let store: Store
    let clock: Clock
    private let log: Logger

    init(
        store: Store,
        clock: Clock,
        terms: SignalTerms = SignalTerms(),
        log: Logger,
        relays: @escaping @Sendable () -> Bool,
        ceiling: @escaping @Sendable (ServerSession) -> DeviceCeiling?
    ) {
        self.relays = relays
        self.ceiling = ceiling
        members = NIOLockedValueBox(PeerDirectory(terms))
        guests = NIOLockedValueBox(PeerDirectory(terms))
        self.store = store
        self.clock = clock
        self.log = log
    }

    /// Figures since the start.
    var status: ServerStatus.Signals {
        var status = tally.withLockedValue { $0 }
        for directory in [members, guests] {
            let (devices, streams) = directory.withLockedValue { ($0.count, $0.streamCount) }
            status.devices += devices
            status.openStreams = (status.openStreams ?? 0) + streams
        }
        let passed = streamed.current
        status.streamBytes = passed.bytesIn + passed.bytesOut
        return status
    }

    /// Whom a session can reach.
    func directory(of session: ServerSession) -> NIOLockedValueBox<PeerDirectory<ServerSession>> {
        session.identity.isGuest ? guests : members
    }

    func opened(_ session: ServerSession) {
        guard let name = session.identity.peer?.name else { return }
        directory(of: session).withLockedValue { directory in
            directory.insert(
                session,
                name: name,
                run: session.runID,
                takesSignals: session.takesSignals,
                takesStreams: session.takesStreams,
                at: clock.now()
            )
        }
    }

    func closed(_ session: ServerSession) {
        guard let name = session.identity.peer?.name else { return }
        proxies.withLockedValue { $0.remove(session) }
        directory(of: session).withLockedValue { $0.remove(session, name: name, at: clock.now()) }
    }

    /// Passes a signal on, or tells its sender why not.
    func forward(_ signal: AditPeerSignal, from session: ServerSession) {
        guard let (key, name) = session.identity.peer, session.takesSignals, signal.isWellFormed else {
            return session.close(.protocolBroken("a signal that cannot be one"))
        }
        let directory = directory(of: session)
        let now = clock.now()
        guard directory.withLockedValue({ $0.maySend(session, at: now) }) else {
            return refuse(Asked(signal), .busy, to: session)
        }
        guard signal.peer != name else { return refuse(Asked(signal), .oneself, to: session) }
        // Where services were not agreed on, a signal goes to the newest run, as it always did.
        let service = session.takesStreams ? signal.service : ""
        let receiver = directory.withLockedValue {
            $0.receiver(named: signal.peer, run: signal.run, service: service, at: now)
        }
        switch receiver {
        case .session(let receiver):
            tally.withLockedValue { $0.forwarded += 1 }
            receiver.send(
                .peerSignal(
                    AditPeerSignal(
                        peer: name,
                        run: session.runID,
                        service: service,
                        key: key.bytes,
                        address: signal.tellsAddress ? session.publicAddress : "",
                        body: signal.body,
                        signature: signal.signature
                    )
                )
            )
        default: absent(receiver, Asked(signal), to: session)
        }
    }

    /// Takes which services a run has.
    func announce(_ services: AditServices, from session: ServerSession) {
        guard directory(of: session).withLockedValue({ $0.announce(services, of: session) }) else {
            return session.close(.protocolBroken("services that cannot be"))
        }
    }

    // MARK: Private proxies

    /// Gives a guest the name of a private proxy, which one of them has at a time.
    func claim(_ name: String, for session: ServerSession) -> PrivateProxies<ServerSession>.Claim {
        let claim = proxies.withLockedValue { $0.claim(name, for: session) }
        if claim == .granted {
            // Whoever asks for it now is led there, also before the run has told its services.
            let service = AditServices(names: [name], isMore: true)
            _ = directory(of: session).withLockedValue { $0.announce(service, of: session) }
        }
        return claim
    }

    /// Takes a name back.
    func release(_ name: String, of session: ServerSession) {
        proxies.withLockedValue { $0.release(name, of: session) }
    }

    /// Tells a guest who has a private proxy.
    func answer(_ query: AditServiceQuery, to session: ServerSession) {
        guard session.identity.isGuest, query.isWellFormed else {
            return session.close(.protocolBroken("a query that cannot be one"))
        }
        var holder = AditServiceHolder(name: query.name)
        let now = clock.now()
        if !directory(of: session).withLockedValue({ $0.maySend(session, at: now) }) {
            guard mayRefuse(session) else { return }
            holder.reason = AditServiceHolder.Reason.busy.rawValue
        } else if let found = proxies.withLockedValue({ $0.holder(of: query.name) }) {
            holder.peer = found.identity.name
        } else {
            holder.reason = AditServiceHolder.Reason.noService.rawValue
        }
        session.send(.serviceHolder(holder))
    }

    /// Whom somebody asked for.
    struct Asked {
        var peer: String
        var run: String
        var service: String

        init(_ signal: AditPeerSignal) {
            (peer, run, service) = (signal.peer, signal.run, signal.service)
        }

        init(_ stream: AditPeerStream) {
            (peer, run, service) = (stream.peer, stream.run, stream.service)
        }
    }

    /// Says why nobody takes it.
    func absent(_ receiver: PeerDirectory<ServerSession>.Receiver, _ asked: Asked, to session: ServerSession) {
        switch receiver {
        case .session: break
        case .runEnded: refuse(asked, .runEnded, to: session)
        case .noService: refuse(asked, .noService, to: session)
        case .noStreams: refuse(asked, .noStreams, to: session)
        case .deaf: refuse(asked, .off, to: session)
        case .busy: refuse(asked, .busy, to: session)
        case .none: explain(asked, to: session)
        }
    }

    /// Looks up since when a device is away, or that there is none.
    private func explain(_ asked: Asked, to session: ServerSession) {
        guard mayRefuse(session) else { return }
        // Guests are known for as long as they are here.
        guard !session.identity.isGuest else { return answer(asked, .offline, lastSeen: 0, to: session) }
        store.device(named: asked.peer, on: session.eventLoop).whenComplete { [self] result in
            switch result {
            // The store takes no notice of capitals, signatures do.
            case .success(let found?) where found.name == asked.peer:
                answer(asked, .offline, lastSeen: found.lastSeen.seconds, to: session)
            case .success: answer(asked, .unknown, lastSeen: 0, to: session)
            case .failure(let error):
                log.error("the database failed: \(error)")
                answer(asked, .offline, lastSeen: 0, to: session)
            }
        }
    }

    func refuse(_ asked: Asked, _ reason: AditPeerUnavailable.Reason, to session: ServerSession) {
        if reason == .busy { tally.withLockedValue { $0.limited += 1 } }
        guard mayRefuse(session) else { return }
        answer(asked, reason, lastSeen: 0, to: session)
    }

    /// Tells devices that another one is known no longer.
    func tellRemoval(of name: String, to sessions: [ServerSession]) {
        let answer = AditPeerUnavailable(
            peer: name,
            run: "",
            service: "",
            reason: AditPeerUnavailable.Reason.unknown.rawValue,
            lastSeen: 0
        )
        for session in sessions where session.takesSignals && !session.identity.isGuest {
            session.send(.peerUnavailable(answer))
        }
    }

    private func mayRefuse(_ session: ServerSession) -> Bool {
        directory(of: session).withLockedValue { $0.mayBeRefused(session, at: clock.now()) }
    }

    private func answer(
        _ asked: Asked,
        _ reason: AditPeerUnavailable.Reason,
        lastSeen: Int64,
        to session: ServerSession
    ) {
        if reason != .busy { tally.withLockedValue { $0.refused += 1 } }
        session.send(
            .peerUnavailable(
                AditPeerUnavailable(
                    peer: asked.peer,
                    run: asked.run,
                    service: asked.service,
                    reason: reason.rawValue,
                    lastSeen: lastSeen
                )
            )
        )
    }
}

extension ServerSession {
    /// From where the session comes, as text; empty where that is not known.
    fileprivate var publicAddress: String { remoteAddress.map { $0.address.unmapped.description } ?? "" }

    /// Whether it is a device or a guest, and one that takes signals of others.
    var takesSignals: Bool { identity.peer != nil && isAdit && features.contains(.paths) }

    /// Whether it tells and takes services, and streams of others.
    var takesStreams: Bool { takesSignals && features.contains(.services) }
}
