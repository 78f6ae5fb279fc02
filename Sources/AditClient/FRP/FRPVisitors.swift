// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import NIOCore

/// The visitors of frpc's configuration: local ports that lead to private proxies; lives on its event loop.
final class FRPVisitors {
    /// What happens, with the visitor's name.
    enum Event {
        /// Its port is open.
        case started(IPEndpoint?)
        /// Its port could not be opened; it is tried again.
        case failed(AditError)
        /// Something at a visit.
        case visit(VisitNews)
    }

    private struct Entry {
        let plan: FRPPrivateSetup.Visitor
        let visits: ServiceVisits
    }

    /// frp looks at its visitors so often.
    private static let retryPause = TimeAmount.seconds(10)

    private let eventLoop: any EventLoop
    private let tell: (String, Event) -> Void
    private var entries: [Entry] = []
    private var hasStarted = false
    private var isClosed = false

    init(
        _ plans: [FRPPrivateSetup.Visitor],
        peers: any ServicePeers,
        ownKey: KeyFingerprint,
        on eventLoop: any EventLoop,
        tell: @escaping (String, Event) -> Void
    ) {
        self.eventLoop = eventLoop
        self.tell = tell
        entries = plans.map { plan in
            let visits = ServiceVisits(plan.order, peers: peers, ownKey: ownKey, on: eventLoop) { news in
                tell(plan.name, .visit(news))
            }
            return Entry(plan: plan, visits: visits)
        }
        for entry in entries where !entry.plan.fallbackTo.isEmpty {
            entry.visits.fallback = entries.first { $0.plan.name == entry.plan.fallbackTo }?.visits
        }
    }

    /// Opens the ports; once.
    func start() {
        guard !hasStarted, !isClosed else { return }
        hasStarted = true
        for entry in entries {
            if entry.plan.listens { listen(entry) } else { tell(entry.plan.name, .started(nil)) }
            if let interval = entry.plan.keepsOpenEvery { keepOpen(entry, every: interval) }
        }
    }

    /// Looks for the other end now, and again and again.
    private func keepOpen(_ entry: Entry, every interval: Duration) {
        guard !isClosed else { return }
        entry.visits.prepare()
        eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(interval.wholeNanoseconds)) { [weak self] in
            self?.keepOpen(entry, every: interval)
        }
    }

    private func listen(_ entry: Entry) {
        guard !isClosed else { return }
        entry.visits.listen().assumeIsolated().whenComplete { [weak self] result in
            guard let self, !isClosed else { return }
            switch result {
            case .success(let endpoint): tell(entry.plan.name, .started(endpoint))
            case .failure(let error):
                let problem = error as? AditError ?? AditError(.cannotListen, Text(verbatim: "\(error)"))
                tell(entry.plan.name, .failed(problem))
                eventLoop.assumeIsolated().scheduleTask(in: Self.retryPause) { [weak self] in self?.listen(entry) }
            }
        }
    }

    /// Who seems to be gone is looked for anew when the next one comes.
    func forget(_ name: String) {
        for entry in entries { entry.visits.forget(name) }
    }

    /// Ends every visit.
    func close() {
        isClosed = true
        for entry in entries { entry.visits.close() }
        entries = []
    }
}
