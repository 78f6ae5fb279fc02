// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOCore
import NIOPosix
import Testing

/// As `ToldMachine`, and takes datagrams in batches.
private struct BatchMachine: SocketMachine {
    static let takesBatches = true
    var told = ToldMachine()
    var nextDeadline: Instant? { told.nextDeadline }

    mutating func handle(_ input: SocketInput, at now: Instant) { told.handle(input, at: now) }
    mutating func nextOutput() -> SocketOutput<SocketInput>? { told.nextOutput() }
}

@Suite(.timeLimit(.minutes(1)))
struct ProbeBatchTests {
    private static let batch = PacketBatch(
        bytes: (0..<30_500).map { UInt8(truncatingIfNeeded: $0 / 100) },
        segmentSize: 1200
    )

    private static let kinds = [MachineBench.loopback, IPEndpoint(.v4(0), 0)]

    @Test(arguments: kinds)
    func `a batch comes as the packets that it has, however the system puts them together`(
        _ place: IPEndpoint
    ) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: SocketInput.self)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let driver = SocketMachineDriver(BatchMachine(), on: loop) { continuation.yield($0) }
        driver.start()
        driver.update { machine in
            machine.told.outputs += [
                .open(SocketID(1), .udp(local: MachineBench.loopback)), .open(SocketID(2), .udp(local: place)),
            ]
        }
        var packets: [[UInt8]] = []
        var calls = 0
        for await input in stream {
            switch input {
            case .opened(SocketID(1), let local):
                driver.update { $0.told.outputs.append(.sendBatch(SocketID(2), Self.batch, to: local)) }
            case .received(SocketID(1), let bytes, _):
                packets.append(bytes)
                calls += 1
            case .receivedBatch(SocketID(1), let batch, _):
                #expect(batch.count > 1)
                packets += batch.packets
                calls += 1
            default: break
            }
            if packets.count >= Self.batch.count { break }
        }
        #expect(packets == Self.batch.packets)
        #expect(calls <= packets.count)
        try await driver.cancel().get()
    }

    @Test func `who takes no batches gets packets one by one`() async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let (b, bLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        bench.perform(.sendBatch(a, Self.batch, to: bLocal))
        for packet in Self.batch.packets { #expect(await bench.next() == .received(b, packet, from: aLocal)) }
        #expect(try await bench.end() == [])
    }

    @Test func `packets that are offered to a connection are dropped when too many wait, and the connection stays`()
        async throws
    {
        let bench = await MachineBench()
        let (_, place) = try await bench.open(.listener(local: MachineBench.loopback))
        let a = bench.newID()
        bench.perform(.open(a, .tcp(local: MachineBench.loopback, remote: place)))
        var accepted: SocketID?
        for _ in 0..<2 {
            switch await bench.next() {
            case .accepted(let id, _, _, _): accepted = id
            case .connected(a, _, _): break
            default: throw MachineBench.Unexpected()
            }
        }
        let other = try #require(accepted)
        // In one turn of the loop nothing is read: much more than may wait.
        let frame = [UInt8](repeating: 7, count: 60_000)
        bench.driver.update { machine in
            for _ in 0..<1000 { machine.outputs.append(.offer(a, frame)) }
            machine.outputs.append(.write(a, [1]))
        }
        var count = 0
        var last: UInt8 = 0
        while last != 1 {
            guard case .bytes(other, let bytes)? = await bench.next() else { throw MachineBench.Unexpected() }
            count += bytes.count
            last = bytes.last ?? 0
        }
        #expect(count < 1000 * 60_000)
        #expect(count % 60_000 == 1)
    }
}
