// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What a device wants to have open at the server, and how far each wish has come on this connection.
struct ProxyRegistrations: Sendable {
    private enum State: Equatable {
        case new
        case waiting(resendAt: Instant)
        case running
        case failed(retryAt: Instant?)
    }

    private struct Entry {
        var proxy: FRPNewProxy
        var state: State
        /// Answers that are still to come for an earlier wish of the same name: answers carry nothing but the name.
        var staleAnswers = 0
    }

    private var entries: [String: Entry] = [:]
    private var order: [String] = []

    /// When something has to be sent again.
    var nextDeadline: Instant? {
        entries.values.lazy.compactMap { entry in
            switch entry.state {
            case .waiting(let at): at
            case .failed(let at): at
            case .new, .running: nil
            }
        }.min()
    }

    mutating func want(_ proxy: FRPNewProxy) {
        if let earlier = entries[proxy.proxyName], earlier.proxy == proxy {
            // The server may give one answer to two requests that are the same, so there is never a second one.
            if case .failed = earlier.state { entries[proxy.proxyName]?.state = .new }
            return
        }
        var entry = Entry(proxy: proxy, state: .new)
        if let earlier = entries[proxy.proxyName] {
            entry.staleAnswers = earlier.staleAnswers
            if case .waiting = earlier.state { entry.staleAnswers += 1 }
        } else {
            order.append(proxy.proxyName)
        }
        entries[proxy.proxyName] = entry
    }

    /// False when there was no such wish.
    mutating func forget(_ name: String) -> Bool {
        guard entries.removeValue(forKey: name) != nil else { return false }
        order.removeAll { $0 == name }
        return true
    }

    /// What has to be sent now, in the order of the wishes.
    mutating func due(at now: Instant, resendAfter: Duration) -> [FRPNewProxy] {
        var proxies: [FRPNewProxy] = []
        for name in order {
            guard let entry = entries[name] else { continue }
            let isDue =
                switch entry.state {
                case .new: true
                case .waiting(let at): at <= now
                case .failed(let at): at.map { $0 <= now } ?? false
                case .running: false
                }
            guard isDue else { continue }
            if case .waiting = entry.state { entries[name]?.staleAnswers = 0 }
            entries[name]?.state = .waiting(resendAt: now + resendAfter)
            proxies.append(entry.proxy)
        }
        return proxies
    }

    /// False when nobody waits for this answer.
    mutating func succeeded(_ name: String) -> Bool {
        guard takesAnswer(name) else { return false }
        entries[name]?.state = .running
        return true
    }

    /// False when nobody waits for this answer.
    mutating func failed(_ name: String, retryAt: Instant?) -> Bool {
        guard takesAnswer(name) else { return false }
        entries[name]?.state = .failed(retryAt: retryAt)
        return true
    }

    /// The proxy, when a connection for it may be served.
    ///
    /// Without multiplexing, a first visitor's connection can overtake the answer to the registration, so a proxy that
    /// waits for its answer is served as well.
    func active(_ name: String) -> FRPNewProxy? {
        switch entries[name]?.state {
        case .running, .waiting: entries[name]?.proxy
        case .new, .failed, nil: nil
        }
    }

    private mutating func takesAnswer(_ name: String) -> Bool {
        guard let entry = entries[name], case .waiting = entry.state else { return false }
        guard entry.staleAnswers == 0 else {
            entries[name]?.staleAnswers -= 1
            return false
        }
        return true
    }
}
