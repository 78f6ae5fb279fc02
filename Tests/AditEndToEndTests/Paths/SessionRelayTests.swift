// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTraversal
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// Packets through the sessions of both devices, where there is no other way, and services that lead to a run.
@Suite("Relay by the session")
struct SessionRelayTests {
    /// No socket of these devices leads anywhere.
    private static var alone: PathOptions {
        var options = PathDevice.options
        options.policy = .relayOnly
        return options
    }

    @Sendable private static func isSession(_ kind: PathKind) -> Bool { kind == .relayed(.session) }

    @Test(
        "Without any other way packets go through the session, and both ends say so",
        arguments: [FRPWireVersion.v2, .v1]
    )
    func onlyTheSession(version: FRPWireVersion) async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, over: version, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        _ = try await amy.path(to: "ben", where: Self.isSession)
        _ = try await ben.path(to: "amy", where: Self.isSession)
        #expect(try await amy.carry([0xC0, 2, 3], to: ben) == [0xC0, 2, 3])
        #expect(try await ben.carry([4], to: amy) == [4])
        // The reason is the same on both ends once each knows what the other wants.
        let there = try await amy.reason(of: "ben") { $0 == .relayOnly(.both) }
        let back = try await ben.reason(of: "amy") { $0 == .relayOnly(.both) }
        #expect(there.sentence(local: "amy", remote: "ben") == back.sentence(local: "ben", remote: "amy"))
        #expect(there.isSideA != back.isSideA)
        let id = try #require(amy.contact.withLockedValue { $0["ben"] })
        amy.paths?.measure(id)
        _ = try await amy.wait { if case .roundTrip(let peer, let time, _) = $0, peer.id == id { time } else { nil } }
        let figures = try #require(try await house.signals())
        #expect(figures.openStreams == 1 && (figures.streams ?? 0) >= 1 && (figures.streamBytes ?? 0) > 0)
        // The peer leaves, and nothing is left of the stream.
        try await amy.stop()
        _ = try await ben.wait { if case .ended(let peer, _) = $0, peer.name == "amy" { true } else { nil } }
        try await ben.stop()
        try await house.noStreams()
        try await house.close()
    }

    @Test("It is there again with the session, and both may ask for it at once")
    func again() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        ben.paths?.connect("amy")
        _ = try await amy.path(to: "ben", where: Self.isSession)
        _ = try await ben.path(to: "amy", where: Self.isSession)
        #expect(try await amy.carry([0xC1], to: ben) == [0xC1])
        #expect(try await ben.carry([0xC2], to: amy) == [0xC2])
        try await amy.disconnect()
        amy.forgetNews()
        ben.forgetNews()
        try await amy.connect(sameRun: true)
        #expect(try await amy.carry([0xC3], to: ben) == [0xC3])
        #expect(try await ben.carry([0xC4], to: amy) == [0xC4])
        try await amy.stop()
        try await ben.stop()
        try await house.noStreams()
        try await house.close()
    }

    @Test("Who wants direct paths alone gets nothing through the session")
    func directOnly() async throws {
        let house = try await PathHouse.open()
        var options = PathDevice.options
        options.policy = .directOnly
        let amy = try PathDevice("amy", at: house, network: LocalNetwork())
        let ben = try PathDevice("ben", at: house, options: options, network: LocalNetwork())
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        let report = try await amy.reason(of: "ben") { if case .noRelay(.directOnly, _) = $0 { true } else { false } }
        #expect(report.kind == .none)
        try await house.noStreams()
        try await amy.stop()
        try await ben.stop()
        try await house.close()
    }

    @Test("Where the server's owner relays nothing, devices are told so")
    func switchedOff() async throws {
        let house = try await PathHouse.open(relaysSessions: false)
        let amy = try PathDevice("amy", at: house, network: LocalNetwork())
        let ben = try PathDevice("ben", at: house, network: LocalNetwork())
        try await amy.connect()
        try await ben.connect()
        amy.paths?.connect("ben")
        let report = try await amy.reason(of: "ben") { if case .noRelay(.notOffered, _) = $0 { true } else { false } }
        #expect(report.kind == .none)
        let figures = try #require(try await house.signals())
        #expect(figures.streams ?? 0 == 0)
        try await amy.stop()
        try await ben.stop()
        try await house.close()
    }

    @Test("Each process of a device is reached by its service, both at once")
    func services() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let shell = try PathDevice("ben", at: house, options: Self.alone)
        let web = try PathDevice("ben", at: house, options: Self.alone, key: shell.key)
        for device in [amy, shell, web] { try await device.connect() }
        shell.paths?.announce(["ssh", "telnet"])
        web.paths?.announce(["web"])
        let first = try await amy.reach("ben", service: "ssh")
        let second = try await amy.reach("ben", service: "web")
        #expect(first != second && first.key == second.key)
        // The same run has both.
        #expect(try await amy.reach("ben", service: "telnet") == first)
        #expect(try await amy.carry([0xC5], to: shell, at: first) == [0xC5])
        #expect(try await amy.carry([0xC6], to: web, at: second) == [0xC6])
        #expect(try await web.carry([0xC7], to: amy) == [0xC7])
        let error = await #expect(throws: AditError.self) { try await amy.paths?.connect("ben", service: "x").get() }
        #expect(error?.code == .serviceUnknown)
        #expect(error?.fix?.english == "on ben:  adit expose x")
        // What is not told any longer is not there.
        shell.paths?.announce([])
        let gone = try await amy.refusal(of: "ben", service: "rdp")
        #expect(gone.code == .serviceUnknown)
        for device in [amy, shell, web] { try await device.stop() }
        try await house.close()
    }

    @Test("Whoever sits on the paths is told of each peer before its packets, and one of both ends leads")
    func delegates() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        let (one, other) = (Carrier(), Carrier())
        try await amy.sit(one)
        try await ben.sit(other)
        try await amy.connect()
        try await ben.connect()
        let id = try #require(try await amy.paths?.connect("ben").get())
        _ = try await amy.path(to: "ben", where: Self.isSession)
        let loop = try #require(amy.paths?.eventLoop)
        let again = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(20)) { [paths = amy.paths] _ in
            paths?.send(PacketBatch([0xC8, 1]), to: id)
        }
        let came = try await other.packet.futureResult.get()
        again.cancel()
        #expect(came == [0xC8, 1])
        let mine = try #require(one.opened.withLockedValue { $0.first })
        let theirs = try #require(other.opened.withLockedValue { $0.first })
        #expect(mine.key == ben.key.publicKey.bytes && theirs.key == amy.key.publicKey.bytes)
        #expect(mine.leads != theirs.leads && mine.id == id)
        // Another process takes the place of ben's.
        try await ben.stop()
        #expect(try await one.ended.futureResult.get() == id)
        try await amy.stop()
        try await house.close()
    }

    @Test("What is sent first arrives: to a key that is known with the first signal, else with the first word")
    func firstPackets() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        let (one, other) = (Carrier(), Carrier())
        one.greets(through: try #require(amy.paths))
        try await amy.sit(one)
        try await ben.sit(other)
        try await amy.connect()
        try await ben.connect()
        let id = try #require(try await amy.paths?.connect("ben").get())
        #expect(try await other.packet.futureResult.get() == [0xCB])
        _ = try await amy.path(to: "ben", where: Self.isSession)
        #expect(one.sought.withLockedValue { $0 }.isEmpty)
        try await ben.stop()
        #expect(try await one.ended.futureResult.get() == id)
        let again = try PathDevice("ben", at: house, options: Self.alone, key: ben.key)
        let third = Carrier()
        try await again.sit(third)
        try await again.connect()
        amy.paths?.connect("ben")
        #expect(try await third.packet.futureResult.get() == [0xCA])
        #expect(one.sought.withLockedValue { $0 } == [id])
        try await amy.stop()
        try await again.stop()
        try await house.close()
    }

    @Test("Once there is a path, nothing goes through the session any more")
    func pathAlone() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house)
        let ben = try PathDevice("ben", at: house)
        let (one, other) = (Carrier(), Carrier())
        one.rallies(through: try #require(amy.paths))
        other.rallies(through: try #require(ben.paths))
        try await amy.sit(one)
        try await ben.sit(other)
        try await amy.connect()
        try await ben.connect()
        let id = try #require(try await amy.paths?.connect("ben").get())
        for device in [amy, ben] { _ = try await device.path(to: device === amy ? "ben" : "amy") { $0.isDirect } }
        // Each packet is answered by another one, all the time.
        let loop = try #require(amy.paths?.eventLoop)
        try await loop.submit { [paths = amy.paths] in _ = paths?.send(PacketBatch([0xCC]), to: id) }.get()
        var bytes: [Int64] = []
        for _ in 0..<300 {
            try await one.rally(of: 200)
            bytes.append(try #require(try await house.signals()?.streamBytes))
            if bytes.count > 1, bytes.suffix(2).first == bytes.last { break }
        }
        #expect(bytes.suffix(2).first == bytes.last)
        for device in [amy, ben] { try await device.stop() }
        try await house.close()
    }

    @Test("Who is asked for and is not there is told of, and its end too")
    func absent() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        let one = Carrier()
        try await amy.connect()
        try await ben.connect()
        let id = try #require(try await amy.paths?.connect("ben").get())
        _ = try await amy.path(to: "ben", where: Self.isSession)
        // Before its finder has answered, which takes the interfaces, a device has nobody to say goodbye to.
        _ = try await amy.reason(of: "ben") { if case .relayOnly(.both) = $0 { true } else { false } }
        try await ben.stop()
        _ = try await amy.wait { if case .ended(let peer, _) = $0, peer.name == "ben" { true } else { nil } }
        try await amy.sit(one)
        _ = try await amy.refusal(of: "ben", service: "")
        #expect(try await one.ended.futureResult.get() == id)
        #expect(one.sought.withLockedValue { $0 } == [id] && one.opened.withLockedValue { $0 }.isEmpty)
        try await amy.stop()
        try await house.close()
    }

    @Test("A flood of streams ends the session that makes it, and nobody else's")
    func flood() async throws {
        let house = try await PathHouse.open()
        let amy = try PathDevice("amy", at: house, options: Self.alone)
        let ben = try PathDevice("ben", at: house, options: Self.alone)
        let eve = try PathDevice("eve", at: house, options: Self.alone)
        for device in [amy, ben, eve] { try await device.connect() }
        for _ in 0..<10_000 {
            guard (try? await eve.stream(AditPeerStream(peer: "ben"))) != nil else { break }
        }
        amy.paths?.connect("ben")
        _ = try await amy.path(to: "ben", where: Self.isSession)
        #expect(try await amy.carry([0xC9], to: ben) == [0xC9])
        let figures = try #require(try await house.signals())
        #expect((figures.streams ?? 0) < 200)
        for device in [amy, ben, eve] { try await device.stop() }
        try await house.noStreams()
        try await house.close()
    }
}

