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
        var signals = 0
        var kinds: [PathKind] = [.none, .none]
        var received = [0, 0]
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
            var outcome = Outcome()
            var random = lab.generator(for: 30 << 32)
            let town = LabTown(
                try kinds.map { try SiteSpecification($0) },
                mobile: try SiteSpecification("port-r"),
                count: 2,
                in: lab
            )
            let post = SignalPost(try PathScenario("port", "port"), in: lab)
            if isAcknowledgedFirst {
                post.tamper = { signal, _, _ in
                    guard case .description = signal.content, signal.revision > 1 else { return [signal] }
                    var first = signal
                    first.revision -= 1
                    first.content = .acknowledgement
                    return [first, signal]
                }
            }
            let ids = [0, 1].map { PathPeerID(name: "d\($0)", key: "key \($0)") }
            var finders: [LabMachine<PathFinder>] = []
            func connect(_ number: Int) {
                finders[number].update { $0.connect(ids[1 - number], at: lab.now) }
            }
            func change(_ number: Int, to kind: PathKind) {
                outcome.kinds[number] = kind
                guard kind == .none else { return }
                // As a device's process does.
                lab.after(.seconds(20)) { if outcome.kinds[number] == .none { connect(number) } }
            }
            for number in 0...1 {
                let home = town.homes[number]
                let configuration = PathConfiguration(
                    ownID: ids[number],
                    server: town.offer(to: ids[number]),
                    network: home.device.network,
                    staysReady: true
                )
                let finder = home.device.run(
                    PathFinder(configuration, random: lab.generator(for: 31 << 32 | UInt64(number)))
                ) { event in
                    switch event {
                    case .signal(let signal, let peer): post.carry(signal, from: ids[number], to: peer)
                    case .received: outcome.received[number] += 1
                    case .changed(let report, _): change(number, to: report.kind)
                    case .ended: change(number, to: .none)
                    case .roundTrip, .trace, .wantsPort, .moved: break
                    }
                }
                finder.update { $0.note(town.report(of: number), at: lab.now) }
                finders.append(finder)
                post.deliver(to: ids[number]) { signal, sender in
                    let address = town.publicAddress(of: 1 - number)
                    finder.update { $0.receive(signal, from: sender, seenAt: address, at: lab.now) }
                }
            }
            func say(_ number: Int) {
                let packet = PacketBatch([UInt8](repeating: 0x45, count: 100))
                _ = finders[number].update { $0.send(packet, to: ids[1 - number], at: lab.now) }
                lab.after(.seconds(5)) { say(number) }
            }
            connect(0)
            say(0)
            say(1)
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
            outcome.signals = post.count
            return outcome
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
}
