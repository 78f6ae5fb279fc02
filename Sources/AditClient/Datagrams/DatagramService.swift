// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTunnel
package import NIOCore

/// What a person is told of the datagrams of a tunnel.
package enum DatagramNews: Sendable, Equatable {
    /// A visitor's first datagram came.
    case came(IPEndpoint)
    /// A visitor was silent for the idle timeout, or made way for another.
    case left(DatagramVisit)
    /// The target's machine said that nobody listens there.
    case refused
    /// The target sent a datagram, after a refusal or for the first time.
    case answered
    /// The target may not be led to, or its name does not resolve.
    case unreachable(TargetFailure)
}

/// One visitor's session as it was.
package struct DatagramVisit: Sendable, Equatable {
    /// The visitor.
    package var visitor: IPEndpoint
    /// How long it lasted.
    package var duration: Duration
    /// Datagrams from the visitor.
    package var datagramsIn: Int
    /// Bytes from the visitor.
    package var bytesIn: Int
    /// Datagrams to the visitor.
    package var datagramsOut: Int
    /// Bytes to the visitor.
    package var bytesOut: Int
    /// Datagrams that were thrown away.
    package var drops: Int

    /// Makes a visit from its parts.
    package init(
        visitor: IPEndpoint,
        duration: Duration,
        datagramsIn: Int,
        bytesIn: Int,
        datagramsOut: Int,
        bytesOut: Int,
        drops: Int
    ) {
        self.visitor = visitor
        self.duration = duration
        self.datagramsIn = datagramsIn
        self.bytesIn = bytesIn
        self.datagramsOut = datagramsOut
        self.bytesOut = bytesOut
        self.drops = drops
    }
}

