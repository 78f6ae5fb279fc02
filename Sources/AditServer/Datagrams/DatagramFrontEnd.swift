// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOCore

/// Carries the datagrams of a tunnel's visitors between the public port and the device.
///
/// One socket takes everybody's datagrams, one work connection carries them on. The socket is always read, so that one who
/// floods it does not fill the kernel's queue before others; when the link is full, datagrams wait in a queue in which
/// visitors take turns and each has only so much room. Answers go to visitors who have a session and to nobody else: a
/// device cannot send to addresses of its choice.
final class DatagramFrontEnd: DatagramSocketDelegate, DatagramLinkDelegate {
    /// How long nothing is tried after the device gave no work connection.
    private static let retryDelay = Duration.seconds(1)
    /// How often the kernel is asked what it threw away, while there are visitors.
    private static let lookInterval = Duration.seconds(5)
    /// How long a source that was turned away is not asked about again, and how many of them are remembered.
    private static let refusalMemory = Duration.seconds(2)
    private static let maximumRefused = 4096

    private let tunnel: OpenTunnel
    private let eventLoop: any EventLoop
    private let log: Logger
    private var socket: DatagramSocket?
    private var link: DatagramLink?
    private var isOpening = false
    private var retryAt = Instant.zero
    private var isClosed = false

    private var flows: DatagramFlows
    private var paths: [DatagramPath?] = []
    private var queue = FairQueue<ByteBuffer>()
    private var refused: [IPAddress: Instant] = [:]

    private var now = Instant.zero
    private var isInRound = false
    private var round = DatagramRound()
    private var latest: (visitor: IPEndpoint, index: Int)?
    private var sendDrops = 0
    private var timer: Scheduled<Void>?

    init(_ tunnel: OpenTunnel, on eventLoop: any EventLoop, log: Logger) {
        self.tunnel = tunnel
        self.eventLoop = eventLoop
        self.log = log
        var configuration = DatagramFlows.Configuration()
        configuration.idleTimeout = tunnel.terms.idleTimeout
        flows = DatagramFlows(configuration: configuration)
    }

    /// Binds the tunnel's port.
    ///
    /// - Throws: `IOError` of the system.
    func bind(_ address: IPAddress) throws -> EventLoopFuture<Void> {
        let bound = try DatagramSocket.bind(address, port: tunnel.port, on: eventLoop, delegate: self)
        socket = bound.socket
        return bound.ready
    }

