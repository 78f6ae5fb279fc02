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
    private let directory: NIOLockedValueBox<PeerDirectory<ServerSession>>
    private let tally = NIOLockedValueBox(ServerStatus.Signals(devices: 0, forwarded: 0, refused: 0, limited: 0))
    private let store: Store
    private let clock: Clock
    private let log: Logger

    init(store: Store, clock: Clock, terms: SignalTerms = SignalTerms(), log: Logger) {
        directory = NIOLockedValueBox(PeerDirectory(terms))
        self.store = store
        self.clock = clock
        self.log = log
    }

    /// Figures since the start.
    var status: ServerStatus.Signals {
        var status = tally.withLockedValue { $0 }
        status.devices = directory.withLockedValue { $0.count }
        return status
    }

    func opened(_ session: ServerSession) {
        guard case .device(_, let name) = session.identity else { return }
        directory.withLockedValue { directory in
            directory.insert(
                session,
                name: name,
                run: session.runID,
                takesSignals: session.takesSignals,
                at: clock.now()
            )
        }
    }

    func closed(_ session: ServerSession) {
        guard case .device(_, let name) = session.identity else { return }
        directory.withLockedValue { $0.remove(session, name: name, at: clock.now()) }
    }

    /// Passes a signal on, or tells its sender why not.
    func forward(_ signal: AditPeerSignal, from session: ServerSession) {
        guard case .device(let key, let name) = session.identity, session.takesSignals, signal.isWellFormed else {
            return session.close(.protocolBroken("a signal that cannot be one"))
        }
        let now = clock.now()
        guard directory.withLockedValue({ $0.maySend(session, at: now) }) else {
            return refuse(signal, .busy, to: session)
        }
        guard signal.peer != name else { return refuse(signal, .oneself, to: session) }
        let receiver = directory.withLockedValue { $0.receiver(named: signal.peer, run: signal.run, at: now) }
        switch receiver {
        case .session(let receiver):
            tally.withLockedValue { $0.forwarded += 1 }
            receiver.send(
                .peerSignal(
                    AditPeerSignal(
                        peer: name,
                        run: session.runID,
                        key: key.bytes,
                        address: signal.tellsAddress ? session.publicAddress : "",
                        body: signal.body,
                        signature: signal.signature
                    )
                )
            )
        case .runEnded: refuse(signal, .runEnded, to: session)
        case .deaf: refuse(signal, .off, to: session)
        case .busy: refuse(signal, .busy, to: session)
        case .none: explain(signal, to: session)
        }
    }

    /// Looks up since when a device is away, or that there is none.
    private func explain(_ signal: AditPeerSignal, to session: ServerSession) {
        guard mayRefuse(session) else { return }
        store.device(named: signal.peer, on: session.eventLoop).whenComplete { [self] result in
            switch result {
            // The store takes no notice of capitals, signatures do.
            case .success(let found?) where found.name == signal.peer:
                answer(signal, .offline, lastSeen: found.lastSeen.seconds, to: session)
            case .success: answer(signal, .unknown, lastSeen: 0, to: session)
            case .failure(let error):
                log.error("the database failed: \(error)")
                answer(signal, .offline, lastSeen: 0, to: session)
            }
        }
    }

    private func refuse(_ signal: AditPeerSignal, _ reason: AditPeerUnavailable.Reason, to session: ServerSession) {
        if reason == .busy { tally.withLockedValue { $0.limited += 1 } }
        guard mayRefuse(session) else { return }
        answer(signal, reason, lastSeen: 0, to: session)
    }

    private func mayRefuse(_ session: ServerSession) -> Bool {
        directory.withLockedValue { $0.mayBeRefused(session, at: clock.now()) }
    }

    private func answer(
        _ signal: AditPeerSignal,
        _ reason: AditPeerUnavailable.Reason,
        lastSeen: Int64,
        to session: ServerSession
    ) {
        if reason != .busy { tally.withLockedValue { $0.refused += 1 } }
        session.send(
            .peerUnavailable(
                AditPeerUnavailable(peer: signal.peer, run: signal.run, reason: reason.rawValue, lastSeen: lastSeen)
            )
        )
    }
}

extension ServerSession {
    /// From where the session comes, as text; empty where that is not known.
    fileprivate var publicAddress: String { remoteAddress.map { $0.address.unmapped.description } ?? "" }

    /// Whether it is a device, and one that takes signals of others.
    fileprivate var takesSignals: Bool {
        guard case .device = identity else { return false }
        return isAdit && features.contains(.paths)
    }
}
