// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import NIOCore
import NIOEmbedded
import Testing

@testable import AditTransport

@Suite struct QUICPeerConnectionTests {
    /// What a stream's channel was given.
    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        var bytes: [UInt8] = []
        var readCount = 0
        var datagrams: [[UInt8]] = []
        var isEnded = false
        var isInactive = false
        var error: (any Error)?

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytesView
            readCount += 1
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .inputClosed? = event as? ChannelEvent { isEnded = true }
            if let datagram = event as? QUICDatagram { datagrams.append([UInt8](datagram.payload.readableBytesView)) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { self.error = error }

        func channelInactive(context: ChannelHandlerContext) { isInactive = true }
    }

    /// Two devices on one event loop whose time is the test's.
    private final class World {
        let loop = EmbeddedEventLoop()
        var delay = TimeAmount.milliseconds(20)
        var isBroken = false
        var client: QUICPeerConnection!
        var server: QUICPeerConnection?
        var accepted: [(channel: any Channel, ear: Ear)] = []
        var autoRead = true
        var refuses = false
        var established = 0
        var ends: [QUICEnd] = []

        init() {
            loop.advanceTime(by: .seconds(1))
            let connection = QUICConnection.client(
                QUICIdentity(QUICPair.key(1)),
                peer: QUICPair.key(2).publicKey.keyFingerprint,
                at: now
            )
            client = QUICPeerConnection(connection, on: loop, owner: owner { [unowned self] in arrive($0) })
            client.start()
        }

        var now: Instant { Instant(nanoseconds: Int64(loop.now.uptimeNanoseconds)) }

        private func owner(_ deliver: @escaping (PacketBatch) -> Void) -> QUICPeerConnection.Owner {
            QUICPeerConnection.Owner(
                send: { [unowned self] batch in
                    guard !isBroken else { return }
                    loop.assumeIsolated().scheduleTask(in: delay) { [unowned self] in
                        if !isBroken { deliver(batch) }
                    }
                },
                established: { [unowned self] in established += 1 },
                opened: { [unowned self] channel in
                    struct Refusal: Error {}
                    if refuses { throw Refusal() }
                    let ear = Ear()
                    try channel.pipeline.syncOperations.addHandler(ear)
                    try channel.syncOptions?.setOption(.autoRead, value: autoRead)
                    accepted.append((channel, ear))
                },
                ended: { [unowned self] in ends.append($0) }
            )
        }

        private func arrive(_ batch: PacketBatch) {
            if server == nil {
                let connection = QUICConnection.server(
                    QUICIdentity(QUICPair.key(2)),
                    peer: QUICPair.key(1).publicKey.keyFingerprint,
                    first: batch[0],
                    at: now
                )
                guard let connection else { return }
                server = QUICPeerConnection(connection, on: loop, owner: owner { [unowned self] in client.receive($0) })
            }
            server?.receive(batch)
        }

        func run(_ seconds: Int64 = 1) {
            for _ in 0..<seconds * 50 { loop.advanceTime(by: .milliseconds(20)) }
        }

        func open() throws -> (channel: any Channel, ear: Ear) {
            let ear = Ear()
            let channel = try client.openStream { try $0.pipeline.syncOperations.addHandler(ear) }.wait()
            return (channel, ear)
        }
    }

    private static func world() -> World {
        let world = World()
        world.run()
        #expect(world.established == 2)
        return world
    }

    @Test func aStreamIsAChannel() throws {
        let world = Self.world()
        let here = try world.open()
        here.channel.writeAndFlush(ByteBuffer(string: "hello"), promise: nil)
        world.run()
        let there = try #require(world.accepted.first)
        #expect(there.ear.bytes == Array("hello".utf8))
        here.channel.close(mode: .output, promise: nil)
        there.channel.writeAndFlush(ByteBuffer(string: "answer"), promise: nil)
        world.run()
        #expect(there.ear.isEnded && !there.ear.isInactive)
        #expect(here.ear.bytes == Array("answer".utf8) && !here.ear.isEnded)
        there.channel.close(mode: .output, promise: nil)
        world.run()
        #expect(here.ear.isEnded && here.ear.isInactive && there.ear.isInactive)
        #expect(here.ear.error == nil && there.ear.error == nil)
        #expect(world.client.streamCount == 0 && world.server?.streamCount == 0)
    }

    @Test func smallPiecesThatNobodyReadsShareABuffer() throws {
        let world = Self.world()
        world.autoRead = false
        let here = try world.open()
        for number in 0..<300 {
            here.channel.writeAndFlush(ByteBuffer(bytes: [UInt8(number % 256)]), promise: nil)
            world.loop.advanceTime(by: .milliseconds(1))
        }
        world.run()
        let there = try #require(world.accepted.first)
        #expect(there.ear.readCount == 0)
        try there.channel.syncOptions?.setOption(.autoRead, value: true)
        world.run()
        #expect(there.ear.bytes == (0..<300).map { UInt8($0 % 256) })
        #expect(there.ear.readCount == 1)
    }

