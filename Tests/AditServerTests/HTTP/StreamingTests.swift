// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

private func block(_ number: Int) -> [UInt8] {
    var generator = SeededGenerator(seed: UInt64(number % 7))
    return (0..<8_192).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
}

@Suite(.serialized, .timeLimit(.minutes(3))) struct StreamingTests {
    private static let blocks = 1_024
    private static let blockSize = 65_536
    private static let total = blocks * blockSize

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aLargeUploadArrivesWhole(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.send("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: \(Self.total)\r\n\r\n")
        let sender = Task { try await Self.sendBlocks(visitor) }
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await Self.expectBlocks(wire)
        try await sender.value
        try await wire.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        #expect(try await visitor.readMessage().status == 201)
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aLargeDownloadArrivesWhole(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.total)\r\n\r\n")
        let sender = Task { try await Self.sendBlocks(wire) }
        _ = try await visitor.readHead()
        try await Self.expectBlocks(visitor)
        try await sender.value
    }

    private static func sendBlocks(_ wire: TestWire) async throws {
        let blocks = (0..<7).map(block)
        for number in 0..<Self.blocks { try await wire.send(blocks[number % 7]) }
    }

    private static func expectBlocks(_ wire: TestWire) async throws {
        let blocks = (0..<7).map(block)
        for number in 0..<Self.blocks {
            let isSame = try await wire.read(count: Self.blockSize) == blocks[number % 7]
            try #require(isSame, "block \(number)")
        }
    }

    /// Sends until the writes stop being taken, and says how many bytes were.
    private func fill(_ wire: TestWire) async throws -> Int {
        let taken = NIOLockedValueBox(0)
        let block = [UInt8](repeating: 120, count: Self.blockSize)
        let sender = Task {
            for _ in 0..<4_096 {
                try await wire.send(block)
                taken.withLockedValue { $0 += block.count }
            }
        }
        defer { sender.cancel() }
        var last = -1
        var quiet = 0
        while quiet < 20 {
            let now = taken.withLockedValue { $0 }
            quiet = now == last ? quiet + 1 : 0
            last = now
            let loop = try wire.channel.eventLoop
            try await loop.scheduleTask(in: .milliseconds(20)) {}.futureResult.get()
        }
        return last
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aVisitorWhoDoesNotReadStopsTheApp(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.setReading(false)
        try await visitor.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n")
        // Two pairs of socket buffers and what the proxy may hold, of 256 MiB that were offered.
        let taken = try await fill(wire)
        #expect(taken > 0 && taken < 32 << 20)
        visitor.close()
        wire.close()
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func anAppThatDoesNotReadStopsTheVisitor(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 268435456\r\n\r\n")
        let wire = await app.accept()
        try await wire.setReading(false)
        let taken = try await fill(visitor)
        #expect(taken > 0 && taken < 32 << 20)
        visitor.close()
        wire.close()
    }

    @Test func aVisitorWhoPipelinesAndDoesNotReadIsNotReadEither() async throws {
        let front = try await TestFrontEnd()
        let visitor = try await front.connect()
        try await visitor.setReading(false)
        let requests = Array(String(repeating: "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", count: 1_000).utf8)
        let sender = Task { for _ in 0..<2_000 { try await visitor.send(requests) } }
        var last = -1
        var quiet = 0
        while quiet < 20 {
            let now = front.frontEnd.counters.requests
            quiet = now == last ? quiet + 1 : 0
            last = now
            try await visitor.channel.eventLoop.scheduleTask(in: .milliseconds(20)) {}.futureResult.get()
        }
        #expect(last > 0 && last < 200_000)
        sender.cancel()
        visitor.close()
    }
}
