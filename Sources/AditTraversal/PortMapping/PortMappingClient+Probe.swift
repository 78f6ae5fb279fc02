// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// Trying a mapping from outside before it is told.
extension PortMappingClient {
    mutating func stepProbe(_ now: Instant) {
        if probe == nil, now >= probeAt { beginProbe(now) }
        guard let due = probe?.nextAt, now >= due else { return }
        switch probe?.step {
        // A driver answers at once; this one does not.
        case .opening, .openingMapped: return finishProbe(.notChecked(.serverSilent), now)
        case .connecting: return finishProbe(.notChecked(.tcp), now)
        case .awaiting: return finishProbe(probe.map { .failed(by: $0.server) } ?? .notChecked(.tcp), now)
        case .asking, .probing, nil: break
        }
        guard let left = probe?.triesLeft, left > 0 else {
            guard let probe else { return }
            if probe.step == .asking { return finishProbe(.notChecked(.serverSilent), now) }
            return finishProbe(probe.isIgnored ? .notChecked(.serverUnable) : .failed(by: probe.server), now)
        }
        sendProbe(now)
    }

    /// The first port that is to be tried.
    var untried: Int? {
        leases.firstIndex { $0.state == .held && ($0.verification == nil || $0.verifiedAt == nil) }
    }

    private mutating func beginProbe(_ now: Instant) {
        guard let index = untried, let grant = leases[index].grant else { return }
        let isIPv6 = leases[index].isIPv6
        let server = configuration.stunServers.first { if case .v6 = $0.address.unmapped { isIPv6 } else { !isIPv6 } }
        guard let server else { return settle(index, .notChecked(.noServer), nil, now) }
        let id = newSocket()
        probe = PortMappingProbe(
            lease: index,
            server: server,
            socket: id,
            inside: grant.inside,
            externalPort: grant.external.port,
            nextAt: now + .seconds(5)
        )
        emit(.open(id, .udp(local: IPEndpoint(grant.inside.address, 0))))
    }

    private mutating func sendProbe(_ now: Instant) {
        guard var probe else { return }
        let id = STUNTransactionID(using: &random)
        var attributes: [STUNAttribute] = []
        if probe.step == .probing {
            attributes.append(.responsePort(probe.externalPort))
            // From elsewhere is the better proof, so that is asked for first.
            if probe.other != nil, probe.triesLeft > PortMappingProbe.tries / 2 {
                attributes.append(.changeRequest(address: true, port: true))
            }
        }
        var isV6 = false
        if case .v6 = probe.server.address.unmapped { isV6 = true }
        var bytes: [UInt8] = []
        STUNMessage.bindingRequest(id, attributes: attributes, isV6: isV6).encode(into: &bytes)
        probe.transactions.append(id)
        probe.triesLeft -= 1
        probe.nextAt = now + probe.delay
        if probe.triesLeft < 2 { probe.delay = .seconds(1) }
        self.probe = probe
        emit(.send(probe.socket, bytes, to: probe.server, timeToLive: nil))
    }

    mutating func probeOpened(_ id: SocketID, _ now: Instant) {
        if id == probe?.socket {
            probe?.begin(.asking, at: now)
        } else if id == probe?.mapped {
            if let probe, leases[probe.lease].wish.transport == .tcp { return connectProbe(now) }
            probe?.begin(.probing, at: now)
        }
    }

    mutating func probeClosed(_ id: SocketID, _ now: Instant) {
        if id == probe?.mapped {
            probe?.mapped = nil
            finishProbe(.notChecked(.portInUse), now)
        } else if id == probe?.socket {
            finishProbe(.notChecked(.serverSilent), now)
        } else if id == probe?.stream {
            probe?.stream = nil
            // Without a connection there is nobody to connect back; with a promise the other connection may still come.
            if probe?.step == .connecting { finishProbe(.notChecked(.tcp), now) }
        } else {
            probe?.guests[id] = nil
        }
    }