/// Sits on the paths of a device.
private final class Carrier: PathCarrierDelegate, Sendable {
    let opened = NIOLockedValueBox<[(id: PathPeerID, key: [UInt8], leads: Bool)]>([])
    let packet = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: [UInt8].self)
    let ended = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: PathPeerID.self)
    let sought = NIOLockedValueBox<[PathPeerID]>([])
    private let paths = NIOLockedValueBox<PathService?>(nil)
    private let isFirst = NIOLockedValueBox(true)
    private let isLast = NIOLockedValueBox(true)

    private let highest = NIOLockedValueBox<UInt64>(0)
    private let rallies = NIOLockedValueBox(false)
    private let rounds = NIOLockedValueBox<(left: Int, done: EventLoopPromise<Void>?)>((0, nil))

    /// Answers each packet that comes with another one.
    func rallies(through paths: PathService) {
        self.paths.withLockedValue { $0 = paths }
        rallies.withLockedValue { $0 = true }
    }

    /// Waits until so many more have come.
    func rally(of count: Int) async throws {
        let done = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: Void.self)
        rounds.withLockedValue { $0 = (count, done) }
        try await done.futureResult.get()
    }

    /// Sends something at the first moment at which it may.
    func greets(through paths: PathService) {
        self.paths.withLockedValue { $0 = paths }
    }

    func pathSought(_ id: PathPeerID, leads: Bool) {
        sought.withLockedValue { $0.append(id) }
        guard !rallies.withLockedValue({ $0 }) else { return }
        paths.withLockedValue { $0 }?.send(PacketBatch([0xCA]), to: id)
    }

    func pathOpened(_ id: PathPeerID, peerKey: [UInt8], leads: Bool) {
        opened.withLockedValue { $0.append((id, peerKey, leads)) }
        guard !rallies.withLockedValue({ $0 }) else { return }
        paths.withLockedValue { $0 }?.send(PacketBatch([0xCB]), to: id)
    }

    func pathChanged(_ id: PathPeerID, _ report: PathReport) {}

    func received(_ packets: PacketBatch, from id: PathPeerID) {
        if rallies.withLockedValue({ $0 }) { return answer(packets, to: id) }
        guard opened.withLockedValue({ $0.contains { $0.id == id } }), isFirst.exchange(false) else { return }
        packet.succeed(packets[0])
    }

    /// A packet that comes twice is answered once.
    private func answer(_ packets: PacketBatch, to id: PathPeerID) {
        let number = packets[0].reduce(0) { $0 << 8 | UInt64($1) }
        let isNew = highest.withLockedValue { highest in
            defer { highest = max(highest, number) }
            return number > highest
        }
        guard isNew else { return }
        let next = (0..<8).map { UInt8(truncatingIfNeeded: (number + 1) >> (56 - 8 * UInt64($0))) }
        paths.withLockedValue { $0 }?.send(PacketBatch(next), to: id)
        let done = rounds.withLockedValue { rounds in
            rounds.left -= 1
            return rounds.left == 0 ? rounds.done : nil
        }
        done?.succeed()
    }

    func pathEnded(_ id: PathPeerID, _ failure: PathFailure) {
        if isLast.exchange(false) { ended.succeed(id) }
    }

    deinit {
        if isFirst.exchange(false) { packet.fail(ChannelError.eof) }
        if isLast.exchange(false) { ended.fail(ChannelError.eof) }
    }
}

extension NIOLockedValueBox where Value == Bool {
    fileprivate func exchange(_ value: Bool) -> Bool {
        withLockedValue { old in
            defer { old = value }
            return old
        }
    }
}
