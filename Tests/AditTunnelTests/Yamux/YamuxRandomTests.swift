// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

@Suite struct YamuxRandomTests {
    /// What the test knows about one stream: the bytes that each end has sent and whether it has ended.
    private struct Ledger {
        var sent = [0, 0]
        var hasEnded = [false, false]
        var isBroken = false
    }

    @Test(arguments: 1...40)
    func whatIsSentArrivesWhateverTheOrder(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var configuration = YamuxConfiguration()
        configuration.acceptBacklog = 4
        configuration.maximumStreams = 24
        if seed.isMultiple(of: 3) { configuration.startingWindow = 1024 * 1024 }
        var pair = YamuxPair(client: configuration, server: configuration)
        var ledgers: [UInt32: Ledger] = [:]

        for _ in 0..<3000 {
            let end: YamuxPair.End = Bool.random(using: &random) ? .client : .server
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                if let id = try? pair.open(end) { ledgers[id] = Ledger() }
            case 1, 2, 3:
                guard let id = ledgers.keys.sorted().randomElement(using: &random) else { continue }
                let window = pair.sessions[end.rawValue].sendWindow(of: id)
                guard let ledger = ledgers[id], !ledger.isBroken, !ledger.hasEnded[end.rawValue], window > 0 else {
                    continue
                }
                let count = Int.random(in: 1...window, using: &random)
                ledgers[id]?.sent[end.rawValue] += count
                pair.handle(end, .send(id, count))
            case 4:
                guard let id = ledgers.keys.sorted().randomElement(using: &random),
                    ledgers[id]?.isBroken == false, knows(pair, end, id)
                else { continue }
                ledgers[id]?.hasEnded[end.rawValue] = true
                pair.handle(end, .finish(id))
            case 5:
                guard Int.random(in: 0..<6, using: &random) == 0,
                    let id = ledgers.keys.sorted().randomElement(using: &random), knows(pair, end, id)
                else { continue }
                ledgers[id]?.isBroken = true
                pair.handle(end, Bool.random(using: &random) ? .reset(id) : .close(id))
            case 6, 7:
                for (id, count) in pair.unread[end.rawValue].sorted(by: { $0.key < $1.key }) where count > 0 {
                    // A stream that was broken off has no reader any more.
                    if ledgers[id]?.isBroken == true { continue }
                    pair.read(end, id, Int.random(in: 1...count, using: &random))
                }
            case 8:
                pair.now = pair.now + .milliseconds(Int.random(in: 0..<200, using: &random))
            default:
                for _ in 0..<Int.random(in: 1..<5, using: &random) {
                    pair.deliver(from: end, limit: Int.random(in: 1...200_000, using: &random))
                }
            }
            #expect(pair.sessions[end.other.rawValue].activeStreamCount <= 24)
        }
        pair.settle()
        #expect(pair.failures(.client) == [] && pair.failures(.server) == [])
        finish(&pair, &ledgers)
        for case .streamReset(let id, _) in pair.events[0] + pair.events[1] { ledgers[id]?.isBroken = true }
        #expect(ledgers.values.contains { !$0.isBroken })
        for (id, ledger) in ledgers where !ledger.isBroken {
            #expect(pair.received[1][id, default: 0] == ledger.sent[0], "stream \(id)")
            #expect(pair.received[0][id, default: 0] == ledger.sent[1], "stream \(id)")
            for end in YamuxPair.End.allCases {
                #expect(pair.events[end.rawValue].filter { $0 == .streamFinished(id) }.count == 1)
            }
        }
        #expect(pair.sessions.map(\.bufferedBytes) == [0, 0])
        #expect(pair.sessions.map(\.activeStreamCount) == [0, 0])
        #expect(pair.failures(.client) == [] && pair.failures(.server) == [])
    }

    /// Whether an end has heard of a stream: it opened it, or the open has arrived.
    private func knows(_ pair: YamuxPair, _ end: YamuxPair.End, _ id: UInt32) -> Bool {
        (id & 1 == 1) == (end == .client) || pair.events[end.rawValue].contains(.streamOpened(id))
    }

    /// Reads and ends everything that is left.
    private func finish(_ pair: inout YamuxPair, _ ledgers: inout [UInt32: Ledger]) {
        for _ in 0..<50 {
            for end in YamuxPair.End.allCases {
                for (id, ledger) in ledgers where knows(pair, end, id) {
                    if ledger.isBroken {
                        pair.handle(end, .reset(id))
                        continue
                    }
                    let count = pair.unread[end.rawValue][id, default: 0]
                    if count > 0 { pair.read(end, id, count) }
                    if !ledger.hasEnded[end.rawValue] {
                        ledgers[id]?.hasEnded[end.rawValue] = true
                        pair.handle(end, .finish(id))
                    }
                }
            }
            pair.settle()
        }
    }

    @Test(arguments: 1...20)
    func aHostilePeerNeverMakesTheSessionTrapOrGrow(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            var server = YamuxSolo(.server, YamuxConfiguration())
            var isOver = false
            for _ in 0..<2000 where !isOver {
                let kind = YamuxHeader.Kind(rawValue: UInt8.random(in: 0...2, using: &random)) ?? .data
                let flags = YamuxHeader.Flags(rawValue: UInt16.random(in: 0...15, using: &random))
                let id =
                    UInt32.random(in: 0...12, using: &random) * 2 + (Int.random(in: 0..<50, using: &random) > 0 ? 1 : 0)
                let length = UInt32.random(in: 0...3000, using: &random)
                var outputs = server.receive(kind, flags, streamID: id, length: length)
                if server.session.payloadRemaining > 0, !outputs.contains(where: Self.isFailure) {
                    outputs += server.handle(.payload(server.session.payloadRemaining))
                }
                for case .streamOpened(let id) in outputs {
                    outputs += server.handle(Bool.random(using: &random) ? .accept(id) : .close(id))
                }
                server.now = server.now + .milliseconds(10)
                if server.session.nextDeadline.map({ $0 <= server.now }) ?? false {
                    outputs += server.handle(.deadline)
                }
                isOver = outputs.contains(where: Self.isFailure)
                #expect(server.session.activeStreamCount <= 13)
            }
        }
    }

    private static func isFailure(_ output: YamuxSession.Output) -> Bool {
        if case .failed = output { true } else { false }
    }
}
