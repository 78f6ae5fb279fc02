// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditLab
import AditTransport
import AditTraversal
import Glibc
import NIOCore

/// A day of many devices in a simulated town: paths, QUIC and streams as they are in a device's process, and everything that
/// happens to homes.
///
/// Streams are opened once and talk all day. Nothing that happens may break one, or lose, double or change a byte of it.
struct LabDay: Sendable {
    /// How many devices there are, each in a home of its own.
    var devices = 100
    /// How many pairs of devices are connected.
    var pairs = 200
    /// How many streams there are between all of them.
    var streams = 1000
    /// How long it takes.
    var length = Duration.seconds(86_400)
    /// How often something happens to each home in 24 hours.
    var troubles = 6.0
    /// How many messages each end of a stream sends in an hour.
    var messages = 4.0

    /// How long everything has to arrive after the day, in which nothing happens any more.
    static let evening = Duration.seconds(1800)
    /// NATs as homes have them, the frequent ones more than once.
    static let kinds = ["port", "port-r", "addr", "port", "full", "sym", "port", "seq", "port-r", "adm"]
    static let mobile = "port-r"

    /// Runs it once.
    ///
    /// - Parameter progress: called with the share of the day that is over.
    func run(seed: LabSeed, progress: (Double) -> Void = { _ in }) throws -> LabDayTally {
        try Lab.play(seed: seed) { lab in
            lab.dropLimit = 0
            let stage = try LabDayStage(self, in: lab)
            defer { stage.close() }
            try stage.run(progress)
            return stage.tally()
        }
    }
}

/// The town of a day, its devices and what they say to each other; it belongs to the lab's thread.
final class LabDayStage {
    private let day: LabDay
    private let lab: Lab
    private let town: LabTown
    private let post: SignalPost
    private var devices: [LabDayDevice] = []
    private var streams: [LabDayStream] = []
    private var random: SeededGenerator
    private var trouble: LabDayTrouble
    private var isOver = false
    private let start: Instant

    init(_ day: LabDay, in lab: Lab) throws {
        self.day = day
        self.lab = lab
        start = lab.now
        random = lab.generator(for: 20 << 32)
        town = LabTown(
            try LabDay.kinds.map { try SiteSpecification($0) },
            mobile: try SiteSpecification(LabDay.mobile),
            count: day.devices,
            in: lab
        )
        trouble = LabDayTrouble(town, in: lab, length: day.length)
        var scenario = try PathScenario("port", "port")
        scenario.outages = trouble.restarts.map { ($0 - .zero)..<($0 - .zero) + LabDayTrouble.restartTime }
        post = SignalPost(scenario, in: lab)
        for number in 0..<day.devices { try addDevice(number) }
    }

    private func addDevice(_ number: Int) throws {
        let device = try LabDayDevice(number, in: town, post) { [unowned self] channel in
            try channel.pipeline.syncOperations.addHandler(
                LabDayGreeting { [unowned self] number in
                    guard streams.indices.contains(number) else { throw ChannelError.operationUnsupported }
                    return LabDayTalk(streams[number], end: 1, in: lab)
                }
            )
        }
        devices.append(device)
        post.deliver(to: device.id) { [unowned self] signal, sender in
            device.take(signal, from: sender, seenAt: Int(sender.name.dropFirst(1)).flatMap(town.publicAddress))
        }
    }

    // MARK: The day

    func run(_ progress: (Double) -> Void) throws {
        connect()
        for number in 0..<day.devices { schedule(trouble: number) }
        for time in trouble.restarts { lab.at(time) { [unowned self] in trouble.restartServer() } }
        let steps = 48
        for step in 1...steps {
            try lab.run(until: start + day.length / steps * step, budget: .max)
            progress(Double(step) / Double(steps))
        }
        isOver = true
        // Who fell asleep late would sleep longer than the evening is.
        for device in devices where device.isAsleep { device.isAsleep = false }
        try lab.run(for: LabDay.evening, budget: .max)
    }

    /// Connects pairs of devices and opens their streams, in the first minutes.
    private func connect() {
        var pairs: [(Int, Int)] = []
        var known: Set<Int> = []
        while pairs.count < day.pairs, known.count < day.devices * (day.devices - 1) / 2 {
            let a = Int.random(in: 0..<day.devices, using: &random)
            let b = Int.random(in: 0..<day.devices, using: &random)
            guard a != b, known.insert(min(a, b) * day.devices + max(a, b)).inserted else { continue }
            pairs.append((a, b))
        }
        for number in 0..<day.streams {
            let (a, b) = pairs[number % pairs.count]
            let stream = LabDayStream(number, a, b)
            streams.append(stream)
            lab.after(.milliseconds(Int.random(in: 0..<120_000, using: &random))) { [unowned self] in open(stream) }
        }
        for (a, b) in pairs {
            devices[a].expect(devices[b])
            devices[b].expect(devices[a])
        }
    }

    private func open(_ stream: LabDayStream) {
        devices[stream.visitor].connection(to: devices[stream.host].id) { [unowned self] connection in
            let opened = connection.openStream { [unowned self] channel in
                try channel.pipeline.syncOperations.addHandler(LabDayTalk(stream, end: 0, in: lab))
            }
            opened.assumeIsolated().whenComplete { [unowned self] result in
                guard case .success(let channel) = result else { return stream.breakOff("it could not be opened") }
                channel.writeAndFlush(ByteBuffer(integer: UInt32(stream.number)), promise: nil)
                for end in 0...1 { schedule(messageOf: stream, end) }
            }
        }
    }

    private func schedule(messageOf stream: LabDayStream, _ end: Int) {
        let wait = Duration.seconds(random.nextWait(mean: 3600 / day.messages))
        let loop = devices[end == 0 ? stream.visitor : stream.host].loop
        _ = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(wait / .nanoseconds(1)))) { [unowned self] in
            guard !isOver else { return }
            stream.send(Int.random(in: 64...8192, using: &random), from: end, at: lab.now)
            schedule(messageOf: stream, end)
        }
    }

    private func schedule(trouble number: Int) {
        guard day.troubles > 0 else { return }
        lab.after(.seconds(random.nextWait(mean: 86_400 / day.troubles))) { [unowned self] in
            guard !isOver else { return }
            trouble.happen(to: devices[number])
            schedule(trouble: number)
        }
    }

    func close() {
        for device in devices { device.close() }
    }

    // MARK: What came of it

    func tally() -> LabDayTally {
        var tally = LabDayTally(day, seed: lab.seed)
        for stream in streams { tally.add(stream) }
        for device in devices { tally.add(device) }
        tally.troubles = trouble.counts
        tally.events = lab.eventCount
        tally.packets = lab.sentCount
        tally.signals = post.count
        return tally
    }
}

extension SeededGenerator {
    /// How long something takes that happens at random, in the mean that long, in seconds.
    mutating func nextWait(mean: Double) -> Double {
        -mean * log(1 - nextFraction())
    }
}
