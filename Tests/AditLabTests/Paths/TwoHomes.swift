// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal

/// Two homes of a town, whose devices keep a path and send each other a packet every five seconds.
final class TwoHomes {
    let town: LabTown
    let post: SignalPost
    /// The path that each device has.
    private(set) var kinds: [PathKind] = [.none, .none]
    /// How many packets each device got.
    private(set) var received = [0, 0]
    private let lab: Lab
    private let ids = [0, 1].map { PathPeerID(name: "d\($0)", key: "key \($0)") }
    private var finders: [LabMachine<PathFinder>] = []

    /// Builds the homes, behind NATs of the given kinds; the first device connects to the second.
    init(_ kinds: [String], in lab: Lab) throws {
        self.lab = lab
        town = LabTown(
            try kinds.map { try SiteSpecification($0) },
            mobile: try SiteSpecification("port-r"),
            count: 2,
            in: lab
        )
        post = SignalPost(try PathScenario("port", "port"), in: lab)
        for number in 0...1 { addDevice(number) }
        connect(0)
        say(0)
        say(1)
    }

    private func addDevice(_ number: Int) {
        let home = town.homes[number]
        let configuration = PathConfiguration(
            ownID: ids[number],
            server: town.offer(to: ids[number]),
            network: home.device.network,
            staysReady: true
        )
        let finder = home.device.run(
            PathFinder(configuration, random: lab.generator(for: 31 << 32 | UInt64(number)))
        ) { [unowned self] event in
            switch event {
            case .signal(let signal, let peer): post.carry(signal, from: ids[number], to: peer)
            case .received: received[number] += 1
            case .changed(let report, _): change(number, to: report.kind)
            case .ended: change(number, to: .none)
            case .roundTrip, .trace, .wantsPort, .moved: break
            }
        }
        finder.update { $0.note(town.report(of: number), at: lab.now) }
        finders.append(finder)
        post.deliver(to: ids[number]) { [unowned self] signal, sender in
            let address = town.publicAddress(of: 1 - number)
            finder.update { $0.receive(signal, from: sender, seenAt: address, at: lab.now) }
        }
    }

    private func connect(_ number: Int) {
        finders[number].update { $0.connect(ids[1 - number], at: lab.now) }
    }

    private func change(_ number: Int, to kind: PathKind) {
        kinds[number] = kind
        guard kind == .none else { return }
        // As a device's process does.
        lab.after(.seconds(20)) { [unowned self] in if kinds[number] == .none { connect(number) } }
    }

    private func say(_ number: Int) {
        let packet = PacketBatch([UInt8](repeating: 0x45, count: 100))
        _ = finders[number].update { $0.send(packet, to: ids[1 - number], at: lab.now) }
        lab.after(.seconds(5)) { [unowned self] in say(number) }
    }
}
