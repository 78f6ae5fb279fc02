// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditTunnel
import AditWire
import NIOCore

// What this device and others say to each other through the server.
extension PathDesk {
    /// Says who this is to a device whose key or run is not known; its answer shows them.
    func greet(_ peer: DeskPeer) {
        guard peer.id == nil, peer.greeting == nil else { return }
        let delay = TimeAmount.seconds(1 << Int64(min(peer.greetings, 5)))
        peer.greetings += 1
        say([], to: peer)
        peer.greeting = eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            guard peer.greeting != nil else { return }
            peer.greeting = nil
            guard peer.id == nil, isConnected, peers[peer.place] === peer else { return }
            if peer.greetings < Self.greetingTries { return greet(peer) }
            let error = PathProblem.silent(peer.place.name)
            drop(peer, error)
            tell(.problem(peer.place.name, error))
        }
    }

    func say(_ payload: [UInt8], to peer: DeskPeer) {
        if isConnected, canSignal, !hasStopped, peer.saidAt == nil { peer.saidAt = now }
        let service = peer.place.run.isEmpty ? peer.place.service : peer.askedFor
        say(payload, to: peer.place, service: service)
    }

    /// Signs and sends; `echo` names a run of the device that is not taken for its present one yet.
    private func say(_ payload: [UInt8], to place: PeerRun, service: String, echo: UInt64? = nil) {
        guard isConnected, canSignal, !hasStopped else { return }
        var signal = ledger.seal(
            payload,
            for: place.name,
            run: place.run,
            receiver: keys.key(of: place.name),
            time: parts.unixTime(),
            echo: echo
        )
        signal?.service = hasServices ? service : ""
        // Who wants no direct path tells nobody where it is.
        signal?.tellsAddress = !payload.isEmpty && parts.options.policy != .relayOnly
        if let signal { session.signal(signal) }
    }

    func received(_ signal: AditPeerSignal) {
        guard !hasStopped, keys.isReady else { return }
        guard keys.fault == nil else {
            if answers.take(1, at: now) { keys.reload() }
            return
        }
        switch ledger.open(signal, known: keys.key(of: signal.peer), time: parts.unixTime()) {
        case .accepted(let message): take(message, service: signal.service, seenAt: IPAddress(signal.address))
        case .unproven(let message):
            // Whoever it is has to say it again, to this run; a copy of something old cannot.
            guard answers.take(1, at: now) else { return }
            let place = PeerRun(name: message.name, run: message.run)
            say([], to: place, service: signal.service, echo: message.epoch)
        case .refused(.keyChanged(let known, let found)):
            guard answers.take(1, at: now) else { return }
            let error = PathProblem.keyChanged(signal.peer, known: known, now: found)
            for peer in Array(peers.values) where peer.place.name == signal.peer && peer.id == nil { drop(peer, error) }
            // A person may have accepted the new key meanwhile.
            keys.reload()
            tell(.problem(signal.peer, error))
        case .refused: break
        }
    }

    private func take(_ message: PeerMessage, service: String, seenAt address: IPAddress?) {
        guard let peer = peer(of: message, service) else { return }
        keys.learn(message.key, of: message.name)
        peer.greeting?.cancel()
        peer.greeting = nil
        peer.greetings = 0
        peer.awaySince = nil
        peer.isAbsent = false
        let isNewlyKnown = peer.id == nil
        if isNewlyKnown { identify(peer, as: newID(message)) }
        guard let id = peer.id else { return }
        if isNewlyKnown, peer.isWanted { withFinder { $0.connect(id, at: Clock.monotonic.now()) } }
        guard !message.payload.isEmpty else {
            let isKept = peer.isWanted || peer.lastPayload != nil || peer.relay.isOpen || isHeld(peer.place)
            if isKept { open(peer, message) }
            if !message.namesThisRun {
                // A greeting: the answer shows this device's key, and names the run that greeted.
                if answers.take(1, at: now) { say([], to: peer) }
            } else if !isNewlyKnown, let payload = peer.lastPayload, answers.take(1, at: now) {
                say(payload, to: peer)
            }
            if !isKept { drop(peer) }
            return
        }
        guard let signal = try? PathSignal.decode(message.payload.span.bytes) else { return }
        open(peer, message)
        withFinder { $0.receive(signal, from: id, seenAt: address, at: Clock.monotonic.now()) }
    }

    /// Whose message it is: a run that is known, the one that was asked for, or one more.
    private func peer(of message: PeerMessage, _ service: String) -> DeskPeer? {
        let place = PeerRun(name: message.name, run: message.run)
        var peer = peers[place]
        if peer == nil {
            // The same process may come back under another run.
            let same = known.values.first { peer in
                peer.place.name == message.name && peer.epoch == message.epoch && peer.key == message.publicKey
            }
            if let same {
                move(same, to: place)
                peer = same
            }
        }
        // Whoever answers first is the one that was asked for, and of services the one that names it.
        let open = PeerRun(name: message.name, run: "", service: message.namesThisRun ? service : "")
        var isAnswer = false
        if let asked = peers[open], peer == nil || !open.service.isEmpty {
            isAnswer = !open.service.isEmpty
            if let peer {
                peer.take(asked)
                drop(asked)
                if let id = asked.id { driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) } }
                if let id = peer.id {
                    if peer.epoch != 0 { peer.answer(.success(id)) }
                    withFinder { $0.connect(id, at: Clock.monotonic.now()) }
                }
            } else {
                move(asked, to: place)
                peer = asked
            }
        }
        if peer == nil, makeRoom(for: message.name) { peer = add(place) }
        if !service.isEmpty, !isAnswer { peer?.askedFor = service }
        return peer
    }

    /// The process said who it is: packets may go to it from now on.
    private func open(_ peer: DeskPeer, _ message: PeerMessage) {
        guard let id = peer.id else { return }
        if peer.epoch != message.epoch {
            let isAnother = peer.epoch != 0
            peer.epoch = message.epoch
            peer.key = message.publicKey
            if isAnother {
                // Whoever was there before is gone, and so is what was said to it.
                peer.relay.close()
                delegate?.pathEnded(id, .left)
            }
            let leads = leads(id)
            delegate?.pathOpened(id, peerKey: message.publicKey, leads: leads)
            tell(.opened(PathContact(id: id, key: message.publicKey), leads: leads))
        }
        peer.answer(.success(id))
        takeHeld(peer)
        openRelay(peer)
        noteHeard(peer)
    }

    /// Whether this end is the first of the two.
    func leads(_ id: PathPeerID) -> Bool {
        PathPeerID(name: ledger.ownName, key: parts.key.publicKey.fingerprint) < id
    }

    /// Whether one more run of a device has a place, which no device can take from the others.
    private func makeRoom(for name: String) -> Bool {
        let runs = peers.values.filter { $0.place.name == name }
        if runs.count >= Self.runLimit {
            guard let oldest = runs.filter({ !$0.isWanted }).min(by: { $0.number < $1.number }) else { return false }
            drop(oldest)
            if let id = oldest.id {
                if oldest.epoch != 0 { delegate?.pathEnded(id, .left) }
                driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) }
            }
        }
        return peers.count < Self.capacity
    }

    /// Two runs of one device are two peers.
    private func newID(_ message: PeerMessage) -> PathPeerID {
        let id = PathPeerID(name: message.name, key: message.key.description)
        guard known[id] != nil else { return id }
        return PathPeerID(name: message.name, key: id.key, run: message.run)
    }

    func unavailable(_ answer: AditPeerUnavailable) {
        let name = answer.peer
        let asked = PeerRun(name: name, run: answer.run, service: answer.run.isEmpty ? answer.service : "")
        guard !hasStopped, let peer = peers[asked] ?? find(name, answer.service) else { return }
        switch answer.knownReason {
        case .noStreams:
            peer.relay.isRefused = true
            return
        case .runEnded:
            // Another run of the device may take it up.
            ledger.forget(name, run: answer.run)
            let open = PeerRun(name: name, run: "", service: peer.asks.keys.min() ?? "")
            guard peer.place == asked, !answer.run.isEmpty, peers[open] == nil else { return }
            move(peer, to: open)
            if let payload = peer.lastPayload, answers.take(1, at: now) { say(payload, to: peer) }
            return
        default: break
        }
        guard let error = PathProblem.unavailable(answer, now: parts.unixTime()) else { return }
        // A path that is there needs no signals to go on, and a device that reconnects is away for a moment.
        if peer.hasPath, answer.knownReason != .unknown { return }
        if answer.knownReason == .offline || answer.knownReason == .noService, isOnlyAway(peer) { return }
        peer.isAbsent = true
        problem(peer, error)
        if answer.knownReason == .unknown { end(all: name) }
    }

    /// The server knows a device no longer: its owner has removed it, and nothing of it is taken on any path.
    private func end(all name: String) {
        for peer in Array(peers.values) where peer.place.name == name {
            guard let id = peer.id else { continue }
            driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) }
            if known[id] === peer { ended(peer, .disconnected) }
        }
    }

    /// Whether a device that is not there has been, and may be on its way back; what it is told is said again meanwhile.
    private func isOnlyAway(_ peer: DeskPeer) -> Bool {
        guard !peer.isAbsent, let saidAt = peer.saidAt else { return false }
        guard let since = peer.awaySince else {
            guard now - saidAt >= Self.presence else { return false }
            peer.awaySince = now
            return true
        }
        return now - since < Self.patience
    }
}