    /// Ends everything.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        link?.close()
        link = nil
        for index in flows.indices {
            if let ended = flows.close(index) { leave(ended) }
        }
        settle()
        socket?.close()
        socket = nil
    }

    // MARK: From visitors

    func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
        guard !isClosed else { return }
        beginRound()
        let visitor = path.endpoint
        guard let index = find(visitor) ?? admit(visitor) else { return }
        paths[index] = path
        flows.count(index, datagramsIn: 1, bytesIn: payload.count, at: now)
        round.datagramsIn += 1
        round.bytesIn += payload.count
        for limiter in tunnel.gate.fromVisitors where !limiter.admit(payload.count) { return drop(index) }
        // The way to the device may be there at once.
        if link == nil, !openLink() { return drop(index) }
        if let link, queue.isEmpty, link.isWritable {
            if !link.write(payload, visitor: visitor) { drop(index) }
            return
        }
        let losers = queue.append(ByteBuffer(bytes: payload), byteCount: payload.count, flow: index, at: now)
        for loser in losers { drop(loser) }
    }

    func endedRound() {
        link?.flush()
        settle()
        schedule()
    }

    /// An unconnected socket is not told of refusals.
    func peerRefused() {}

    func closed() {
        guard !isClosed else { return }
        tunnel.counters.note(error: "the public port was closed")
        log.error("[\(tunnel.shownName)] the public port of udp was closed")
        close()
    }

    private func find(_ visitor: IPEndpoint) -> Int? {
        if let latest, latest.visitor == visitor { return latest.index }
        guard let index = flows.index(of: visitor) else { return nil }
        latest = (visitor, index)
        return index
    }

    private func admit(_ visitor: IPEndpoint) -> Int? {
        guard tunnel.isReady else { return nil }
        if let until = refused[visitor.address], until > now {
            round.refusals += 1
            return nil
        }
        guard case .opened(let index, let evicted) = flows.open(visitor, at: now) else {
            round.refusals += 1
            return nil
        }
        if let evicted { leave(evicted) }
        do {
            try tunnel.gate.enter(visitor)
        } catch {
            flows.close(index)
            // A datagram costs its sender nothing, so the gate is not asked, and does not log, for each of them.
            if refused.count >= Self.maximumRefused { refused = refused.filter { $0.value > now } }
            if refused.count < Self.maximumRefused { refused[visitor.address] = now + Self.refusalMemory }
            return nil
        }
        while paths.count <= index { paths.append(nil) }
        latest = (visitor, index)
        return index
    }

    private func leave(_ ended: DatagramFlows.Ended) {
        if paths.indices.contains(ended.index) { paths[ended.index] = nil }
        round.drops += queue.removeAll(of: ended.index)
        latest = nil
        tunnel.gate.leave()
    }

    private func drop(_ index: Int) {
        flows.countDrops(index, 1)
        round.drops += 1
    }

    // MARK: From the device

    func received(_ payload: UnsafeRawBufferPointer, visitor: IPEndpoint) {
        guard !isClosed, let socket else { return }
        beginRound()
        guard let index = find(visitor), let path = paths[index] else {
            round.drops += 1
            return
        }
        for limiter in tunnel.gate.toVisitors where !limiter.admit(payload.count) { return drop(index) }
        flows.count(index, datagramsOut: 1, bytesOut: payload.count, at: now)
        round.datagramsOut += 1
        round.bytesOut += payload.count
        socket.send(payload, to: path)
    }

    func linkEndedRound() {
        socket?.flush()
        settle()
    }

    func linkBecameWritable() {
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

    func linkClosed(_ closed: DatagramLink, because reason: String) {
        guard closed === link else { return }
        link = nil
        retryAt = Instant(.now()) + Self.retryDelay
        log.debug("[\(tunnel.shownName)] the way to the device for datagrams ended: \(reason)")
        dropQueue()
    }

    // MARK: The link

    /// Asks the device for a work connection unless that is under way; false when the last try was too short a time ago.
    private func openLink() -> Bool {
        if isOpening { return true }
        guard now >= retryAt else { return false }
        isOpening = true
        let session = tunnel.session
        session.openWorkConnection(proxyName: tunnel.proxyName, visitor: nil, local: nil)
            .hop(to: eventLoop).assumeIsolated().whenComplete { [self] result in
                isOpening = false
                switch result {
                case .success(let channel): use(channel)
                case .failure(let error):
                    retryAt = Instant(.now()) + Self.retryDelay
                    tunnel.counters.note(error: LineLogHandler.printable(String(describing: error)))
                    dropQueue()
                }
            }
        return true
    }

    private func use(_ channel: any Channel) {
        guard !isClosed else { return channel.close(promise: nil) }
        let session = tunnel.session
        let framing: DatagramLink.Framing =
            session.features.contains(.datagrams) ? .adit : .frp(session.wireVersion, isServer: true)
        let link = DatagramLink(channel, framing: framing, on: eventLoop, delegate: self)
        self.link = link
        link.start()
        queue.wayOpened(at: Instant(.now()))
        if !queue.isEmpty { linkBecameWritable() }
    }

    private func dropQueue() {
        for (index, count) in queue.removeAll() {
            flows.countDrops(index, count)
            round.drops += count
        }
        settle()
    }

    // MARK: Time and figures

    /// One look at the clock serves a round.
    private func beginRound() {
        guard !isInRound else { return }
        isInRound = true
        now = Instant(.now())
    }

    private func settle() {
        isInRound = false
        if let socket {
            round.drops += socket.sendDrops - sendDrops
            sendDrops = socket.sendDrops
        }
        guard round != DatagramRound() else { return }
        tunnel.counters.add(round)
        round = DatagramRound()
    }

    private func schedule() {
        guard timer == nil, !isClosed, let deadline = flows.nextDeadline else { return }
        let due = min(deadline, now + Self.lookInterval)
        let at = NIODeadline.uptimeNanoseconds(UInt64(clamping: due.nanoseconds))
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: at) { [self] in
            timer = nil
            look()
        }
    }

    /// Ends the sessions whose time is over, and counts what the kernel threw away.
    private func look() {
        guard !isClosed else { return }
        now = Instant(.now())
        while let ended = flows.expire(at: now) { leave(ended) }
        round.drops += socket?.takeKernelDrops() ?? 0
        refused = refused.filter { $0.value > now }
        settle()
        schedule()
    }
}
