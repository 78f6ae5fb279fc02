// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Random traffic through a box, beside the definitions written as a search through everything that was ever sent.
@Suite struct ModelTests {
    /// One mapping as the definitions have it.
    private struct Mapping {
        let inner: Int
        let remote: String
        let external: IPEndpoint
        var refreshed: Instant
        /// When the inside last sent to a remote endpoint or address, or an endpoint's packet came in.
        var permitted: [String: Instant] = [:]
    }

    private final class Model {
        let mapping: MappingBehavior
        let filtering: FilteringBehavior
        let timers: NATTimers
        var mappings: [Mapping] = []

        init(_ mapping: MappingBehavior, _ filtering: FilteringBehavior, _ timers: NATTimers) {
            (self.mapping, self.filtering, self.timers) = (mapping, filtering, timers)
        }

        private func isFresh(_ time: Instant?, at now: Instant) -> Bool {
            time.map { now < $0 + timers.idle } ?? false
        }

        private func key(_ remote: IPEndpoint) -> String {
            switch mapping {
            case .endpointIndependent: ""
            case .addressDependent: "\(remote.address)"
            case .addressAndPortDependent: "\(remote)"
            }
        }

        /// A packet left as `external`: whether that is what the definitions ask for.
        func sent(_ inner: Int, to remote: IPEndpoint, as external: IPEndpoint, at now: Instant) -> Bool {
            // A flow that came in by a mapping goes out by it.
            let byFlow = mappings.lastIndex {
                $0.inner == inner && isFresh($0.refreshed, at: now) && isFresh($0.permitted["in \(remote)"], at: now)
            }
            let known =
                byFlow
                ?? mappings.lastIndex {
                    $0.inner == inner && $0.remote == key(remote) && isFresh($0.refreshed, at: now)
                }
            let index: Int
            if let known {
                guard mappings[known].external == external else { return false }
                index = known
            } else {
                guard !mappings.contains(where: { $0.external == external && isFresh($0.refreshed, at: now) }) else {
                    return false
                }
                mappings.append(Mapping(inner: inner, remote: key(remote), external: external, refreshed: now))
                index = mappings.count - 1
            }
            mappings[index].refreshed = now
            mappings[index].permitted["\(remote)"] = now
            mappings[index].permitted["\(remote.address)"] = now
            if mappings[index].permitted["in \(remote)"] != nil { mappings[index].permitted["in \(remote)"] = now }
            return true
        }

        /// Which socket a packet from outside reaches; nil for none.
        func receives(_ external: IPEndpoint, from remote: IPEndpoint, at now: Instant) -> Int? {
            let place = mappings.lastIndex { $0.external == external && isFresh($0.refreshed, at: now) }
            guard let place else { return nil }
            let permitted = mappings[place].permitted
            let isKnownFlow =
                isFresh(permitted["\(remote)"], at: now) || isFresh(permitted["in \(remote)"], at: now)
            let mayEnter =
                switch filtering {
                case .endpointIndependent: true
                case .addressDependent: isKnownFlow || isFresh(permitted["\(remote.address)"], at: now)
                case .addressAndPortDependent: isKnownFlow
                }
            guard mayEnter else { return nil }
            if !isKnownFlow { mappings[place].permitted["in \(remote)"] = now }
            if timers.inboundRefreshes {
                mappings[place].refreshed = now
                for name in ["\(remote)", "in \(remote)"] where isFresh(mappings[place].permitted[name], at: now) {
                    mappings[place].permitted[name] = now
                }
            }
            return mappings[place].inner
        }
    }

    @Test(arguments: MappingBehavior.allCases, FilteringBehavior.allCases)
    func aBoxDoesWhatTheDefinitionsSay(mapping: MappingBehavior, filtering: FilteringBehavior) throws {
        for seed: UInt64 in 1...8 {
            let allocation: PortAllocation = [.preserving, .random, .sequential(step: 3)][Int(seed % 3)]
            let timers = NATTimers(idle: .seconds(10), inboundRefreshes: seed % 2 == 0)
            try Lab.play(seed: seed) { lab in
                var configuration = NATConfiguration(mapping, filtering, allocation)
                configuration.udp.timers = timers
                let bench = Bench(lab, configuration, delay: .zero)
                lab.links[0].configuration.latency = .zero
                let model = Model(mapping, filtering, timers)
                var dice = lab.generator(for: 99)
                let sockets = (0..<3).compactMap { number in
                    (number == 2 ? bench.second : bench.inside).openUDP()
                }
                var remotes: [LabUDPSocket] = []
                let seen = Box<IPEndpoint?>(nil)
                let reached = Box<Int?>(nil)
                for address in ["203.0.113.10", "203.0.113.11"] {
                    for port in 1...3 {
                        let remote = try #require(bench.server.openUDP(endpoint("\(address):\(port)")))
                        remote.onDatagram = { _, sender in seen.value = sender }
                        remotes.append(remote)
                    }
                }
                for (number, socket) in sockets.enumerated() {
                    socket.onDatagram = { _, _ in reached.value = number }
                }
                var externals: [IPEndpoint] = []
                for step in 0..<400 {
                    try lab.run(for: .milliseconds(Int64(dice.next() % 3000)))
                    let remote = remotes[Int(dice.next() % 6)]
                    let comment: Comment = "seed \(seed) step \(step) \(allocation)"
                    if externals.isEmpty || dice.next() % 2 == 0 {
                        let number = Int(dice.next() % 3)
                        seen.value = nil
                        sockets[number].send([1], to: remote.local)
                        try lab.run(for: .zero)
                        let external = try #require(seen.value, comment)
                        try #require(model.sent(number, to: remote.local, as: external, at: lab.now), comment)
                        if !externals.contains(external) { externals.append(external) }
                    } else {
                        let external = externals[Int(dice.next() % UInt64(externals.count))]
                        reached.value = nil
                        remote.send([2], to: external)
                        try lab.run(for: .zero)
                        let expected = model.receives(external, from: remote.local, at: lab.now)
                        try #require(reached.value == expected, comment)
                    }
                }
            }
        }
    }
}
