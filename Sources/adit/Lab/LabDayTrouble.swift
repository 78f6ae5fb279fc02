// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal

/// What happens to homes, devices and the server in the course of a day.
struct LabDayTrouble {
    /// What happens to a home.
    enum Kind: String, CaseIterable, Sendable {
        /// The router loses its power for a minute, and with it all mappings.
        case reboot
        /// The provider gives the router another address.
        case renumbering
        /// The device goes to the mobile network, or comes home.
        case move
        /// The device sleeps for up to an hour.
        case sleep
        /// Packets go out, and none come in, for up to two minutes.
        case oneWay = "one-way loss"
        /// No packet goes either way for up to ten minutes.
        case outage
    }

    /// How long a server takes that starts anew.
    static let restartTime = Duration.seconds(10)

    private let lab: Lab
    private let town: LabTown
    private let dark: Dark
    private var random: SeededGenerator
    /// When the server starts anew.
    let restarts: [Instant]
    /// How often what has happened.
    private(set) var counts: [String: Int] = [:]

    /// The homes to or from which nothing comes.
    private final class Dark {
        var inward: [Int: Int] = [:]
        var outward: [Int: Int] = [:]
    }

    init(_ town: LabTown, in lab: Lab, length: Duration) {
        self.town = town
        self.lab = lab
        random = lab.generator(for: 22 << 32)
        dark = Dark()
        // Every six hours, the first time after three.
        restarts = (0..<Int(length / .seconds(6 * 3600) + 0.5)).map { lab.now + .seconds(3 * 3600 + $0 * 6 * 3600) }
        town.internet.loses = { [dark, town] source, destination in
            if dark.inward.isEmpty, dark.outward.isEmpty { return false }
            return dark.inward.keys.contains { town.isOf($0, destination) }
                || dark.outward.keys.contains { town.isOf($0, source) }
        }
    }

    /// The server starts anew: nobody is relayed by it any more, and nothing is passed on for a while.
    mutating func restartServer() {
        counts["server restart", default: 0] += 1
        town.startRelay()
    }

    /// Lets something happen to a device's home.
    mutating func happen(to device: LabDayDevice) {
        guard !device.isAsleep, let kind = Kind.allCases.randomElement(using: &random) else { return }
        counts[kind.rawValue, default: 0] += 1
        let number = device.number
        switch kind {
        case .reboot:
            cut(number, inward: true, outward: true, for: .seconds(60))
            lab.after(.seconds(60)) { [town] in town.homes[number].router.reboot() }
        case .renumbering: town.renumber(number)
        case .move: town.move(number)
        case .sleep:
            device.isAsleep = true
            lab.after(.seconds(Int.random(in: 60...3600, using: &random))) { device.isAsleep = false }
        case .oneWay:
            cut(number, inward: true, outward: false, for: .seconds(Int.random(in: 10...120, using: &random)))
        case .outage:
            cut(number, inward: true, outward: true, for: .seconds(Int.random(in: 30...600, using: &random)))
        }
    }

    private func cut(_ number: Int, inward: Bool, outward: Bool, for time: Duration) {
        if inward { dark.inward[number, default: 0] += 1 }
        if outward { dark.outward[number, default: 0] += 1 }
        lab.after(time) { [dark] in
            if inward { dark.inward[number] = dark.inward[number].flatMap { $0 > 1 ? $0 - 1 : nil } }
            if outward { dark.outward[number] = dark.outward[number].flatMap { $0 > 1 ? $0 - 1 : nil } }
        }
    }
}