/// Leads the datagrams of a tunnel's visitors to its target: one socket for each visitor, so that the target can tell them
/// apart, all on one event loop.
///
/// The sessions outlive the link: after a reconnect each visitor goes on with the socket that it had.
package final class DatagramService {
    /// What the service does, as its owner wants it.
    package struct Terms: Sendable {
        /// Where visitors are led.
        package var target: TunnelTarget
        /// Hosts that may be a target although their address is refused by default.
        package var allowed: Set<String> = []
        /// The bounds of sessions, with the idle timeout.
        package var flows: DatagramFlows.Configuration
        /// What is done with visitors' datagrams beyond leading them on; nil for nothing.
        package var treatment: VisitorTreatment?

        /// Makes terms; a device has at most 1024 sessions of a tunnel.
        package init(target: TunnelTarget, idleTimeout: Duration = .seconds(60)) {
            self.target = target
            flows = DatagramFlows.Configuration()
            flows.maximumFlows = 1024
            flows.idleTimeout = idleTimeout
        }
    }

    /// How long the addresses of the target are good.
    private static let addressLife = Duration.seconds(30)
    /// How often the kernel is asked what it threw away, while there are visitors.
    private static let lookInterval = Duration.seconds(5)
    /// How much waits for the target's address.
    private static let maximumEarly = 64

    private let terms: Terms
    private let dialer: TargetDialer
    private let eventLoop: any EventLoop
    private let tally: DatagramTally
    private let tell: (DatagramNews) -> Void

    private var link: DatagramLink?
    private var flows: DatagramFlows
    private var sessions: [DatagramSession?] = []
    private var touched: [DatagramSession] = []
    private var queue = FairQueue<ByteBuffer>()
    private var addresses: [IPEndpoint] = []
    private var addressesUntil = Instant.zero
    private var isResolving = false
    private var early: [(visitor: IPEndpoint, payload: ByteBuffer)] = []
    private var preferred = 0
    private var hasAnswered = false
    private var isClosed = false

    private var now = Instant.zero
    private var isInRound = false
    private var round = DatagramTally.Figures()
    private var latest: (visitor: IPEndpoint, index: Int)?
    private var isFlushDue = false
    private var timer: Scheduled<Void>?

    /// Makes a service without a link on an event loop.
    package init(
        _ terms: Terms,
        dialer: TargetDialer,
        tally: DatagramTally,
        on eventLoop: any EventLoop,
        tell: @escaping (DatagramNews) -> Void
    ) {
        self.terms = terms
        self.dialer = dialer
        self.tally = tally
        self.eventLoop = eventLoop
        self.tell = tell
        flows = DatagramFlows(configuration: terms.flows)
    }

    /// Takes a work connection that carries datagrams; an earlier one makes way.
    package func use(_ channel: any Channel, framing: DatagramLink.Framing) {
        guard !isClosed else { return channel.close(promise: nil) }
        link?.close()
        let link = DatagramLink(channel, framing: framing, on: eventLoop, delegate: self)
        self.link = link
        link.start()
    }

    /// Ends every session and the link.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        link?.close()
        link = nil
        for index in flows.indices {
            if let ended = flows.close(index) { leave(ended) }
        }
        early = []
        settle()
    }

    // MARK: Time and figures

    private func beginRound() {
        guard !isInRound else { return }
        isInRound = true
        now = Instant(.now())
    }

    private func settle() {
        isInRound = false
        addFigures()
    }

    private func addFigures() {
        guard round != DatagramTally.Figures() else { return }
        tally.add(round)
        round = DatagramTally.Figures()
    }

    private func schedule() {
        guard timer == nil, !isClosed, let deadline = flows.nextDeadline else { return }
        let due = min(deadline, now + Self.lookInterval)
        let at = NIODeadline.uptimeNanoseconds(UInt64(clamping: due.nanoseconds))
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: at) { [self] in
            timer = nil
            now = Instant(.now())
            while let ended = flows.expire(at: now) { leave(ended) }
            for session in sessions { if let session { countKernelDrops(of: session) } }
            settle()
            schedule()
        }
    }

    private func drop(_ index: Int, _ count: Int = 1) {
        flows.countDrops(index, count)
        round.drops &+= UInt64(count)
    }

    // MARK: Sessions

    private func session(of visitor: IPEndpoint) -> DatagramSession? {
        if let latest, latest.visitor == visitor { return sessions[latest.index] }
        if let index = flows.index(of: visitor) {
            latest = (visitor, index)
            return sessions[index]
        }
        return open(visitor)
    }

    private func open(_ visitor: IPEndpoint) -> DatagramSession? {
        guard case .opened(let index, let evicted) = flows.open(visitor, at: now) else { return nil }
        if let evicted { leave(evicted) }
        while sessions.count <= index { sessions.append(nil) }
        let session = DatagramSession(index: index, visitor: visitor, service: self)
        guard connect(session, from: preferred) else {
            flows.close(index)
            return nil
        }
        sessions[index] = session
        latest = (visitor, index)
        round.visitorsNow += 1
        round.visitorsTotal += 1
        addFigures()
        tell(.came(visitor))
        schedule()
        return session
    }

    /// Gives a session a socket to the first address, from the given one on, to which one can be made.
    private func connect(_ session: DatagramSession, from first: Int) -> Bool {
        for place in first..<max(first, addresses.count) {
            guard let made = try? DatagramSocket.connect(to: addresses[place], on: eventLoop, delegate: session) else {
                continue
            }
            session.socket = made.socket
            session.sendDrops = 0
            session.place = place
            return true
        }
        return false
    }

    private func leave(_ ended: DatagramFlows.Ended) {
        var ended = ended
        if let session = sessions[ended.index] {
            let lost = (session.socket?.takeKernelDrops() ?? 0) + session.unseenSendDrops
            round.drops &+= UInt64(lost)
            ended.flow.drops += lost
            session.socket?.close()
        }
        sessions[ended.index] = nil
        let waiting = queue.removeAll(of: ended.index)
        round.drops &+= UInt64(waiting)
        latest = nil
        round.visitorsNow -= 1
        // Whoever hears of it may look at the figures at once.
        addFigures()
        let flow = ended.flow
        tell(
            .left(
                DatagramVisit(
                    visitor: flow.peer,
                    duration: now - flow.openedAt,
                    datagramsIn: flow.datagramsIn,
                    bytesIn: flow.bytesIn,
                    datagramsOut: flow.datagramsOut,
                    bytesOut: flow.bytesOut,
                    drops: flow.drops + waiting
                )
            )
        )
    }

    private func countSendDrops(of session: DatagramSession) {
        let news = session.unseenSendDrops
        guard news > 0 else { return }
        session.sendDrops += news
        drop(session.index, news)
    }

    /// Counts what the target sent faster than it was read here.
    private func countKernelDrops(of session: DatagramSession) {
        guard let news = session.socket?.takeKernelDrops(), news > 0 else { return }
        drop(session.index, news)
    }

    // MARK: The target's address

    /// Asks for the target's addresses; what comes meanwhile waits, as far as there is room.
    private func resolve() {
        guard !isResolving else { return }
        isResolving = true
        dialer.permittedAddresses(of: terms.target, allowed: terms.allowed, on: eventLoop)
            .hop(to: eventLoop).assumeIsolated().whenComplete { [self] result in
                isResolving = false
                guard !isClosed else { return }
                beginRound()
                switch result {
                case .success(let found):
                    let endpoints = found.compactMap { IPEndpoint($0) }
                    if endpoints != addresses { preferred = 0 }
                    addresses = endpoints
                    addressesUntil = now + Self.addressLife
                case .failure(let error):
                    // Old addresses are better than none.
                    addressesUntil = now + .seconds(1)
                    if addresses.isEmpty { tell(.unreachable(TargetDialer.failure(error))) }
                }
                let waiting = early
                early = []
                for (visitor, payload) in waiting {
                    payload.withUnsafeReadableBytes { bytes in
                        forward(bytes, visitor)
                        flushSessions()
                    }
                }
                settle()
            }
    }
}

