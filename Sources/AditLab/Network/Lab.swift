// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A simulated internet in virtual time.
///
/// A lab belongs to the thread that makes it: it is built, run and left within one call of ``play(seed:_:)``, so that
/// several run on several threads. All that is random in it follows from its seed.
package final class Lab {
    /// The number that decides everything random.
    package let seed: LabSeed
    /// Virtual time; it begins at zero.
    package private(set) var now = Instant.zero
    /// Every host, router and NAT, by index.
    package private(set) var nodes: [LabHost] = []
    /// Every link, by index.
    package private(set) var links: [LabLink] = []
    /// The packets that ended on their way, in order; at most `dropLimit` of them are kept.
    package private(set) var drops: [LabDrop] = []
    /// How many packets ended on their way.
    package private(set) var dropCount = 0
    /// How many of them are kept.
    package var dropLimit = 20_000
    /// How many packets were sent by hosts and routers themselves.
    package private(set) var sentCount = 0
    /// How many events have happened.
    package private(set) var eventCount = 0
    /// What happened to every packet; nil unless asked for with ``record(limit:)``.
    package internal(set) var trace: LabTrace?

    /// How many events a run may take before it counts as endless, unless it is told otherwise.
    package static let usualBudget = 5_000_000

    var timers = TimerSlots()
    private var heap = EventHeap()
    private var order: UInt64 = 0
    private var packets: [LabPacket] = []
    private var freePackets: [UInt32] = []
    private var nextPacketNumber: UInt32 = 0

    /// Makes an empty internet.
    package init(seed: LabSeed) {
        self.seed = seed
    }

    /// Makes an empty internet.
    package convenience init(seed: UInt64) {
        self.init(seed: LabSeed(seed))
    }

    /// Builds and runs a lab, and takes it to pieces afterwards: nothing of it may be used when this has returned.
    package static func play<Result, Failure: Error>(
        seed: LabSeed,
        _ body: (Lab) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let lab = Lab(seed: seed)
        defer { lab.dismantle() }
        return try body(lab)
    }

    /// Builds and runs a lab, and takes it to pieces afterwards: nothing of it may be used when this has returned.
    package static func play<Result, Failure: Error>(
        seed: UInt64,
        _ body: (Lab) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try play(seed: LabSeed(seed), body)
    }

    /// Lets go of every node and closure, which may refer to each other.
    package func dismantle() {
        for node in nodes { node.dismantle() }
        nodes.removeAll()
        links.removeAll()
        timers.removeAll()
        heap.removeAll()
    }

    // MARK: Building

    /// Adds a host.
    package func host(_ name: String) -> LabHost {
        LabHost(name, self)
    }

    /// Adds a router that only forwards.
    package func router(_ name: String) -> LabRouter {
        LabRouter(name, self)
    }

    /// Adds a NAT box or a firewall.
    package func nat(_ name: String, _ configuration: NATConfiguration) -> LabNAT {
        LabNAT(name, configuration, self)
    }

    /// Adds a link: a wire between two nodes, or a network segment of several.
    package func link(_ configuration: LinkConfiguration = LinkConfiguration(), name: String? = nil) -> LabLink {
        let link = LabLink(name ?? "link \(links.count)", index: links.count, configuration, self)
        links.append(link)
        return link
    }

    /// Adds a link that only takes time.
    package func link(latency: Duration, name: String? = nil) -> LabLink {
        link(LinkConfiguration(latency: latency), name: name)
    }

    func add(_ node: LabHost) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    // MARK: Running

    /// Lets everything happen until `limit`, which `now` then is.
    ///
    /// Throws when more than `budget` events happen: the run would not end.
    package func run(until limit: Instant, budget: Int = Lab.usualBudget) throws(LabFailure) {
        try step(until: limit, budget: budget) { false }
        now = max(now, limit)
    }

    /// Lets everything happen for a time.
    package func run(for duration: Duration, budget: Int = Lab.usualBudget) throws(LabFailure) {
        try run(until: now + duration, budget: budget)
    }

    /// Runs until `condition` holds, which is looked at after each event, or until the time is over.
    ///
    /// Gives whether it holds.
    package func run(
        for duration: Duration,
        budget: Int = Lab.usualBudget,
        until condition: () -> Bool
    ) throws(LabFailure) -> Bool {
        let limit = now + duration
        if condition() { return true }
        if try step(until: limit, budget: budget, condition) { return true }
        now = max(now, limit)
        return false
    }

    /// Runs until nothing is left to happen.
    package func runUntilIdle(budget: Int = Lab.usualBudget) throws(LabFailure) {
        try step(until: Instant(nanoseconds: .max), budget: budget) { false }
    }

    /// Does something at a time, or at once in the order of events when the time has passed.
    package func at(_ time: Instant, _ body: @escaping () -> Void) {
        arm(LabAction(self, body), at: max(time, now))
    }

    /// Does something after a time.
    package func after(_ duration: Duration, _ body: @escaping () -> Void) {
        at(now + duration, body)
    }

    /// A generator for one purpose of the scenario, independent of those for others.
    package func generator(for purpose: UInt64) -> SeededGenerator {
        seed.generator(for: purpose)
    }

    @discardableResult
    private func step(until limit: Instant, budget: Int, _ isDone: () -> Bool) throws(LabFailure) -> Bool {
        var left = budget
        while let time = heap.firstTime, time <= limit.nanoseconds, let event = heap.pop() {
            guard left > 0 else { throw LabFailure(.endless(events: budget), seed: seed, at: now) }
            left -= 1
            eventCount += 1
            perform(event)
            if isDone() { return true }
        }
        return false
    }

    private func perform(_ event: LabEvent) {
        switch event.kind {
        case .arrival:
            now = Instant(nanoseconds: event.at)
            freePackets.append(event.argument)
            let packet = packets[Int(event.argument)]
            links[Int(event.target)].arrive(packet, at: Int(event.part))
        case .loopback:
            now = Instant(nanoseconds: event.at)
            freePackets.append(event.argument)
            nodes[Int(event.target)].input(packets[Int(event.argument)], interface: nil)
        case .timer:
            guard let owner = timers.owner(event.target, serial: event.argument), let deadline = owner.deadline else {
                return
            }
            if deadline > event.at {
                arm(owner, at: Instant(nanoseconds: deadline))
            } else {
                now = Instant(nanoseconds: event.at)
                owner.deadline = nil
                owner.fire()
            }
        }
    }

    // MARK: For nodes and links

    func arm(_ owner: LabTimed, at time: Instant?) {
        guard let event = timers.arm(owner, at: time?.nanoseconds) else { return }
        order += 1
        heap.push(
            LabEvent(at: event.at, order: order, kind: .timer, target: event.slot, part: 0, argument: event.serial)
        )
    }

    func push(_ kind: LabEvent.Kind, _ packet: LabPacket, target: Int, part: Int, at time: Int64) {
        let slot: UInt32
        if let reused = freePackets.popLast() {
            slot = reused
            packets[Int(slot)] = packet
        } else {
            slot = UInt32(packets.count)
            packets.append(packet)
        }
        order += 1
        heap.push(
            LabEvent(
                at: time,
                order: order,
                kind: kind,
                target: UInt32(target),
                part: UInt32(part),
                argument: slot
            )
        )
    }

    func number(_ packet: inout LabPacket) {
        nextPacketNumber &+= 1
        sentCount += 1
        packet.number = nextPacketNumber
    }

    func drop(_ packet: LabPacket, at node: LabHost, _ reason: LabDropReason) {
        dropCount += 1
        if drops.count < dropLimit {
            drops.append(LabDrop(at: now, node: node.index, reason: reason, packet: packet))
        }
        trace?.dropped(packet, node: node.index, reason: reason, at: now)
    }
}
