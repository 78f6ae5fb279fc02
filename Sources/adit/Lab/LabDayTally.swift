// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal

/// What came of a day.
struct LabDayTally: Sendable {
    /// A stream that is not as it should be.
    struct Finding: Sendable {
        var stream: Int
        var words: String
    }

    let day: LabDay
    let seed: LabSeed
    /// The streams that broke off, lost something or changed it; the first of them.
    private(set) var findings: [Finding] = []
    private(set) var findingCount = 0
    private(set) var byteCount = 0
    private(set) var messageCount = 0
    /// How long messages took, in order.
    private(set) var delays: [Duration] = []
    /// How often a device took a connection to another one for good; twice for each pair, if all last all day.
    private(set) var connectionCount = 0
    private var times: [String: Duration] = [:]
    /// How often what happened.
    var troubles: [String: Int] = [:]
    var events = 0
    var packets = 0
    /// How many messages devices sent each other through the server.
    var signals = 0

    private static let findingLimit = 20

    init(_ day: LabDay, seed: LabSeed) {
        self.day = day
        self.seed = seed
    }

    mutating func add(_ stream: LabDayStream) {
        var faults: [String] = []
        if let failure = stream.failure { faults.append("broke off: \(failure)") }
        for (end, direction) in stream.directions.enumerated() {
            let sender = end == 0 ? stream.visitor : stream.host
            byteCount += direction.received
            messageCount += direction.delays.count
            delays += direction.delays
            if direction.faults > 0 { faults.append("\(direction.faults) bytes of d\(sender) changed") }
            if direction.received != direction.sent {
                faults.append("\(direction.received) of \(direction.sent) bytes of d\(sender) arrived")
            }
        }
        guard !faults.isEmpty else { return }
        findingCount += 1
        guard findings.count < Self.findingLimit else { return }
        let words = "d\(stream.visitor) to d\(stream.host): " + faults.joined(separator: ", ")
        findings.append(Finding(stream: stream.number, words: words))
    }

    mutating func add(_ device: LabDayDevice) {
        device.countAll()
        connectionCount += device.connectionCount
        for (kind, time) in device.times { times[Self.word(kind), default: .zero] += time }
    }

    private static func word(_ kind: PathKind) -> String {
        switch kind {
        case .none: "none"
        case .relayed: "relayed"
        case .direct: "direct"
        }
    }

    /// Puts the delays in order, for `delay(at:)`.
    mutating func sort() { delays.sort() }

    /// How long that share of the messages took at most.
    func delay(at share: Double) -> Duration {
        delays.isEmpty ? .zero : delays[min(delays.count - 1, Int(Double(delays.count) * share))]
    }

    /// The share of the time in which paths were of a kind, all peers together.
    func share(_ kind: String) -> Double {
        let all = times.values.reduce(Duration.zero, +)
        return all > .zero ? (times[kind] ?? .zero) / all : 0
    }
}