    mutating func probeReceived(_ id: SocketID, _ bytes: [UInt8], from sender: IPEndpoint, _ now: Instant) {
        guard let probe, let message = try? STUNMessage.decode(bytes.span.bytes),
            probe.transactions.contains(message.transactionID)
        else { return }
        if id == probe.mapped {
            let isServer = sender.address == probe.server.address || sender.address == probe.other?.address
            guard probe.step == .probing, message.kind == .success, isServer else { return }
            finishProbe(.verified(by: sender, isAlternate: sender.address != probe.server.address), now)
        } else if id == probe.socket, sender == probe.server {
            switch (probe.step, message.kind) {
            case (.asking, .success): learned(message, now)
            case (.probing, .success): self.probe?.isIgnored = true
            case (.probing, .error): refusedProbe(message, now)
            default: break
            }
        }
    }

    private mutating func learned(_ message: STUNMessage, _ now: Instant) {
        guard let lease = probe?.lease, let inside = probe?.inside, let server = probe?.server else { return }
        probe?.seen = message.mappedEndpoint
        probe?.other = message.otherEndpoint.flatMap { $0.address == server.address ? nil : $0 }
        let id = newSocket()
        probe?.mapped = id
        probe?.step = .openingMapped
        probe?.nextAt = now + .seconds(5)
        emit(.open(id, leases[lease].wish.transport == .udp ? .udp(local: inside) : .listener(local: inside)))
    }

    /// The server does not know an attribute (420): without CHANGE-REQUEST it may do.
    private mutating func refusedProbe(_ message: STUNMessage, _ now: Instant) {
        if probe?.other != nil {
            probe?.other = nil
            probe?.begin(.probing, at: now)
        } else {
            finishProbe(.notChecked(.serverUnable), now)
        }
    }

    mutating func finishProbe(_ verification: PortMappingVerification, _ now: Instant) {
        guard let probe else { return }
        endProbe()
        // One after the other, and not as fast as the server answers: it counts what each source asks.
        probeAt = now + .milliseconds(50)
        settle(probe.lease, verification, probe.seen?.address, now)
    }

    mutating func endProbe() {
        guard let probe else { return }
        emit(.close(probe.socket, isAbrupt: false))
        if let mapped = probe.mapped { emit(.close(mapped, isAbrupt: false)) }
        if let stream = probe.stream { emit(.close(stream, isAbrupt: true)) }
        for guest in probe.guests.keys { emit(.close(guest, isAbrupt: true)) }
        self.probe = nil
    }

    /// Tells what is known about a mapping now, unless it is what was told before.
    private mutating func settle(
        _ index: Int,
        _ verification: PortMappingVerification,
        _ seen: IPAddress?,
        _ now: Instant
    ) {
        let wasVerified = leases[index].told?.isVerified ?? false
        leases[index].verifiedAt = now
        if case .failed = verification, wasVerified {
            // The router says that it keeps the port, and does not: made again instead of renewed.
            if let grant = leases[index].grant { remove(index, grant.protocol, port: grant.external.port, now) }
            return lose(index, .unreachable)
        }
        if case .notChecked = verification, wasVerified, leases[index].verification != nil {
            // What was seen to work still counts when it cannot be looked at now.
            return
        }
        leases[index].verification = verification
        if case .verified(let by, let isAlternate) = verification,
            case .verified(let before, isAlternate)? = leases[index].told?.verification, before.address == by.address
        {
            // From which of its ports the server came this time is no news.
            leases[index].verification = leases[index].told?.verification
        }
        leases[index].seen = seen
        guard let mapping = leases[index].mapping, mapping != leases[index].told else { return }
        leases[index].told = mapping
        if let double = mapping.doubleNAT, told.count < 16, told.insert(double).inserted {
            emit(.event(.doubleNAT(double)))
        }
        emit(.event(.mapped(mapping)))
    }
}