    @Test func whatNobodyReadsMakesTheChannelUnwritable() throws {
        let world = Self.world()
        world.autoRead = false
        let here = try world.open()
        var written = 0
        for _ in 0..<200 {
            guard here.channel.isWritable else { break }
            here.channel.writeAndFlush(ByteBuffer(repeating: 7, count: 65_536), promise: nil)
            written += 65_536
            world.run()
        }
        #expect(!here.channel.isWritable)
        #expect(written < 2_000_000)
        let there = try #require(world.accepted.first)
        #expect(there.ear.bytes.isEmpty)
        try there.channel.syncOptions?.setOption(.autoRead, value: true)
        world.run(3)
        #expect(there.ear.bytes.count == written)
        #expect(here.channel.isWritable)
    }

    @Test func aBrokenStreamBreaksTheOtherEnd() throws {
        let world = Self.world()
        let here = try world.open()
        here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        world.run()
        let there = try #require(world.accepted.first)
        ChannelReset.close(here.channel)
        world.run()
        #expect(there.ear.isInactive)
        #expect(there.ear.error as? QUICStreamError == .resetByPeer(QUICPeerConnection.resetCode))
        #expect(world.client.streamCount == 0 && world.server?.streamCount == 0)
    }

    @Test func whoClosesBeforeTheEndStopsTheSender() throws {
        let world = Self.world()
        let here = try world.open()
        here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        world.run()
        let there = try #require(world.accepted.first)
        there.channel.close(promise: nil)
        world.run()
        here.channel.writeAndFlush(ByteBuffer(string: "y"), promise: nil)
        world.run()
        #expect(here.ear.isInactive)
        #expect(world.client.streamCount == 0 && world.server?.streamCount == 0)
    }

    @Test func aStreamThatIsNotTakenIsBrokenOff() throws {
        let world = Self.world()
        world.refuses = true
        let here = try world.open()
        here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        world.run()
        #expect(here.ear.isInactive)
        #expect(world.client.streamCount == 0 && world.server?.streamCount == 0)
    }

    @Test func datagramsFindTheirStream() throws {
        let world = Self.world()
        let first = try world.open()
        let second = try world.open()
        for here in [first, second] { here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil) }
        world.run()
        #expect(world.client.sendDatagram(ByteBuffer(string: "one"), of: first.channel))
        #expect(world.client.sendDatagram(ByteBuffer(string: "two"), of: second.channel))
        #expect(world.server?.sendDatagram(ByteBuffer(string: "back"), of: world.accepted[1].channel) == true)
        #expect(!world.client.sendDatagram(ByteBuffer(repeating: 0, count: 1200), of: first.channel))
        world.run()
        #expect(world.accepted[0].ear.datagrams == [Array("one".utf8)])
        #expect(world.accepted[1].ear.datagrams == [Array("two".utf8)])
        #expect(second.ear.datagrams == [Array("back".utf8)])
    }

    @Test func datagramsThatOvertakeTheirStreamWait() throws {
        let world = Self.world()
        let here = try world.open()
        #expect(world.client.sendDatagram(ByteBuffer(string: "first"), of: here.channel))
        world.run()
        here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        world.run()
        #expect(world.accepted[0].ear.datagrams == [Array("first".utf8)])
    }

    @Test func anHourAwayLosesNothing() throws {
        let world = Self.world()
        let here = try world.open()
        for _ in 0..<40 { here.channel.writeAndFlush(ByteBuffer(repeating: 1, count: 50_000), promise: nil) }
        world.loop.advanceTime(by: .milliseconds(60))
        world.isBroken = true
        // A moment passes before anybody notices.
        world.run(3)
        world.client.pause()
        world.server?.pause()
        world.loop.advanceTime(by: .hours(1))
        world.isBroken = false
        world.client.resume()
        world.server?.resume()
        world.run(5)
        #expect(world.accepted.first?.ear.bytes.count == 2_000_000)
        #expect(world.ends.isEmpty)
    }

    @Test func closingBreaksAllStreams() throws {
        let world = Self.world()
        let here = try world.open()
        here.channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
        world.run()
        world.client.close(code: 3)
        world.run()
        #expect(here.ear.isInactive && world.accepted[0].ear.isInactive)
        #expect(Set(world.ends) == [.closedHere, .closedByPeer(code: 3, isApplication: true)])
        #expect(throws: QUICStreamError.connectionLost) { try world.open() }
    }
}
