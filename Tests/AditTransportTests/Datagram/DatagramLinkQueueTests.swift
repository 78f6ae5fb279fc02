// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite("What a datagram link takes ahead")
struct DatagramLinkQueueTests {
    private static let initialWindow = 256 * 1024
    private let visitor = IPEndpoint(.v4(0x0A00_0001), 5353)

    private func open() throws -> (EmbeddedYamux, DatagramLink, DatagramRecorder) {
        let yamux = try EmbeddedYamux(.server)
        let stream = try yamux.open { [EarlyDataHandler()] }
        let recorder = DatagramRecorder()
        let link = DatagramLink(stream, framing: .adit, on: yamux.loop, delegate: recorder)
        link.start()
        try yamux.receive(YamuxHeader(.windowUpdate, .acknowledge, streamID: 2))
        return (yamux, link, recorder)
    }

    /// Writes datagrams of 1200 bytes for as long as the link takes them; how many bytes it took.
    private func fill(_ link: DatagramLink, burst: Int) -> Int {
        let payload = [UInt8](repeating: 7, count: 1200)
        var taken = 0
        while link.isWritable, taken < 64 << 20 {
            for _ in 0..<burst where payload.withUnsafeBytes({ link.write($0, visitor: visitor) }) { taken += 1209 }
            link.flush()
        }
        return taken
    }

    private func dataBytes(_ headers: [YamuxHeader]) -> Int {
        headers.filter { $0.kind == .data }.reduce(0) { $0 + Int($1.length) }
    }

    @Test("while the peer takes nothing, a burst waits and no more", arguments: [1, 20, 200])
    func bounded(_ burst: Int) throws {
        let (yamux, link, recorder) = try open()
        let taken = fill(link, burst: burst)
        let sent = dataBytes(try yamux.sent())
        #expect(sent == Self.initialWindow)
        #expect(taken - sent <= max(64 * 1024, burst * 1209))
        // What the peer reads is what is asked for again, and not before.
        #expect(recorder.writableCount == 0)
        try yamux.receive(YamuxHeader(.windowUpdate, [], streamID: 2, length: 128 * 1024))
        #expect(recorder.writableCount == (taken - sent < 128 * 1024 ? 1 : 0))
        #expect(dataBytes(try yamux.sent()) == min(128 * 1024, taken - sent))
    }

    @Test("while the connection takes nothing, neither does the link")
    func connectionFull() throws {
        let (yamux, link, _) = try open()
        yamux.channel.isWritable = false
        yamux.channel.pipeline.fireChannelWritabilityChanged()
        #expect(fill(link, burst: 1) <= 64 * 1024)
        #expect(dataBytes(try yamux.sent()) == 0)
    }

    @Test("the peer may have 128 KiB under way when this end reads slowly")
    func window() throws {
        let (yamux, _, recorder) = try open()
        _ = try yamux.sent()
        let frame = try DatagramHeader(payloadByteCount: 1200, visitor: visitor)
        var bytes = [UInt8]()
        frame.encode(into: &bytes)
        bytes += [UInt8](repeating: 1, count: 1200)
        var credit = Self.initialWindow
        var received = 0
        // Slowly: virtual time does not pass in between, but the first 256 KiB are credit that the peer had anyway.
        while received + bytes.count <= Self.initialWindow {
            var buffer = ByteBuffer()
            let header = YamuxHeader(.data, [], streamID: 2, length: UInt32(bytes.count))
            buffer.writeMultipleIntegers(header.firstWord, header.streamID, header.length)
            buffer.writeBytes(bytes)
            yamux.loop.advanceTime(by: .milliseconds(5))
            try yamux.channel.writeInbound(buffer)
            received += bytes.count
            credit -= bytes.count
            for header in try yamux.sent() where header.kind == .windowUpdate { credit += Int(header.length) }
            if received > 200 * 1024 { #expect(credit <= 128 * 1024) }
        }
        #expect(recorder.datagrams.count == received / bytes.count)
        #expect(credit > 32 * 1024)
    }
}