extension DatagramService: DatagramLinkDelegate {
    package func received(_ payload: UnsafeRawBufferPointer, visitor: IPEndpoint) {
        guard !isClosed else { return }
        beginRound()
        if addresses.isEmpty {
            if !isResolving, now < addressesUntil {
                round.drops &+= 1
            } else if early.count < Self.maximumEarly {
                early.append((visitor, ByteBuffer(bytes: payload)))
                resolve()
            } else {
                round.drops &+= 1
            }
            return
        }
        if now >= addressesUntil { resolve() }
        forward(payload, visitor)
    }

    package func linkEndedRound() {
        flushSessions()
        settle()
    }

    package func linkBecameWritable() {
        now = Instant(.now())
        var losers: [Int] = []
        while let link, link.isWritable, let (index, payload) = queue.popFirst(at: now, losers: &losers) {
            guard let visitor = flows[index]?.peer else { continue }
            payload.withUnsafeReadableBytes { if !link.write($0, visitor: visitor) { drop(index) } }
            link.flushBacklog()
        }
        link?.flush()
        for loser in losers { drop(loser) }
        settle()
    }

    package func linkClosed(_ closed: DatagramLink, because reason: String) {
        guard closed === link else { return }
        link = nil
        for (index, count) in queue.removeAll() { drop(index, count) }
        settle()
    }

