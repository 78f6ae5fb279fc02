// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import NIOCore
import NIOEmbedded
import Testing

@testable import AditClient

@Suite struct PeerLinkTests {
    /// Two devices with a way between them, in a time that the test makes.
    private final class World {
        let loop = EmbeddedEventLoop()
        let keys: [DeviceKey]
        var links: [PeerLink?] = [nil, nil]
        var isBroken = false
        /// The end whose first packet is kept here.
        var holdsBack: Int?
        var heldBack: [PacketBatch] = []
        var streams: [[any Channel]] = [[], []]
        var deceived = [0, 0]
        var connections: [[any PeerConnection]] = [[], []]

        init() throws {
            keys = try [1, 2].map { try DeviceKey(seed: [UInt8](repeating: $0, count: 32)) }
            loop.advanceTime(by: .seconds(1))
        }

        /// Makes an end: 0 leads.
        func make(_ end: Int, expecting key: KeyFingerprint? = nil) {
            links[end] = PeerLink(
                key ?? keys[1 - end].publicKey.keyFingerprint,
                leads: end == 0,
                on: loop,
                PeerLink.Owner(
                    identity: QUICIdentity(keys[end]),
                    send: { [unowned self] batch in
                        guard !isBroken else { return }
                        if holdsBack == end, heldBack.isEmpty { return heldBack.append(batch) }
                        loop.assumeIsolated().scheduleTask(in: .milliseconds(10)) { [unowned self] in
                            if !isBroken { links[1 - end]?.receive(batch) }
                        }
                    },
                    opened: { [unowned self] channel, _ in streams[end].append(channel) },
                    deceived: { [unowned self] in deceived[end] += 1 }
                )
            )
            links[end]?.whenEstablished { [unowned self] in connections[end].append($0) }
        }

        func run(_ seconds: Int64 = 1) {
            run(milliseconds: seconds * 1000)
        }

        func run(milliseconds: Int64) {
            for _ in 0..<milliseconds / 10 { loop.advanceTime(by: .milliseconds(10)) }
        }

        /// Opens a stream from the end that leads, and says something on it.
        func open() throws -> any Channel {
            let connection = try #require(connections[0].last)
            let channel = try connection.openStream { _ in }.wait()
            channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
            return channel
        }
    }

    private static func world() throws -> World {
        let world = try World()
        world.make(1)
        world.make(0)
        world.run()
        #expect(world.connections.map(\.count) == [1, 1])
        return world
    }

    @Test func theEndThatLeadsConnectsAndEitherOpensStreams() throws {
        let world = try Self.world()
        _ = try world.open()
        _ = try world.connections[1][0].openStream { $0.writeAndFlush(ByteBuffer(string: "y"), promise: nil) }.wait()
        world.run()
        #expect(world.streams.map(\.count) == [1, 1])
        #expect(world.links.map { $0?.streamCount } == [2, 2])
    }

    @Test func whoComesFirstIsWaitedFor() throws {
        let world = try World()
        world.make(0)
        world.run(3)
        world.make(1)
        world.run(5)
        #expect(world.connections.map(\.count) == [1, 1])
    }

    @Test(arguments: [[0], [1], [0, 1]])
    func whoeverAsksHasTheConnectionAfterARoundTrip(asking: [Int]) throws {
        let world = try World()
        for end in [0, 1] { world.make(end) }
        for end in asking { world.links[end]?.ask() }
        // The first packet of each end, and the answer; of two that ask, the one that leads.
        world.run(milliseconds: 20)
        #expect(world.connections[asking[0]].count == 1)
        world.run(milliseconds: 10)
        #expect(world.connections.map(\.count) == [1, 1])
        let connection = try #require(world.connections[asking[0]].first)
        let stream = try connection.openStream { $0.writeAndFlush(ByteBuffer(string: "x"), promise: nil) }.wait()
        world.run(5)
        #expect(stream.isActive)
        #expect(world.connections.map(\.count) == [1, 1])
        #expect(world.links.map { $0?.streamCount } == [1, 1])
    }

