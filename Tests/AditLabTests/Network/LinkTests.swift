// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What links do to packets, counted over many of them.
@Suite struct LinkTests {
    /// Sends numbered datagrams, one every `gap`; gives what arrived with the time on the way.
    private func send(
        _ count: Int,
        over configuration: LinkConfiguration,
        seed: UInt64 = 1,
        size: Int = 4,
        gap: Duration = .milliseconds(1)
    ) throws -> [(number: Int, delay: Duration)] {
        try Lab.play(seed: seed) { lab in
            let link = lab.link(configuration)
            let host = lab.host("host")
            let peer = lab.host("peer")
            host.attach(to: link, "10.0.0.1/24")
            peer.attach(to: link, "10.0.0.2/24")
            let arrivals = Box<[(number: Int, delay: Duration)]>([])
            let socket = try #require(host.openUDP())
            let receiver = try #require(peer.openUDP(port: 7))
            receiver.onDatagram = { bytes, _ in
                let number = Int(bytes[0]) << 8 | Int(bytes[1])
                arrivals.value.append((number, lab.now - (Instant.zero + gap * number)))
            }
            for number in 0..<count {
                socket.send(
                    [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0, count: size - 2),
                    to: receiver.local.address.isUnspecified ? endpoint("10.0.0.2:7") : receiver.local
                )
                try lab.run(for: gap)
            }
            try lab.runUntilIdle()
            return arrivals.value
        }
    }

    @Test func jitterStaysWithinItsBoundsAndKeepsTheOrder() throws {
        let configuration = LinkConfiguration(latency: .milliseconds(20), jitter: .milliseconds(6))
        let arrivals = try send(2000, over: configuration)
        #expect(arrivals.count == 2000)
        #expect(arrivals.map(\.number) == Array(0..<2000))
        #expect(arrivals.allSatisfy { $0.delay >= .milliseconds(20) && $0.delay <= .milliseconds(26) })
        #expect(Set(arrivals.map(\.delay)).count > 1000)
    }

    @Test(arguments: [0.01, 0.05, 0.3])
    func lossAndDuplicationHaveTheirShares(share: Double) throws {
        for seed: UInt64 in 1...2 {
            var lossy = LinkConfiguration(latency: .milliseconds(1))
            lossy.loss = share
            let left = try send(4_000, over: lossy, seed: seed, gap: .microseconds(10)).count
            // Five standard deviations.
            let spread = 5 * (4_000 * share * (1 - share)).squareRoot()
            #expect(abs(Double(4_000 - left) - 4_000 * share) < spread, "seed \(seed)")
            var doubling = LinkConfiguration(latency: .milliseconds(1))
            doubling.duplication = share
            let doubled = try send(4_000, over: doubling, seed: seed, gap: .microseconds(10)).count
            #expect(abs(Double(doubled - 4_000) - 4_000 * share) < spread, "seed \(seed)")
        }
    }

    @Test func someArePassedByOthers() throws {
        var configuration = LinkConfiguration(latency: .milliseconds(5))
        configuration.reordering = 0.1
        let numbers = try send(2000, over: configuration).map(\.number)
        #expect(numbers.sorted() == Array(0..<2000))
        let overtaken = zip(numbers, numbers.dropFirst()).count { $0 > $1 }
        #expect((120...260).contains(overtaken), "\(overtaken)")
    }

    @Test func aRateTakesTimeAndFillsAQueue() throws {
        // 1028 bytes with headers, at 1 Mbit/s 8.224 ms each.
        let configuration = LinkConfiguration(latency: .milliseconds(1), rate: 1_000_000)
        let spaced = try send(20, over: configuration, size: 1000, gap: .milliseconds(10))
        #expect(spaced.allSatisfy { $0.delay == .microseconds(9224) })
        let burst = try send(200, over: configuration, size: 1000, gap: .zero)
        #expect(burst.count == 64 * 1024 / 1028 + 1)
        #expect(burst.last.map { $0.delay > .milliseconds(500) } == true)
    }

    @Test func aDatagramThatIsTooBigIsCutRefusedOrVanishes() throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, .firewall())
            bench.core.interfaces[1].link.configuration.mtu = 1000
            let socket = try #require(bench.inside.openUDP())
            let server = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
            let got = Box<[Int]>([])
            server.onDatagram = { bytes, _ in got.value.append(bytes.count) }
            let refusals = Box<[SocketRefusal]>([])
            socket.onRefusal = { refusals.value.append($0) }
            let large = [UInt8](repeating: 1, count: 1200)
            socket.send(large, to: server.local)
            try lab.run(for: .seconds(1))
            #expect(got.value == [1200])
            bench.inside.allowsFragments = false
            socket.send(large, to: server.local)
            try lab.run(for: .seconds(1))
            #expect(got.value == [1200])
            #expect(refusals.value.map(\.kind) == [.tooBig(mtu: 1000)])
            #expect(lab.drops.last?.reason == .tooBig)
            bench.core.interfaces[1].link.configuration.isBlackHole = true
            socket.send(large, to: server.local)
            try lab.run(for: .seconds(1))
            #expect(refusals.value.count == 1)
        }
    }

    @Test func aLinkThatIsDownCarriesNothing() throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, .firewall())
            let socket = try #require(bench.inside.openUDP())
            bench.lab.links[1].isUp = false
            #expect(try bench.mapped(socket).allSatisfy { $0 == nil })
            #expect(lab.drops.allSatisfy { $0.reason == .linkDown })
        }
    }
}
