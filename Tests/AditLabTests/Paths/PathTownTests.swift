// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Two homes of a town, a path between their devices, and something that happens to one of them.
@Suite("What happens to a home")
struct PathTownTests {
    enum Trouble: CaseIterable, Sendable {
        case renumbering, reboot, outage, move
    }

    /// What came of it.
    private struct Outcome {
        var signals: Int
        var kinds: [PathKind]
        var received: [Int]
    }

    /// - Parameters:
    ///   - second: what happens to the other home within two seconds of the first trouble.
    ///   - isAcknowledgedFirst: whether each description is acknowledged by a signal of its own before the answer to it.
    private static func play(
        _ kinds: [String],
        _ trouble: Trouble,
        to victim: Int,
        and second: Trouble? = nil,
        isAcknowledgedFirst: Bool = false,
        seed: UInt64
    ) throws -> Outcome {
        try Lab.play(seed: seed) { lab in
            var random = lab.generator(for: 30 << 32)
            let homes = try TwoHomes(kinds, in: lab)
            let town = homes.town
            if isAcknowledgedFirst {
                homes.post.tamper = { signal, _, _ in
                    guard case .description = signal.content, signal.revision > 1 else { return [signal] }
                    var first = signal
                    first.revision -= 1
                    first.content = .acknowledgement
                    return [first, signal]
                }
            }
            func happen(_ trouble: Trouble, to victim: Int) {
                switch trouble {
                case .renumbering: town.renumber(victim)
                case .reboot: town.homes[victim].router.reboot()
                case .move: town.move(victim)
                case .outage:
                    town.internet.loses = { town.isOf(victim, $0) || town.isOf(victim, $1) }
                    lab.after(.seconds(Int.random(in: 30...300, using: &random))) { town.internet.loses = nil }
                }
            }
            lab.after(.milliseconds(Int.random(in: 1000..<90_000, using: &random))) {
                happen(trouble, to: victim)
                guard let second else { return }
                lab.after(.milliseconds(Int.random(in: 0..<2000, using: &random))) { happen(second, to: 1 - victim) }
            }
            try lab.run(for: .seconds(450), budget: .max)
            return Outcome(signals: homes.post.count, kinds: homes.kinds, received: homes.received)
        }
    }

    @Test(
        "A path is there again, by no more signals than it takes",
        arguments: Trouble.allCases,
        [["port", "port-r"], ["port", "adm"], ["adm", "sym"]]
    )
    private func trouble(_ trouble: Trouble, kinds: [String]) throws {
        for seed in [UInt64(1), 2] {
            for victim in 0...1 {
                let outcome = try Self.play(kinds, trouble, to: victim, seed: seed)
                #expect(outcome.signals < 300, "\(outcome) \(seed) \(victim)")
                #expect(outcome.kinds.allSatisfy { $0.isUsable }, "\(outcome) \(seed) \(victim)")
                #expect(outcome.received.allSatisfy { $0 > 30 }, "\(outcome) \(seed) \(victim)")
            }
        }
    }

    @Test(
        "Two homes in trouble at once do not begin anew in answer to each other for ever",
        arguments: [Trouble.move, .renumbering, .reboot],
        [["port", "port-r"], ["sym", "port"], ["adm", "sym"]]
    )
    private func together(_ trouble: Trouble, kinds: [String]) throws {
        for seed in [UInt64(1), 2] {
            for second in [Trouble.move, .renumbering] {
                for isAcknowledgedFirst in [false, true] {
                    let outcome = try Self.play(
                        kinds,
                        trouble,
                        to: Int(seed & 1),
                        and: second,
                        isAcknowledgedFirst: isAcknowledgedFirst,
                        seed: seed
                    )
                    #expect(outcome.signals < 400, "\(outcome) \(seed) \(second) \(isAcknowledgedFirst)")
                    #expect(outcome.kinds.allSatisfy { $0.isUsable }, "\(outcome) \(seed) \(second)")
                }
            }
        }
    }

    @Test(
        "A path that came back again and again carries payload, however many relays there were between",
        arguments: [["port", "port-r"], ["port", "port"]]
    )
    private func againAndAgain(kinds: [String]) throws {
        try Lab.play(seed: 1) { lab in
            let homes = try TwoHomes(kinds, in: lab)
            let town = homes.town
            for time in 1...24 {
                town.internet.loses = { town.isOf(1, $0) || town.isOf(1, $1) }
                try lab.run(for: .seconds(4), budget: .max)
                town.internet.loses = nil
                try lab.run(for: .seconds(120), budget: .max)
                #expect(homes.kinds.allSatisfy { $0.isDirect }, "\(homes.kinds) \(time)")
                town.startRelay()
                let before = homes.received
                try lab.run(for: .seconds(60), budget: .max)
                #expect(homes.kinds.allSatisfy { $0.isDirect }, "\(homes.kinds) \(time)")
                for number in 0...1 { #expect(homes.received[number] >= before[number] + 10, "\(number) \(time)") }
            }
        }
    }
}
