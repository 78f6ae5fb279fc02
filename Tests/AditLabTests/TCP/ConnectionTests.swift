// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// TCP between two hosts.
@Suite struct ConnectionTests {
    struct Pair {
        let a: LabHost
        let b: LabHost
        let link: LabLink
        let target = endpoint("10.0.0.2:80")

        init(_ lab: Lab, _ configuration: LinkConfiguration = LinkConfiguration(latency: .milliseconds(10))) {
            a = lab.host("a")
            b = lab.host("b")
            link = lab.link(configuration)
            a.attach(to: link, "10.0.0.1/24")
            b.attach(to: link, "10.0.0.2/24")
        }
    }

    /// What one end of a connection was told.
    final class Log {
        var events: [LabTCPEvent] = []
        var bytes: [UInt8] = []
        var end: SocketEnd?
        func watch(_ connection: LabTCPConnection) {
            connection.onEvent = { [unowned self] event in
                switch event {
                case .bytes(let more): bytes += more
                case .ended(let reason): end = reason
                case .connected: events.append(event)
                }
            }
        }
    }

    @Test func aConnectionTakesOneRoundTripAndCarriesBytesAndBothEnds() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            let near = Log()
            let far = Log()
            let listener = try #require(pair.b.listen(port: webPort))
            let accepted = Box<LabTCPConnection?>(nil)
            listener.onAccept = {
                far.watch($0)
                accepted.value = $0
            }
            let connection = try pair.a.connect(to: pair.target).get()
            near.watch(connection)
            #expect(try lab.run(for: .seconds(5)) { connection.isConnected })
            #expect(lab.now == Instant.zero + .milliseconds(20))
            connection.write(Array("question".utf8))
            connection.finish()
            try lab.run(for: .milliseconds(100))
            #expect(far.bytes == Array("question".utf8) && far.end == .finished)
            accepted.value?.write(Array("answer".utf8))
            accepted.value?.close()
            try lab.run(for: .milliseconds(100))
            #expect(near.bytes == Array("answer".utf8) && near.end == .finished)
            try lab.runUntilIdle()
            #expect(lab.now > Instant.zero + .seconds(60), "the first to end waits for what is late")
        }
    }

    @Test(arguments: 1...12)
    func bytesArriveInOrderOverABadLink(seed: UInt64) throws {
        try Lab.play(seed: seed) { lab in
            var bad = LinkConfiguration(latency: .milliseconds(10), jitter: .milliseconds(5), loss: 0.08)
            bad.duplication = 0.05
            bad.reordering = 0.1
            let pair = Pair(lab, bad)
            let far = Log()
            let near = Log()
            try #require(pair.b.listen(port: webPort)).onAccept = { connection in
                far.watch(connection)
                connection.write([UInt8](repeating: 9, count: 30_000))
            }
            let connection = try pair.a.connect(to: pair.target).get()
            near.watch(connection)
            let sent = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
            connection.write(sent)
            connection.finish()
            #expect(try lab.run(for: .seconds(600)) { far.end == .finished }, "seed \(lab.seed)")
            #expect(far.bytes == sent, "seed \(lab.seed)")
            _ = try lab.run(for: .seconds(600)) { near.bytes.count == 30_000 }
            #expect(near.bytes.count == 30_000, "seed \(lab.seed)")
            #expect(connection.retransmissionCount > 0)
        }
    }

    @Test func aClosedPortRefusesAtOnce() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            let log = Log()
            log.watch(try pair.a.connect(to: pair.target).get())
            try lab.runUntilIdle()
            #expect(log.end == .refused)
            #expect(lab.now == Instant.zero + .milliseconds(20))
        }
    }

    @Test func aSilentHostTimesOutAfterSYNsAtOneThreeSevenSeconds() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            pair.b.answersClosedPorts = false
            lab.record()
            let log = Log()
            log.watch(try pair.a.connect(to: pair.target).get())
            try lab.runUntilIdle()
            #expect(log.end == .timedOut)
            let times = (lab.trace?.entries ?? []).compactMap { entry in
                if case .crossed = entry.outcome { return entry.at.nanoseconds / 1_000_000_000 }
                return nil
            }
            #expect(times == [0, 1, 3, 7, 15, 31, 63])
            #expect(lab.now == Instant.zero + .seconds(127))
        }
    }

    @Test func anErrorOfARouterEndsAConnect() throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, NATConfiguration(.endpointIndependent, .addressAndPortDependent))
            let log = Log()
            log.watch(try bench.inside.connect(to: endpoint("8.8.8.8:80")).get())
            try lab.run(for: .seconds(1))
            #expect(log.end == .unreachable)
        }
    }

    @Test func aResetEndsTheOtherSide() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            let far = Log()
            try #require(pair.b.listen(port: webPort)).onAccept = { far.watch($0) }
            let connection = try pair.a.connect(to: pair.target).get()
            try lab.run(for: .seconds(1))
            connection.abort()
            try lab.runUntilIdle()
            #expect(far.end == .reset)
        }
    }

    @Test func twoSYNsThatCrossMakeOneConnection() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            let local = endpoint("10.0.0.1:5000")
            let remote = endpoint("10.0.0.2:6000")
            let one = Log()
            let other = Log()
            let first = try pair.a.connect(from: local, to: remote).get()
            one.watch(first)
            let second = try pair.b.connect(from: remote, to: local).get()
            other.watch(second)
            try lab.run(for: .milliseconds(100))
            #expect(first.isConnected && second.isConnected)
            #expect(one.events == [.connected] && other.events == [.connected])
            first.write([1, 2, 3])
            second.write([4, 5])
            try lab.run(for: .milliseconds(100))
            #expect(other.bytes == [1, 2, 3] && one.bytes == [4, 5])
            #expect(first.retransmissionCount == 0)
        }
    }

    @Test func aConnectingSocketTakesWhatItsListenerWouldAcceptFromTheSamePeer() throws {
        try Lab.play(seed: 1) { lab in
            let pair = Pair(lab)
            let local = endpoint("10.0.0.1:5000")
            let remote = endpoint("10.0.0.2:6000")
            let accepted = Box(0)
            try #require(pair.a.listen(local)).onAccept = { _ in accepted.value += 1 }
            let first = try pair.a.connect(from: local, to: remote).get()
            let again = pair.a.connect(from: local, to: remote)
            #expect(throws: LabSocketFailure(end: .addressUnavailable)) { try again.get() }
            let second = try pair.b.connect(from: remote, to: local).get()
            try lab.run(for: .seconds(1))
            #expect(first.isConnected && second.isConnected && accepted.value == 0)
            let third = try pair.b.connect(from: endpoint("10.0.0.2:6001"), to: local).get()
            try lab.run(for: .seconds(1))
            #expect(third.isConnected && accepted.value == 1)
        }
    }

    @Test func aPathWithASmallMTUMakesSegmentsSmaller() throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, NATConfiguration(.endpointIndependent, .addressAndPortDependent))
            lab.links[1].configuration.mtu = 1300
            let far = Log()
            try #require(bench.server.listen(port: webPort)).onAccept = { far.watch($0) }
            let connection = try bench.inside.connect(to: endpoint("203.0.113.10:80")).get()
            connection.write([UInt8](repeating: 1, count: 50_000))
            try lab.run(for: .seconds(10))
            #expect(far.bytes.count == 50_000)
            #expect(lab.drops.contains { $0.reason == .tooBig })
        }
    }
}