    private func forward(_ payload: UnsafeRawBufferPointer, _ visitor: IPEndpoint) {
        guard let session = session(of: visitor), let socket = session.socket else {
            round.drops &+= 1
            return
        }
        if let limiter = terms.treatment?.fromVisitors, !limiter.admit(payload.count) { return drop(session.index) }
        let isFirst = !session.hasBegun
        session.hasBegun = true
        flows.count(session.index, datagramsIn: 1, bytesIn: payload.count, at: now)
        round.datagramsIn &+= 1
        round.bytesIn &+= UInt64(payload.count)
        if isFirst, var whole = preface(session) {
            whole.writeBytes(payload)
            whole.withUnsafeReadableBytes { bytes in
                socket.send(bytes)
                socket.flush()
            }
            countSendDrops(of: session)
            return
        }
        // Until the target answered, it may be that it listens at another of its addresses.
        if !session.hasAnswered, session.place + 1 < addresses.count { session.unanswered = ByteBuffer(bytes: payload) }
        socket.send(payload)
        guard !session.isTouched else { return }
        session.isTouched = true
        touched.append(session)
    }

    /// What stands before a session's first datagram: who its visitor is, in the PROXY protocol.
    private func preface(_ session: DatagramSession) -> ByteBuffer? {
        guard let version = terms.treatment?.proxyProtocol else { return nil }
        let target = addresses.indices.contains(session.place) ? addresses[session.place] : nil
        return VisitorTreatment.header(version, from: session.visitor, to: target, isDatagram: true)
    }

    private func flushSessions() {
        for session in touched {
            session.isTouched = false
            session.socket?.flush()
            countSendDrops(of: session)
        }
        touched.removeAll(keepingCapacity: touched.count <= 256)
    }
}

// What sessions tell.
extension DatagramService {
    func reply(_ payload: UnsafeRawBufferPointer, of session: DatagramSession) {
        guard !isClosed else { return }
        beginRound()
        let index = session.index
        if !session.hasAnswered {
            session.hasAnswered = true
            session.unanswered = nil
            preferred = session.place
            if !hasAnswered {
                hasAnswered = true
                tell(.answered)
            }
        }
        if let limiter = terms.treatment?.toVisitors, !limiter.admit(payload.count) { return drop(index) }
        flows.count(index, datagramsOut: 1, bytesOut: payload.count, at: now)
        round.datagramsOut &+= 1
        round.bytesOut &+= UInt64(payload.count)
        guard let link else { return drop(index) }
        if queue.isEmpty, link.isWritable {
            if !link.write(payload, visitor: session.visitor) { drop(index) }
            return
        }
        let losers = queue.append(ByteBuffer(bytes: payload), byteCount: payload.count, flow: index, at: now)
        for loser in losers { drop(loser) }
    }

    /// A round of one session is over; one flush serves all sessions that were read in this turn of the event loop.
    func endedRound() {
        settle()
        guard !isFlushDue else { return }
        isFlushDue = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushDue = false
            link?.flush()
        }
    }

    /// Nobody listens at the session's address: the next address has its turn, and after the last the first again.
    func refused(_ session: DatagramSession) {
        guard !isClosed, sessions[session.index] === session else { return }
        let isLast = session.hasAnswered || session.place + 1 >= addresses.count
        if isLast {
            hasAnswered = false
            tell(.refused)
        }
        guard !session.hasAnswered, addresses.count > 1 else { return }
        // Called from within the socket that is given up.
        let former = session.place
        eventLoop.assumeIsolated().execute { [self] in
            guard !isClosed, sessions[session.index] === session, session.place == former else { return }
            let socket = session.socket
            session.socket = nil
            socket?.close()
            let isConnected = connect(session, from: isLast ? 0 : former + 1) || connect(session, from: 0)
            guard isConnected, let socket = session.socket else { return }
            // Each address gets it once; what comes later is the visitor's to send again.
            guard !isLast, let again = session.unanswered else { return }
            again.withUnsafeReadableBytes { bytes in
                socket.send(bytes)
                socket.flush()
            }
        }
    }

    /// A session's socket is gone, by an error of the system; its visitor gets another with the next datagram.
    func closed(_ session: DatagramSession) {
        guard !isClosed, sessions.indices.contains(session.index), sessions[session.index] === session else { return }
        now = Instant(.now())
        if let ended = flows.close(session.index) { leave(ended) }
        settle()
    }
}
