// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What a stranger gets when peers with valid keys name it again and again.
@Suite struct PathStrangersTests {
    private static let own = PathPeerID(name: "a", key: "a")

    private static func finder() -> PathFinder {
        var configuration = PathConfiguration(ownID: own, server: PathServer())
        let address = IPAddress.v4(0xC612_0002)
        configuration.network = LocalNetwork(
            interfaces: [LocalInterface(name: "eth0", addresses: [address], isDefault: true)],
            address: address
        )
        return PathFinder(configuration, random: SeededGenerator(seed: 3))
    }

    /// What a peer tells that names endpoints.
    private static func signal(_ endpoints: [IPEndpoint], session: UInt64) -> PathSignal {
        var generator = SeededGenerator(seed: session)
        var description = PathDescription(credentials: ICECredentials(using: &generator))
        description.candidates = endpoints.map {
            ICECandidate(foundation: "h", priority: 2_000_000_000, endpoint: $0, type: .host)
        }
        description.isComplete = true
        return PathSignal(session: session, peerSession: 0, revision: 1, acknowledged: 0, .description(description))
    }

    /// Opens the sockets that are wanted, and counts what goes where.
    private static func pump(_ finder: inout PathFinder, _ counts: inout [IPAddress: Int], at now: Instant) {
        while let output = finder.nextOutput() {
            switch output {
            case .open(let id, .udp(let local)):
                finder.handle(.opened(id, local: IPEndpoint(local.address, 40_000 + UInt16(id.number % 1000))), at: now)
            case .open(_, .tcp(_, let remote)): counts[remote.address, default: 0] += 1
            case .send(_, _, let remote, _): counts[remote.address, default: 0] += 1
            default: break
            }
        }
    }

    private static func run(
        _ finder: inout PathFinder,
        _ counts: inout [IPAddress: Int],
        from: Instant,
        to end: Instant
    ) {
        var now = from
        pump(&finder, &counts, at: now)
        while let deadline = finder.nextDeadline, deadline <= end {
            now = max(now, deadline)
            finder.handle(.timer, at: now)
            pump(&finder, &counts, at: now)
        }
    }

    /// Several peers begin one session after the other; the counts of all addresses.
    private static func attack(
        _ endpoints: [IPEndpoint],
        peers: Int,
        sessions: Int,
        every pause: Duration
    ) -> [IPAddress: Int] {
        var finder = finder()
        var counts: [IPAddress: Int] = [:]
        var now = Instant.zero
        for session in 0..<sessions {
            let number = session % peers
            let peer = PathPeerID(name: "m\(number)", key: "m\(number)")
            finder.receive(signal(endpoints, session: UInt64(session + 1)), from: peer, at: now)
            run(&finder, &counts, from: now, to: now + pause)
            now = now + pause
        }
        return counts
    }

    @Test(arguments: [1, 2, 4]) func anAddressGetsAFewPacketsHoweverOftenItIsNamed(peers: Int) {
        let target = IPEndpoint(.v4(0xC633_640A), 4000)
        let counts = Self.attack([target], peers: peers, sessions: 12, every: .seconds(5))
        #expect((1...25).contains(counts[target.address] ?? 0), "\(counts)")
    }

    @Test func aNetworkGetsSixtyPacketsInAll() {
        let targets = (0..<20).map { IPEndpoint(.v4(0xC633_640A + UInt32($0)), 4000) }
        let counts = Self.attack(targets, peers: 2, sessions: 6, every: .seconds(5))
        #expect((1...60).contains(counts.values.reduce(0, +)), "\(counts)")
    }

    @Test func sessionsThatFollowEachOtherGetNothingSent() {
        var reached = 0
        var finder = Self.finder()
        let peer = PathPeerID(name: "m", key: "m")
        for session in 0..<40 {
            var counts: [IPAddress: Int] = [:]
            let target = IPEndpoint(.v4(0x2D00_0001 + UInt32(session) << 16), 4000)
            let now = Instant.zero + .milliseconds(1000 * session)
            finder.receive(Self.signal([target], session: UInt64(session + 1)), from: peer, at: now)
            Self.run(&finder, &counts, from: now, to: now + .milliseconds(999))
            if counts[target.address] != nil { reached += 1 }
        }
        #expect((1...8).contains(reached))
    }

    @Test func manyRunsOfADeviceAreOneDevice() {
        var finder = Self.finder()
        var reached: Set<IPAddress> = []
        for run in 0..<20 {
            var counts: [IPAddress: Int] = [:]
            let peer = PathPeerID(name: "m", key: "m", run: "\(run)")
            let targets = (0..<12).map { IPEndpoint(.v4(0x2D00_0001 + UInt32(run) << 16 + UInt32($0) << 8), 4000) }
            let now = Instant.zero + .seconds(run)
            finder.receive(Self.signal(targets, session: UInt64(run + 1)), from: peer, at: now)
            Self.run(&finder, &counts, from: now, to: now + .milliseconds(500))
            reached.formUnion(counts.keys)
        }
        #expect((1...64).contains(reached.count))
    }

    @Test func afterAWhileAnAddressIsTriedAgain() {
        let target = IPEndpoint(.v4(0xC633_640A), 4000)
        let counts = Self.attack([target], peers: 1, sessions: 2, every: .seconds(601))
        #expect((18...50).contains(counts[target.address] ?? 0), "\(counts)")
    }
}
