// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The visitors of one udp tunnel: who they are, when each was last active, and what was counted for it.
///
/// UDP has no connections, so a visitor is an address and port that was active within the idle timeout. The flows stand
/// in the order of their last activity, which makes both expiry and the choice of whom to forget a look at the oldest.
package struct DatagramFlows: Sendable {
    /// The bounds.
    package struct Configuration: Sendable, Equatable {
        /// How long a flow lives without a datagram in either direction.
        package var idleTimeout: Duration = .seconds(60)
        /// How many flows there are at most.
        package var maximumFlows = 4096
        /// How many flows one source has at most: one IPv4 address, or one /64 of IPv6.
        package var maximumFlowsPerSource = 1024
        /// How long a flow has to be idle before it may make way for a new one.
        package var evictionAge: Duration = .seconds(2)

        /// Makes the defaults.
        package init() {}
    }

    /// One flow; its index is used again after it has ended.
    package struct Flow: Sendable, Equatable {
        /// The visitor.
        package let peer: IPEndpoint
        /// When its first datagram came.
        package let openedAt: Instant
        /// When a datagram went in either direction last.
        package fileprivate(set) var lastActivity: Instant
        /// Datagrams from the visitor.
        package var datagramsIn = 0
        /// Datagrams to the visitor.
        package var datagramsOut = 0
        /// Bytes from the visitor.
        package var bytesIn = 0
        /// Bytes to the visitor.
        package var bytesOut = 0
        /// Datagrams of either direction that were thrown away.
        package var drops = 0
    }

    /// What became of a datagram's visitor.
    package enum Admission: Sendable, Equatable {
        /// A flow was opened under this index; an idle one may have made way under `evicted`, maybe the same index.
        case opened(Int, evicted: Ended?)
        /// There are as many flows as may be, and all are active.
        case refused
    }

    /// A flow that has ended.
    package struct Ended: Sendable, Equatable {
        /// The index that it had.
        package var index: Int
        /// The flow as it was.
        package var flow: Flow
    }

    private struct Slot: Sendable {
        var flow: Flow
        var newer: Int
        var older: Int
    }

    private static let none = -1

    /// The bounds.
    package let configuration: Configuration
    private var slots: [Slot?] = []
    private var free: [Int] = []
    private var byPeer: [IPEndpoint: Int] = [:]
    private var bySource: [IPAddress: Int] = [:]
    private var newest = Self.none
    private var oldest = Self.none

    /// Makes an empty table.
    package init(configuration: Configuration = Configuration()) {
        precondition(configuration.maximumFlows > 0 && configuration.maximumFlowsPerSource > 0, "no flow possible")
        self.configuration = configuration
    }

    /// How many flows there are.
    package var count: Int { byPeer.count }

    /// When `expire(at:)` has something to do next; nil without flows.
    package var nextDeadline: Instant? {
        guard oldest != Self.none, let slot = slots[oldest] else { return nil }
        return slot.flow.lastActivity + configuration.idleTimeout
    }

    /// The flow under an index; nil when there is none.
    package subscript(index: Int) -> Flow? {
        slots.indices.contains(index) ? slots[index]?.flow : nil
    }

    /// The indices of all flows, the longest idle first.
    package var indices: [Int] {
        var found: [Int] = []
        found.reserveCapacity(count)
        var index = oldest
        while index != Self.none, let slot = slots[index] {
            found.append(index)
            index = slot.newer
        }
        return found
    }

    /// The index of a visitor's flow; nil when it has none.
    package func index(of peer: IPEndpoint) -> Int? { byPeer[peer] }

    /// Opens a flow for a visitor that has none.
    package mutating func open(_ peer: IPEndpoint, at now: Instant) -> Admission {
        precondition(byPeer[peer] == nil, "the visitor has a flow")
        let source = peer.address.source
        var evicted: Ended?
        if bySource[source, default: 0] >= configuration.maximumFlowsPerSource {
            evicted = evict(at: now) { $0.address.source == source }
            guard evicted != nil else { return .refused }
        } else if byPeer.count >= configuration.maximumFlows {
            evicted = evict(at: now) { _ in true }
            guard evicted != nil else { return .refused }
        }
        let index: Int
        if let reused = free.popLast() {
            index = reused
        } else {
            index = slots.count
            slots.append(nil)
        }
        slots[index] = Slot(
            flow: Flow(peer: peer, openedAt: now, lastActivity: now),
            newer: Self.none,
            older: Self.none
        )
        byPeer[peer] = index
        bySource[source, default: 0] += 1
        link(index)
        return .opened(index, evicted: evicted)
    }

    /// Counts datagrams of one visitor and keeps its flow alive; drops keep nothing alive.
    package mutating func count(
        _ index: Int,
        datagramsIn: Int = 0,
        bytesIn: Int = 0,
        datagramsOut: Int = 0,
        bytesOut: Int = 0,
        at now: Instant
    ) {
        guard slots[index] != nil else { return }
        slots[index]?.flow.datagramsIn += datagramsIn
        slots[index]?.flow.bytesIn += bytesIn
        slots[index]?.flow.datagramsOut += datagramsOut
        slots[index]?.flow.bytesOut += bytesOut
        slots[index]?.flow.lastActivity = now
        guard newest != index else { return }
        unlink(index)
        link(index)
    }

    /// Counts datagrams of one visitor that were thrown away.
    package mutating func countDrops(_ index: Int, _ drops: Int) {
        guard slots.indices.contains(index) else { return }
        slots[index]?.flow.drops += drops
    }

    /// Ends a flow; nil when there is none under the index.
    @discardableResult
    package mutating func close(_ index: Int) -> Ended? {
        guard slots.indices.contains(index), let slot = slots[index] else { return nil }
        unlink(index)
        slots[index] = nil
        free.append(index)
        byPeer[slot.flow.peer] = nil
        let source = slot.flow.peer.address.source
        let left = bySource[source, default: 1] - 1
        bySource[source] = left > 0 ? left : nil
        return Ended(index: index, flow: slot.flow)
    }

    /// Ends the flow that has been idle for longest, when its time is over; called until it gives nil.
    package mutating func expire(at now: Instant) -> Ended? {
        guard let deadline = nextDeadline, deadline <= now else { return nil }
        return close(oldest)
    }

    private mutating func evict(at now: Instant, where belongs: (IPEndpoint) -> Bool) -> Ended? {
        var index = oldest
        while index != Self.none, let slot = slots[index] {
            guard slot.flow.lastActivity + configuration.evictionAge <= now else { return nil }
            if belongs(slot.flow.peer) { return close(index) }
            index = slot.newer
        }
        return nil
    }

    private mutating func link(_ index: Int) {
        slots[index]?.older = newest
        slots[index]?.newer = Self.none
        if newest != Self.none { slots[newest]?.newer = index }
        newest = index
        if oldest == Self.none { oldest = index }
    }

    private mutating func unlink(_ index: Int) {
        guard let slot = slots[index] else { return }
        if slot.newer == Self.none { newest = slot.older } else { slots[slot.newer]?.older = slot.older }
        if slot.older == Self.none { oldest = slot.newer } else { slots[slot.older]?.newer = slot.newer }
    }
}
