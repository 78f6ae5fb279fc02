// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOConcurrencyHelpers

/// Answers STUN over UDP on the thread of a ``DatagramLane``.
///
/// Unchecked because everything but the figures belongs to that thread alone, as the lane promises.
final class STUNDatagrams: DatagramAnswerer, @unchecked Sendable {
    /// What was done so far.
    struct Figures: Sendable {
        var counters = STUNCounters()
        /// Answers that the system did not take.
        var lost = 0
    }

    /// The longest message; one that asks something of a server has a tenth of it.
    private static let messageByteLimit = 2048

    private let sockets: [LaneSocket]
    private let alternatePort: UInt16?
    private let clock: Clock
    private var desk: STUNDesk
    private var reply: [UInt8] = []
    /// When the round began; one reading of the clock for all of it.
    private var now: Instant?
    private let figures = NIOLockedValueBox(Figures())

    init(_ sockets: [LaneSocket], alternatePort: UInt16?, desk: STUNDesk, clock: Clock) {
        self.sockets = sockets
        self.alternatePort = alternatePort
        self.desk = desk
        self.clock = clock
    }

    /// What was done until the last round.
    var current: Figures { figures.withLockedValue { $0 } }

    func received(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ datagram: Range<Int>,
        from path: DatagramPath,
        on socket: LaneSocket,
        batch: DatagramBatch
    ) {
        guard datagram.count <= Self.messageByteLimit else { return }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[datagram])
        let now = now ?? clock.now()
        self.now = now
        guard let own = path.local else { return }
        let source = path.endpoint
        let route = desk.respond(
            to: bytes.bytes,
            from: source,
            at: own,
            isAlternatePort: socket.port == alternatePort,
            over: .udp,
            now: now,
            into: &reply
        )
        guard let route else { return }
        let isMoved = route.own != own || route.destination.port != source.port
        let leaving = route.own == own && socket.port == port(route) ? socket : self.socket(of: route) ?? socket
        let back = isMoved ? path.moved(toPort: route.destination.port, local: route.own) : path
        batch.put(reply, to: back, from: leaving)
    }

    func endedRound(lost: Int) {
        now = nil
        let counters = desk.counters
        figures.withLockedValue { figures in
            figures.counters = counters
            figures.lost += lost
        }
    }

    private func port(_ route: STUNDesk.Route) -> UInt16? {
        route.isAlternatePort ? alternatePort : sockets.first?.port
    }

    private func socket(of route: STUNDesk.Route) -> LaneSocket? {
        sockets.first { socket in
            (socket.port == alternatePort) == route.isAlternatePort
                && (socket.address.isUnspecified || socket.address.unmapped == route.own)
        }
    }
}