    @Test func aBeginningThatComesLateDoesNotTakeThePlaceOfTheConnection() throws {
        let world = try World()
        for end in [0, 1] { world.make(end) }
        world.holdsBack = 1
        for end in [0, 1] { world.links[end]?.ask() }
        world.run(milliseconds: 40)
        #expect(world.connections.map(\.count) == [1, 1])
        _ = try world.open()
        world.run()
        // What the other end began with comes by a slower way.
        world.holdsBack = nil
        for batch in world.heldBack { world.links[0]?.receive(batch) }
        world.run(5)
        #expect(!world.heldBack.isEmpty)
        #expect(world.connections.map(\.count) == [1, 1])
        #expect(world.links.map { $0?.streamCount } == [1, 1])
    }

    @Test func aPeerThatBeginsAnewTakesThePlaceOfItsFormerSelf() throws {
        let world = try Self.world()
        _ = try world.open()
        world.run()
        // The process that led is another one now, which knows nothing of the connection.
        world.isBroken = true
        world.links[0]?.close()
        world.links[0] = nil
        world.run()
        world.isBroken = false
        world.make(0)
        world.run(2)
        #expect(world.connections[0].count == 2)
        #expect(world.links[1]?.streamCount == 0)
        _ = try world.open()
        world.run()
        #expect(world.streams[1].count == 2)
    }

    @Test func aPeerThatForgotTheConnectionIsConnectedToAgain() throws {
        let world = try Self.world()
        world.isBroken = true
        world.links[1]?.close()
        world.links[1] = nil
        world.run()
        world.isBroken = false
        world.make(1)
        world.links[0]?.reopened()
        world.links[0]?.whenEstablished { _ in }
        world.run(40)
        #expect(world.connections[1].count == 2)
    }

    @Test func aReopenedWayKeepsTheConnectionOfAPeerThatIsStillThere() throws {
        let world = try Self.world()
        let stream = try world.open()
        world.run()
        for link in world.links { link?.wayChanged(false) }
        world.isBroken = true
        world.loop.advanceTime(by: .hours(1))
        world.isBroken = false
        for link in world.links { link?.wayChanged(true) }
        world.links[0]?.reopened()
        stream.writeAndFlush(ByteBuffer(string: "y"), promise: nil)
        world.run(20)
        #expect(stream.isActive)
        #expect(world.links[1]?.streamCount == 1)
    }

    @Test func whatWaitsGoesAtOnceOnAnotherWay() throws {
        let world = try Self.world()
        let stream = try world.open()
        world.run()
        // The pause before the next try doubles while nobody answers.
        world.isBroken = true
        stream.writeAndFlush(ByteBuffer(string: "y"), promise: nil)
        world.run(40)
        world.isBroken = false
        let heard = Arrivals()
        try world.streams[1][0].pipeline.syncOperations.addHandler(heard)
        world.links[0]?.hurry()
        world.run()
        #expect(heard.bytes == "y")
    }

    @Test func aPeerWithAnotherKeyIsNotBelieved() throws {
        let world = try World()
        let stranger = try DeviceKey(seed: [UInt8](repeating: 9, count: 32)).publicKey.keyFingerprint
        world.make(1, expecting: stranger)
        world.make(0)
        world.run(3)
        // The end that leads has seen the right key, and hears of the other end's refusal a moment later (RFC 8446 section 4.4.2.4).
        #expect(world.connections[1].isEmpty)
        #expect(world.streams[1].isEmpty)
        #expect(world.deceived[1] > 0)
        // It goes on trying, ever more slowly.
        let before = world.deceived[1]
        world.run(120)
        #expect(world.deceived[1] > before && world.deceived[1] < 20)
    }

    @Test func garbageMakesNothing() throws {
        let world = try Self.world()
        var generator = SeededGenerator(seed: 4)
        for length in [1, 20, 1200, 1200, 1300] {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            for link in world.links { link?.receive(PacketBatch(bytes)) }
        }
        for link in world.links { link?.receive(PacketBatch([])) }
        _ = try world.open()
        world.run()
        #expect(world.streams[1].count == 1)
    }
}

/// What arrives on a stream.
private final class Arrivals: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var bytes = ""

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += String(buffer: unwrapInboundIn(data))
    }
}
