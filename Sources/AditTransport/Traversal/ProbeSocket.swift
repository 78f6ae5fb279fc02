// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import CAditPlatform
import Glibc
import NIOCore

/// A UDP socket of a traversal machine; everything happens on its event loop.
///
/// No error ends it: what ICMP says comes as a refusal with the destination and the reporter (ip(7), IP_RECVERR), and a
/// datagram that cannot be sent is refused likewise.
final class ProbeSocket {
    /// What a socket tells.
    enum Event {
        case received(PacketBatch, from: IPEndpoint)
        case refused(SocketRefusal)
    }

    /// How many rounds of datagrams, and how many errors, are taken until others have their turn.
    private static let roundLimit = 4
    private static let refusalLimit = 64
    /// Where so many bytes came or went since the last look, more is on its way: the event loop looks again by itself so much
    /// later. A notice costs two changes of thread, and what comes now and then is to be taken at once.
    private static let bulk = 16 * 1024
    private static let bulkPause = TimeAmount.microseconds(100)

    /// Where it is bound.
    let local: IPEndpoint

    private let descriptor: CInt
    private let family: CInt
    private let scope: UInt32
    private let slab: ProbeSlab
    private let eventLoop: any EventLoop
    private let tell: (Event) -> Void
    private var token: UInt64?
    private var isOpen = true
    /// How many bytes of runs were sent since the last look.
    private var sentCount = 0
    /// Whether the system takes runs of datagrams; a device that computes no checksums does not.
    private var takesRuns = true

    /// Binds a socket.
    ///
    /// `interface` is the number of the interface for multicast and for link-local addresses, `device` of the one for
    /// everything, or 0. The slab may serve many sockets of one event loop.
    /// - Throws: `IOError` of the system.
    init(
        _ wanted: IPEndpoint,
        interface: UInt32,
        device: UInt32,
        _ slab: ProbeSlab,
        on eventLoop: any EventLoop,
        tell: @escaping (Event) -> Void
    ) throws {
        let (high, low): (UInt64, UInt64)
        switch wanted.address {
        case .v4(let number): (family, high, low) = (4, 0, UInt64(number))
        case .v6(let upper, let lower): (family, high, low) = (6, upper, lower)
        }
        descriptor = adit_probe_bind(family, high, low, wanted.port, interface, device)
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
        var raw = adit_datagram_peer()
        let failure = adit_probe_local(descriptor, &raw)
        guard failure == 0, let readiness = SocketReadiness.shared else {
            adit_close(descriptor)
            throw IOError(errnoCode: failure == 0 ? EMFILE : -failure, reason: "getsockname")
        }
        if slab.takesRuns { adit_probe_expect_runs(descriptor) }
        local = IPEndpoint(wanted.address, raw.port)
        scope = interface
        self.slab = slab
        self.eventLoop = eventLoop
        self.tell = tell
        let bound = NIOLoopBound(Weak(self), eventLoop: eventLoop)
        token = readiness.add(descriptor, on: eventLoop) { bound.value.socket?.drain(hasErrors: $0) }
        guard token != nil else {
            adit_close(descriptor)
            throw IOError(errnoCode: EMFILE, reason: "epoll_ctl")
        }
    }

    /// Sends a datagram; what the system does not take at once is lost, as on any way.
    func send(_ bytes: [UInt8], to destination: IPEndpoint, timeToLive: UInt8?) {
        guard isOpen, var raw = place(destination) else { return }
        let hops = timeToLive.map { CInt(max(1, $0)) } ?? 0
        let result = bytes.withUnsafeBytes { bytes in
            adit_probe_send(descriptor, family, &raw, bytes.baseAddress, bytes.count, hops, 0)
        }
        note(result, destination)
    }

