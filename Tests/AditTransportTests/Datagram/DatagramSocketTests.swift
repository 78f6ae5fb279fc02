// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore
import NIOPosix
import Testing

@Suite("Sockets of UDP")
struct DatagramSocketTests {
    /// Keeps what comes; with `echoes` it goes back at once.
    private final class Ear: DatagramSocketDelegate {
        var socket: DatagramSocket?
        var echoes = false
        var seen: [[UInt8]] = []
        var local: IPAddress?
        var refusals = 0
        var isClosed = false
        var onChange: ((Ear) -> Void)?

        func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
            seen.append(Array(payload))
            local = path.local
            if echoes {
                socket?.send(payload, to: path)
                socket?.flush()
            }
        }

        func endedRound() { onChange?(self) }

        func peerRefused() {
            refusals += 1
            onChange?(self)
        }

        func closed() {
            isClosed = true
            onChange?(self)
        }
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Runs on the loop, and waits for a condition there.
    private func scene(
        _ begin: @escaping @Sendable (EventLoopPromise<Void>) throws -> Void
    ) async throws {
        let promise = loop.makePromise(of: Void.self)
        let late = loop.scheduleTask(in: .seconds(30)) { promise.fail(ChannelError.connectTimeout(.seconds(30))) }
        try await loop.submit { try begin(promise) }.get()
        try await promise.futureResult.get()
        late.cancel()
    }

    @Test("runs of equal datagrams and single ones all arrive as they were sent, and come back")
    func runs() async throws {
        let sizes = [0, 1, 1200, 1200, 1200, 700, 1200, 1472, 1472, 1473, 9000, 65_507, 10, 10, 10]
        try await scene { [loop] promise in
            let service = Ear()
            service.echoes = true
            let bound = try DatagramSocket.bind(.v4(0x7F00_0001), port: 0, on: loop, delegate: service)
            service.socket = bound.socket
            let visitor = Ear()
            let place = IPEndpoint(.v4(0x7F00_0001), bound.socket.port)
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: visitor)
            visitor.socket = made.socket
            let payloads = sizes.enumerated().map { index, size in
                ByteBuffer(repeating: UInt8(index + 1), count: size)
            }
            for payload in payloads {
                payload.withUnsafeReadableBytes { bytes in
                    made.socket.send(bytes)
                    // The bytes are only there inside of this closure.
                    made.socket.flush()
                }
            }
            let many = [UInt8](repeating: 9, count: 1200 * 100 + 5)
            many.withUnsafeBytes { bytes in
                for start in stride(from: 0, to: bytes.count, by: 1200) {
                    made.socket.send(
                        UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 1200, bytes.count)])
                    )
                }
                made.socket.flush()
            }
            let expected = sizes + [Int](repeating: 1200, count: 100) + [5]
            visitor.onChange = { ear in
                guard ear.seen.count == expected.count else { return }
                #expect(ear.seen.map(\.count) == expected)
                #expect(service.seen == ear.seen)
                #expect(made.socket.sendDrops == 0 && bound.socket.sendDrops == 0)
                ear.onChange = nil
                made.socket.close()
                bound.socket.close()
                promise.succeed()
            }
        }
    }

    @Test(
        "the first that wakes a socket may be as large as any, or a run",
        arguments: [[65_507], [Int](repeating: 1000, count: 60)]
    )
    func firstOfAll(_ sizes: [Int]) async throws {
        try await scene { [loop] promise in
            let service = Ear()
            let bound = try DatagramSocket.bind(.v4(0x7F00_0001), port: 0, on: loop, delegate: service)
            let place = IPEndpoint(.v4(0x7F00_0001), bound.socket.port)
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: Ear())
            service.onChange = { ear in
                guard ear.seen.count == sizes.count else { return }
                #expect(ear.seen.map(\.count) == sizes)
                ear.onChange = nil
                made.socket.close()
                bound.socket.close()
                promise.succeed()
            }
            let bytes = [UInt8](repeating: 9, count: 65_507)
            bytes.withUnsafeBytes { bytes in
                for size in sizes { made.socket.send(UnsafeRawBufferPointer(rebasing: bytes[..<size])) }
                made.socket.flush()
            }
        }
    }

    @Test("an answer leaves from the address that was written to, also on a socket of every address")
    func localAddress() async throws {
        try await scene { [loop] promise in
            let service = Ear()
            service.echoes = true
            let bound = try DatagramSocket.bind(.v4(0), port: 0, on: loop, delegate: service)
            service.socket = bound.socket
            let visitor = Ear()
            // 127.0.0.9 is this machine as well; a reply from 127.0.0.1 would not reach a connected socket.
            let place = IPEndpoint(.v4(0x7F00_0009), bound.socket.port)
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: visitor)
            visitor.onChange = { ear in
                guard !ear.seen.isEmpty else { return }
                #expect(ear.seen == [[1, 2]])
                ear.onChange = nil
                made.socket.close()
                bound.socket.close()
                promise.succeed()
            }
            loop.assumeIsolated().execute {
                [UInt8]([1, 2]).withUnsafeBytes { bytes in
                    made.socket.send(bytes)
                    made.socket.flush()
                }
            }
        }
    }

    @Test("a refusal is told and the socket stays open")
    func refusal() async throws {
        try await scene { [loop] promise in
            let ear = Ear()
            let bound = try DatagramSocket.bind(.v4(0x7F00_0001), port: 0, on: loop, delegate: ear)
            let place = IPEndpoint(.v4(0x7F00_0001), bound.socket.port)
            bound.socket.close()
            let visitor = Ear()
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: visitor)
            visitor.onChange = { ear in
                guard ear.refusals > 0 else { return }
                #expect(made.socket.isOpen)
                ear.onChange = nil
                made.socket.close()
                promise.succeed()
            }
            [UInt8]([1]).withUnsafeBytes { bytes in
                made.socket.send(bytes)
                made.socket.flush()
            }
        }
    }

    @Test("an address that cannot be sent to costs one datagram, not the socket")
    func unreachablePeer() async throws {
        try await scene { [loop] promise in
            let ear = Ear()
            let bound = try DatagramSocket.bind(.v4(0x7F00_0001), port: 0, on: loop, delegate: ear)
            ear.socket = bound.socket
            [UInt8]([1]).withUnsafeBytes { bytes in
                // No port, the broadcast address, and a network that is not reachable from a loopback address.
                bound.socket.send(bytes, to: DatagramPath(to: IPEndpoint(.v4(0x7F00_0001), 0)))
                bound.socket.send(bytes, to: DatagramPath(to: IPEndpoint(.v4(0xFFFF_FFFF), 9)))
                bound.socket.flush()
            }
            #expect(bound.socket.sendDrops == 2)
            #expect(bound.socket.isOpen)
            let visitor = Ear()
            let place = IPEndpoint(.v4(0x7F00_0001), bound.socket.port)
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: visitor)
            ear.onChange = { ear in
                guard !ear.seen.isEmpty else { return }
                ear.onChange = nil
                made.socket.close()
                bound.socket.close()
                promise.succeed()
            }
            [UInt8]([5]).withUnsafeBytes { bytes in
                made.socket.send(bytes)
                made.socket.flush()
            }
        }
    }
}
