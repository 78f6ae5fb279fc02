// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOCore

/// The other end of visits: the connection that is there, or who waits for one; lives on its event loop.
///
/// Whoever comes before there is a connection waits for it, so many and so long, so that a program that connects right after the
/// start is served.
final class VisitPeer {
    private struct Waiter {
        var body: (Result<ServicePeer, AditError>) -> Void
        var timer: Scheduled<Void>
    }

    private let place: ServicePlace
    private let peers: any ServicePeers
    private let eventLoop: any EventLoop
    private let patience: TimeAmount
    private let capacity: Int
    private var current: ServicePeer?
    private var waiting: [Int: Waiter] = [:]
    private var next = 0
    private var isAsking = false
    private var isClosed = false

    init(
        _ place: ServicePlace,
        _ peers: any ServicePeers,
        on eventLoop: any EventLoop,
        patience: TimeAmount,
        capacity: Int
    ) {
        self.place = place
        self.peers = peers
        self.eventLoop = eventLoop
        self.patience = patience
        self.capacity = capacity
    }

    /// Gives the connection, now or when there is one; an error when there is none in time.
    func get(_ body: @escaping (Result<ServicePeer, AditError>) -> Void) {
        if let current { return body(.success(current)) }
        guard !isClosed, waiting.count < capacity else { return body(.failure(ServiceProblem.tooManyWait(place))) }
        let number = next
        next += 1
        let timer = eventLoop.assumeIsolated().scheduleTask(in: patience) { [self] in
            guard let waiter = waiting.removeValue(forKey: number) else { return }
            waiter.body(.failure(ServiceProblem.noConnection(to: place)))
        }
        waiting[number] = Waiter(body: body, timer: timer)
        ask()
    }

    /// Uses a connection no longer that has turned out to be over.
    func forget(_ peer: ServicePeer) {
        if current?.connection === peer.connection { current = nil }
    }

    /// Uses no connection any longer to a device that seems to be gone.
    func forget(named name: String) {
        if current?.id.name == name { current = nil }
    }

    /// Lets everybody go who waits.
    func close() {
        isClosed = true
        current = nil
        settle(.failure(ServiceProblem.noConnection(to: place)))
    }

    private func ask() {
        guard !isAsking, !isClosed else { return }
        isAsking = true
        peers.connect(place.device, service: place.service) { [weak self] result in
            guard let self else { return }
            isAsking = false
            guard !isClosed else { return }
            if case .success(let peer) = result { current = peer }
            settle(result)
        }
    }

    private func settle(_ result: Result<ServicePeer, AditError>) {
        let all = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, waiter) in all {
            waiter.timer.cancel()
            waiter.body(result)
        }
    }
}