    /// Sends datagrams with one call, or each with its own where the system does not take them so.
    func send(_ batch: PacketBatch, to destination: IPEndpoint) {
        guard batch.count > 1, takesRuns else {
            for index in 0..<batch.count { send(batch[index], to: destination, timeToLive: nil) }
            return
        }
        guard isOpen, var raw = place(destination) else { return }
        sentCount += batch.bytes.count
        let result = batch.bytes.withUnsafeBytes { bytes in
            adit_probe_send(descriptor, family, &raw, bytes.baseAddress, bytes.count, 0, UInt16(batch.segmentSize))
        }
        switch -result {
        case EIO, EOPNOTSUPP, ENOPROTOOPT:
            takesRuns = false
            send(batch, to: destination)
        // One that does not fit is not to keep the others back.
        case EINVAL, EMSGSIZE:
            for index in 0..<batch.count { send(batch[index], to: destination, timeToLive: nil) }
        default: note(result, destination)
        }
    }

    private func place(_ destination: IPEndpoint) -> adit_datagram_peer? {
        var raw = DatagramPath(to: destination).raw
        guard CInt(raw.family) == family else {
            refuse(destination, .hostUnreachable)
            return nil
        }
        if destination.address.isLinkLocal { raw.scope = scope }
        return raw
    }

    private func note(_ result: CInt, _ destination: IPEndpoint) {
        switch -result {
        case 0, EAGAIN, ENOBUFS, ENOMEM, EINTR: break
        case EPERM, EACCES: refuse(destination, .prohibited)
        case EMSGSIZE: refuse(destination, .tooBig(mtu: 0))
        default: refuse(destination, .hostUnreachable)
        }
    }

    /// Closes it; nothing is told any more.
    func close() {
        guard isOpen else { return }
        isOpen = false
        if let token { SocketReadiness.shared?.remove(token) }
        adit_close(descriptor)
    }

    private func refuse(_ destination: IPEndpoint, _ kind: SocketRefusal.Kind) {
        tell(.refused(SocketRefusal(kind, destination: destination, reporter: nil)))
    }

    private func drain(hasErrors: Bool) {
        guard isOpen, let token else { return }
        if hasErrors { drainRefusals() }
        var byteCount = 0
        for _ in 0..<Self.roundLimit where isOpen {
            let count = slab.receive(descriptor) { batch, source in
                byteCount += batch.bytes.count
                // What the machine does with one may close the socket.
                if isOpen { tell(.received(batch, from: source)) }
            }
            guard count == ADIT_PROBE_SLOTS else { break }
        }
        guard isOpen else { return }
        let isBusy = byteCount > 0 && byteCount + sentCount >= Self.bulk
        sentCount = 0
        guard !isBusy else {
            eventLoop.assumeIsolated().scheduleTask(in: Self.bulkPause) { [weak self] in self?.drain(hasErrors: false) }
            return
        }
        // Errors that have come meanwhile are told at once.
        SocketReadiness.shared?.armAgain(descriptor, token)
    }

    private func drainRefusals() {
        var raw = adit_probe_refusal()
        for _ in 0..<Self.refusalLimit where isOpen {
            guard adit_probe_next_refusal(descriptor, &raw) == 0 else { break }
            if let refusal = SocketRefusal(raw) { tell(.refused(refusal)) }
        }
    }
}

/// Keeps the watch of a socket from keeping the socket.
private struct Weak {
    weak let socket: ProbeSocket?

    init(_ socket: ProbeSocket) {
        self.socket = socket
    }
}

extension SocketRefusal {
    /// What an ICMP error says; nil for one that is not about a way, or not from the network.
    init?(_ raw: adit_probe_refusal) {
        let kind: Kind
        switch (raw.family, raw.type, raw.code) {
        case (4, 11, 0), (6, 3, 0): kind = .timeExceeded
        case (4, 3, 3), (6, 1, 4): kind = .portUnreachable
        case (4, 3, 4), (6, 2, _): kind = .tooBig(mtu: raw.mtu)
        case (4, 3, 9), (4, 3, 10), (4, 3, 13), (6, 1, 1), (6, 1, 5), (6, 1, 6): kind = .prohibited
        case (4, 3, _), (6, 1, _): kind = .hostUnreachable
        default: return nil
        }
        var reporter: IPAddress?
        if raw.reporter_family == 4 { reporter = .v4(UInt32(truncatingIfNeeded: raw.reporter_low)) }
        if raw.reporter_family == 6 { reporter = .v6(high: raw.reporter_high, low: raw.reporter_low) }
        self.init(kind, destination: DatagramPath(raw.destination).endpoint, reporter: reporter)
    }
}
