// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore

/// Finds who has a private proxy by asking the server, and then the way there; lives on its event loop.
///
/// The server's word decides nothing: whoever it names has to prove the proxy's secret.
final class GuestPeers: ServicePeers {
    typealias Hearer = (Result<ServicePeer, AditError>) -> Void

    /// An answer may have been lost with the session, or the server was busy.
    private static let pause = TimeAmount.seconds(5)

    private let peers: any ServicePeers
    private let eventLoop: any EventLoop
    private let ask: (AditServiceQuery) -> Void
    private var waiting: [String: [Hearer]] = [:]
    private var timer: Scheduled<Void>?
    private var isConnected = false
    private var isStopped = false

    /// - Parameter ask: asks the server; it may get lost.
    init(_ peers: any ServicePeers, on eventLoop: any EventLoop, ask: @escaping (AditServiceQuery) -> Void) {
        self.peers = peers
        self.eventLoop = eventLoop
        self.ask = ask
    }

    func connect(_ device: String, service: String, hear: @escaping Hearer) {
        guard !isStopped else { return hear(.failure(FRPPrivateProblem.noConnection(service))) }
        let isFirst = waiting[service] == nil
        waiting[service, default: []].append(hear)
        if isFirst, isConnected { ask(AditServiceQuery(name: service)) }
        schedule()
    }

    func whenDirect(_ id: PathPeerID, within time: TimeAmount, hear: @escaping (Bool) -> Void) {
        peers.whenDirect(id, within: time, hear: hear)
    }

    func announce(_ services: [String]) {
        peers.announce(services)
    }

    /// There is a session with the server, or none.
    func connected(_ isConnected: Bool) {
        self.isConnected = isConnected
        if isConnected { askAll() }
    }

    /// Takes the server's answer.
    func took(_ holder: AditServiceHolder) {
        guard holder.isWellFormed, waiting[holder.name] != nil else { return }
        // A server that is busy is asked again.
        if holder.peer.isEmpty, holder.knownReason == .busy { return }
        let hearers = waiting.removeValue(forKey: holder.name) ?? []
        guard !holder.peer.isEmpty else {
            for hear in hearers { hear(.failure(FRPPrivateProblem.nobodyHas(holder.name))) }
            return
        }
        peers.connect(holder.peer, service: holder.name) { result in
            let told = result.mapError { error in
                error.code == .deviceOffline || error.code == .serviceUnknown
                    ? FRPPrivateProblem.nobodyHas(holder.name) : FRPPrivateProblem.noConnection(holder.name, why: error)
            }
            for hear in hearers { hear(told) }
        }
    }

    /// Lets everybody go who waits.
    func stop() {
        isStopped = true
        timer?.cancel()
        timer = nil
        let all = waiting
        waiting = [:]
        for (name, hearers) in all {
            for hear in hearers { hear(.failure(FRPPrivateProblem.noConnection(name))) }
        }
    }

    private func askAll() {
        for name in waiting.keys.sorted() { ask(AditServiceQuery(name: name)) }
    }

    private func schedule() {
        guard timer == nil, !isStopped else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [weak self] in
            guard let self else { return }
            timer = nil
            guard !waiting.isEmpty else { return }
            if isConnected { askAll() }
            schedule()
        }
    }
}
