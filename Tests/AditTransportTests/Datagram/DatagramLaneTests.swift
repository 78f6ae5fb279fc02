// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@Suite("Lanes of datagrams")
struct DatagramLaneTests {
    /// Sends everything back, with the number of its socket in front, from the socket that the first byte names.
    private final class Echo: DatagramAnswerer {
        let locals = NIOLockedValueBox<[IPAddress]>([])

        private let sockets: [LaneSocket]

        init(_ sockets: [LaneSocket]) {
            self.sockets = sockets
        }

        func received(
            _ buffer: UnsafeMutableRawBufferPointer,
            _ datagram: Range<Int>,
            from path: DatagramPath,
            on socket: LaneSocket,
            batch: DatagramBatch
        ) {
            let bytes = buffer[datagram]
            locals.withLockedValue { locals in
                if let local = path.local { locals.append(local) }
            }
            guard let first = bytes.first else { return }
            let number = sockets.firstIndex { $0 === socket } ?? 255
            guard bytes.count <= 2048 else { return }
            batch.put([UInt8(number)] + bytes, to: path, from: sockets[Int(first)])
        }

        func endedRound(lost: Int) {}
    }

    /// Sends everything back as it lies there, after it has written around it.
    private final class Mirror: DatagramAnswerer {
        func received(
            _ buffer: UnsafeMutableRawBufferPointer,
            _ datagram: Range<Int>,
            from path: DatagramPath,
            on socket: LaneSocket,
            batch: DatagramBatch
        ) {
            for index in 1...DatagramBatch.headroom {
                buffer[datagram.lowerBound - index] = 0xEE
                buffer[datagram.upperBound + index - 1] = 0xEE
            }
            batch.put(UnsafeRawBufferPointer(rebasing: buffer[datagram]), to: path, from: socket)
        }

        func endedRound(lost: Int) { #expect(lost == 0) }
    }

    /// Collects what comes back, until there is enough.
    private final class Ear: DatagramSocketDelegate {
        private let expected: Int
        private let done: EventLoopPromise<[[UInt8]]>
        private var seen: [[UInt8]] = []

        init(_ expected: Int, _ done: EventLoopPromise<[[UInt8]]>) {
            self.expected = expected
            self.done = done
        }

        func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
            seen.append(Array(payload))
            if seen.count == expected { done.succeed(seen) }
        }

        func endedRound() {}
        func peerRefused() { done.fail(ChannelError.eof) }
        func closed() {}
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Sends datagrams from a connected socket and gives what comes back.
    private func exchange(
        _ payloads: [[UInt8]],
        with place: IPEndpoint,
        inRuns: Bool = false,
        expecting count: Int
    ) async throws -> [[UInt8]] {
        let done = loop.makePromise(of: [[UInt8]].self)
        let late = loop.scheduleTask(in: .seconds(20)) { done.fail(ChannelError.connectTimeout(.seconds(20))) }
        let close = try await loop.submit { [loop] in
            let made = try DatagramSocket.connect(to: place, on: loop, delegate: Ear(count, done))
            payloads.flatMap(\.self).withUnsafeBytes { bytes in
                var start = 0
                for payload in payloads {
                    made.socket.send(UnsafeRawBufferPointer(rebasing: bytes[start..<start + payload.count]))
                    start += payload.count
                    if !inRuns { made.socket.flush() }
                }
                made.socket.flush()
            }
            return NIOLoopBound(made.socket, eventLoop: loop)
        }.get()
        defer {
            late.cancel()
            loop.execute { close.value.close() }
        }
        return try await done.futureResult.get()
    }

    @Test("each datagram is answered from the address that was asked, on a socket for every address as well")
    func addresses() async throws {
        let sockets = [try DatagramLane.bind(.v4(0), port: 0)]
        let echo = Echo(sockets)
        let lane = try DatagramLane.start(sockets, name: "test-lane", answerer: echo)
        let places: [IPAddress] = [.v4(0x7F00_0001), .v4(0x7F00_0009), .v6(high: 0, low: 1)]
        for place in places {
            // A connected socket takes answers from there alone.
            let answers = try await exchange([[0, 1, 2]], with: IPEndpoint(place, sockets[0].port), expecting: 1)
            #expect(answers == [[0, 0, 1, 2]])
        }
        #expect(echo.locals.withLockedValue { $0 } == places)
        lane.stop()
    }

    @Test("more than one round of them is answered, and the answerer leaves out those that are too long")
    func rounds() async throws {
        let sockets = [try DatagramLane.bind(.v4(0x7F00_0001), port: 0)]
        let lane = try DatagramLane.start(sockets, name: "test-lane", answerer: Echo(sockets))
        var payloads = (0..<150).map { [0, UInt8($0)] }
        payloads.insert([UInt8](repeating: 0, count: 2049), at: 70)
        payloads.insert([UInt8](repeating: 0, count: 9000), at: 10)
        payloads.insert([], at: 5)
        let answers = try await exchange(payloads, with: IPEndpoint(.v4(0x7F00_0001), sockets[0].port), expecting: 150)
        #expect(answers == (0..<150).map { [0, 0, UInt8($0)] })
        lane.stop()
    }

    @Test("datagrams that came in one run are answered one by one", arguments: [20, 1200])
    func runs(size: Int) async throws {
        let sockets = [try DatagramLane.bind(.v4(0x7F00_0001), port: 0)]
        let lane = try DatagramLane.start(sockets, name: "test-lane", answerer: Mirror())
        // Now and then a shorter one, which ends a run.
        let payloads = (0..<300).map { number in
            (0..<size - number % 50 / 49).map { UInt8(truncatingIfNeeded: $0 + number) }
        }
        let place = IPEndpoint(.v4(0x7F00_0001), sockets[0].port)
        let answers = try await exchange(payloads, with: place, inRuns: true, expecting: 300)
        #expect(answers == payloads)
        lane.stop()
    }

    @Test("an answer may leave from another socket")
    func otherSocket() async throws {
        let sockets = [
            try DatagramLane.bind(.v4(0x7F00_0001), port: 0), try DatagramLane.bind(.v4(0x7F00_0001), port: 0),
        ]
        let lane = try DatagramLane.start(sockets, name: "test-lane", answerer: Echo(sockets))
        let place = IPEndpoint(.v4(0x7F00_0001), sockets[0].port)
        // What comes from the second socket does not reach a socket that is connected to the first.
        #expect(try await exchange([[1, 5], [0, 6]], with: place, expecting: 1) == [[0, 0, 6]])
        lane.stop()
    }

    @Test("sockets of a lane that cannot begin stay with the caller")
    func failure() throws {
        let first = try DatagramLane.bind(.v4(0x7F00_0001), port: 0)
        // The same descriptor twice is refused by epoll_ctl(2), after the first was added.
        #expect(throws: IOError.self) {
            try DatagramLane.start([first, first], name: "test-lane", answerer: Echo([first]))
        }
        #expect(throws: IOError.self) { try DatagramLane.bind(.v4(0x7F00_0001), port: first.port) }
        DatagramLane.close(first)
    }

    @Test("a port that is taken is told, and free again after the end")
    func ports() async throws {
        let first = try DatagramLane.bind(.v4(0x7F00_0001), port: 0)
        #expect(throws: IOError.self) { try DatagramLane.bind(.v4(0x7F00_0001), port: first.port) }
        DatagramLane.close(first)
        DatagramLane.close(try DatagramLane.bind(.v4(0x7F00_0001), port: first.port))
    }
}
