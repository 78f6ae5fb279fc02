// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite("Datagrams on a work connection")
struct DatagramLinkTests {
    private let visitor = IPEndpoint(.v4(0x0A00_0001), 5353)
    private let other = IPEndpoint(.v6(high: 0x2001_0DB8 << 32, low: 7), 53)

    private func open(_ framing: DatagramLink.Framing) throws -> (EmbeddedChannel, DatagramLink, DatagramRecorder) {
        let channel = EmbeddedChannel()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandler(EarlyDataHandler())
        let recorder = DatagramRecorder()
        let link = DatagramLink(channel, framing: framing, on: channel.eventLoop, delegate: recorder)
        link.start()
        return (channel, link, recorder)
    }

    private func output(of channel: EmbeddedChannel) throws -> ByteBuffer {
        var all = ByteBuffer()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&part) }
        return all
    }

    private static let framings: [DatagramLink.Framing] = [
        .adit, .frp(.v1, isServer: true), .frp(.v1, isServer: false), .frp(.v2, isServer: true),
        .frp(.v2, isServer: false),
    ]

    @Test("what one side writes the other reads, in pieces of any size", arguments: framings, [1, 7, 4096, 1_000_000])
    func dripFeed(_ framing: DatagramLink.Framing, _ step: Int) throws {
        let (channel, link, _) = try open(framing)
        let sizes = framing == .adit ? [0, 1, 300, 2000, 65_507] : [0, 1, 300, 2000, 7000]
        var sent: [SeenDatagram] = []
        for (index, size) in sizes.enumerated() where step > 1 || size <= 2000 {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ index) }
            let to = index.isMultiple(of: 2) ? visitor : other
            #expect(payload.withUnsafeBytes { link.write($0, visitor: to) })
            sent.append(SeenDatagram(visitor: to, payload: payload))
        }
        link.flush()
        var bytes = try output(of: channel)
        let (second, _, recorder) = try open(framing)
        while bytes.readableBytes > 0, let part = bytes.readSlice(length: min(step, bytes.readableBytes)) {
            try second.writeInbound(part)
        }
        second.embeddedEventLoop.run()
        #expect(recorder.datagrams == sent)
        #expect(recorder.closings.isEmpty)
    }

    @Test("frames of a burst leave as one buffer")
    func burst() throws {
        let (channel, link, _) = try open(.adit)
        for _ in 0..<20 { #expect([1, 2, 3].withUnsafeBytes { link.write($0, visitor: visitor) }) }
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        link.flush()
        #expect(try channel.readOutbound(as: ByteBuffer.self)?.readableBytes == 20 * (9 + 24))
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test("what a framing has no room for is not written, and breaks nothing")
    func noRoom() throws {
        for (framing, size) in [
            (DatagramLink.Framing.adit, 65_508), (.frp(.v1, isServer: true), 8000), (.frp(.v2, isServer: true), 60_000),
        ] {
            let (channel, link, _) = try open(framing)
            #expect(![UInt8](repeating: 1, count: size).withUnsafeBytes { link.write($0, visitor: visitor) })
            link.flush()
            #expect(try output(of: channel).readableBytes == 0)
            #expect([1].withUnsafeBytes { link.write($0, visitor: visitor) })
            link.flush()
            #expect(try output(of: channel).readableBytes > 0)
        }
    }

    @Test(
        "bytes that are no frame end the link",
        arguments: [
            (DatagramLink.Framing.adit, [0, 1, 5, 0]), (.adit, [0xFF, 0xFF, 4, 0]), (.frp(.v1, isServer: true), [0x7A]),
            (.frp(.v2, isServer: true), [0, 9, 0, 0]),
            (.frp(.v1, isServer: true), [0x6F, 0, 0, 0, 0, 0, 0, 0, 2, 0x7B, 0x7D]),
        ] as [(DatagramLink.Framing, [UInt8])]
    )
    func garbage(_ framing: DatagramLink.Framing, _ bytes: [UInt8]) throws {
        let (channel, link, recorder) = try open(framing)
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.run()
        #expect(recorder.closings.count == 1)
        #expect(!channel.isActive && !link.isWritable)
        #expect(![1].withUnsafeBytes { link.write($0, visitor: visitor) })
    }

    @Test("the end of the connection is told once")
    func end() throws {
        let (channel, _, recorder) = try open(.adit)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        _ = try? channel.finish()
        #expect(recorder.closings == ["the other side ended it"])
    }

    @Test("frp's client pings, and its server gives up when nothing comes for a minute")
    func heartbeats() throws {
        let (client, _, _) = try open(.frp(.v2, isServer: false))
        client.embeddedEventLoop.advanceTime(by: .seconds(65))
        let pings = try output(of: client)
        let (server, link, recorder) = try open(.frp(.v2, isServer: true))
        for _ in 0..<5 {
            server.embeddedEventLoop.advanceTime(by: .seconds(40))
            try server.writeInbound(pings)
        }
        #expect(link.isWritable && recorder.closings.isEmpty && recorder.datagrams.isEmpty)
        server.embeddedEventLoop.advanceTime(by: .seconds(59))
        #expect(recorder.closings.isEmpty)
        server.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(recorder.closings == ["nothing came for 60 seconds"])
    }
}
