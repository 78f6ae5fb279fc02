// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

extension PortMappingClient {
    /// Asks the best door that is there for each wish that waits.
    mutating func askDoors(_ now: Instant) {
        for index in leases.indices where leases[index].state == .waiting {
            let refused = Set(leases[index].refusals.map(\.protocol))
            let doors = PortMappingProtocol.allCases.filter { !refused.contains($0) }
                .map { (name: $0, state: door($0, leases[index])) }
            let best = doors.first { $0.state == .present }
            let isOpen = doors.contains { $0.state == .unknown }
            if let best {
                let mayWait = now < (begunAt ?? now) + Self.preference
                let first = doors.first { $0.state != .absent }
                if first?.state == .unknown, mayWait { continue }
                ask(index, best.name, now)
            } else if !isOpen {
                fail(index, now)
            }
        }
    }

    private func door(_ name: PortMappingProtocol, _ lease: PortMappingLease) -> PortMappingDoor {
        if name == .upnp { return lease.isIPv6 ? .absent : upnp.state }
        guard let control = controls.first(where: { $0.isIPv6 == lease.isIPv6 }) else { return .absent }
        return name == .pcp ? control.pcp : control.natPMP
    }

    private mutating func ask(_ index: Int, _ name: PortMappingProtocol, _ now: Instant) {
        leases[index].state = .asking(name)
        request(index, name, tries: 5, now)
    }

    /// Sends the request for a port, the first one and each renewal.
    mutating func request(_ index: Int, _ name: PortMappingProtocol, tries: Int, _ now: Instant) {
        if name == .upnp {
            callMapping(index)
        } else {
            askControl(index, name, lifetime: leases[index].wish.lifetime, tries: tries, now)
        }
    }

    /// The router gave a port.
    mutating func granted(
        _ index: Int,
        _ name: PortMappingProtocol,
        router: IPAddress,
        inside: IPAddress,
        external: IPEndpoint,
        lifetime: UInt32?,
        _ now: Instant
    ) {
        guard withdrawUntil == nil else { return }
        let wish = leases[index].wish
        guard external.port != 0, lifetime != 0 else { return refuse(index, name, .malformed, now) }
        if wish.isExact, external.port != (wish.externalPort ?? wish.internalPort) {
            remove(index, name, port: external.port, now)
            return refuse(index, name, .portTaken, now)
        }
        let seconds = lifetime.map { min($0, 86_400) }
        let old = leases[index].grant
        leases[index].grant = PortMappingLease.Grant(
            protocol: name,
            router: router,
            inside: IPEndpoint(inside, wish.internalPort),
            external: external,
            lifetime: seconds,
            expiresAt: seconds.map { now + .seconds(Int64($0)) }
        )
        leases[index].renewAt = seconds.map { now + max(.seconds(Int64($0)) / 2, .seconds(2)) }
        leases[index].state = .held
        leases[index].refusals = []
        leases[index].conflictCount = 0
        backoff = .seconds(30)
        hasToldSilence = false
        guard let old, old.external == external else {
            leases[index].verification = nil
            return
        }
        leases[index].renewals += 1
        if let mapping = leases[index].mapping {
            leases[index].told = mapping
            emit(.event(.renewed(mapping)))
        }
        if let verifiedAt = leases[index].verifiedAt, now >= verifiedAt + .seconds(3600) {
            leases[index].verifiedAt = nil
        }
    }

    /// The router said no, or nothing.
    mutating func refuse(
        _ index: Int,
        _ name: PortMappingProtocol,
        _ reason: PortMappingRefusal.Reason,
        _ now: Instant
    ) {
        guard withdrawUntil == nil else { return }
        if leases[index].state == .held {
            // It still is there until its time is over, unless the router says clearly that it is not.
            switch reason {
            case .notAuthorized, .noResources, .portTaken, .malformed:
                lose(index, .takenAway)
            default: return
            }
        }
        leases[index].refusals.append(PortMappingRefusal(name, reason))
        leases[index].state = .waiting
    }

    private mutating func fail(_ index: Int, _ now: Instant) {
        leases[index].state = .failed
        if retryAt == nil {
            retryAt = now + backoff
            backoff = min(backoff * 2, .seconds(600))
        }
        let lease = leases[index]
        // A router without PCP for IPv6 is nothing to complain about where IPv4 works.
        guard !lease.isIPv6 || controls.allSatisfy(\.isIPv6) else { return }
        if !lease.refusals.isEmpty {
            emit(.event(.unavailable(.refused(lease.wish, lease.refusals))))
        } else if !hasToldSilence,
            let router = lease.isIPv6 ? configuration.network.gatewayV6 : configuration.network.gateway
        {
            hasToldSilence = true
            emit(.event(.unavailable(.noAnswer(router: router))))
        }
    }

    /// Tells that a port is gone, and begins again.
    mutating func lose(_ index: Int, _ loss: PortMappingLoss) {
        if probe?.lease == index { endProbe() }
        if let mapping = leases[index].told { emit(.event(.lost(mapping, loss))) }
        leases[index].told = nil
        leases[index].verifiedAt = nil
        leases[index].restart()
    }

    /// Everything that a router gave by this protocol is gone: it began anew.
    mutating func restarted(_ name: PortMappingProtocol, isIPv6: Bool, except spared: Int? = nil) {
        for index in leases.indices
        where index != spared && leases[index].isIPv6 == isIPv6 && leases[index].state == .held
            && leases[index].grant?.protocol == name
        {
            lose(index, .routerRestarted)
        }
    }

    /// At half the life, and again at half of what is left (RFC 6886 section 3.7, RFC 6887 section 11.2.1).
    mutating func renewAndExpire(_ now: Instant) {
        for index in leases.indices where leases[index].state == .held {
            guard let grant = leases[index].grant, let expiresAt = grant.expiresAt else { continue }
            if now >= expiresAt {
                lose(index, .expired)
            } else if let renewAt = leases[index].renewAt, now >= renewAt {
                let left = expiresAt - now
                leases[index].renewAt = left < .seconds(4) ? nil : now + left / 2
                request(index, grant.protocol, tries: 4, now)
            }
        }
    }

    /// Asks the router for something small, to see that it is still the same one.
    mutating func check(_ now: Instant) {
        guard let due = checkAt, now >= due else { return }
        checkAt = now + configuration.checkInterval
        for index in controls.indices {
            let isIPv6 = controls[index].isIPv6
            let used = Set(leases.compactMap { $0.isIPv6 == isIPv6 ? $0.grant?.protocol : nil })
            if used.contains(.pcp) { announce(index, tries: 3, now) }
            if used.contains(.natPMP) { askExternalAddress(index, tries: 3, now) }
        }
        checkUPnP()
    }

    /// Looks for routers again after a while in which none gave a port.
    mutating func retry(_ now: Instant) {
        guard let due = retryAt, now >= due else { return }
        retryAt = nil
        for index in leases.indices where leases[index].state == .failed { leases[index].restart() }
        // With nothing to lose, also the sockets are new: what they were bound to may be gone.
        guard leases.contains(where: { $0.grant != nil }) else { return restart() }
        begunAt = now
        for index in controls.indices {
            let possible = configuration.protocols
            if controls[index].pcp == .absent, possible.contains(.pcp) { controls[index].pcp = .unknown }
            if controls[index].natPMP == .absent, possible.contains(.natPMP), !controls[index].isIPv6 {
                controls[index].natPMP = .unknown
            }
            knock(index, now)
        }
        if upnp.socket != nil, upnp.state == .absent || !leases.contains(where: { $0.grant?.protocol == .upnp }) {
            beginSearch(now)
        }
    }

    // MARK: The end

    private func isHeldByRouter(_ index: Int) -> PortMappingProtocol? {
        if let grant = leases[index].grant { return grant.protocol }
        // UPnP removes by external port, which may be another's until the router has given it; what is on its way is
        // removed when the answer comes.
        if case .asking(let name) = leases[index].state, name != .upnp { return name }
        return nil
    }

    mutating func askRemoval(_ index: Int, _ now: Instant) {
        guard let name = isHeldByRouter(index) else { return }
        remove(index, name, port: leases[index].grant?.external.port ?? leases[index].wanted, now)
    }

    /// Asks the router to forget a port.
    mutating func remove(_ index: Int, _ name: PortMappingProtocol, port: UInt16, _ now: Instant) {
        if name == .upnp {
            upnp.add(
                UPnPDoor.Call(
                    purpose: .remove(lease: index),
                    action: .deletePortMapping(leases[index].wish.transport, externalPort: port)
                )
            )
        } else {
            askControl(index, name, lifetime: 0, tries: 4, now)
        }
    }

    /// The router forgot a port. Before the end that is one that was not wanted, and the lease may have another by now.
    mutating func removed(_ index: Int) {
        if withdrawUntil != nil { leases[index].grant = nil }
    }

    mutating func finishWithdrawal(_ now: Instant) {
        guard let until = withdrawUntil, !isEnded else { return }
        let isWaiting =
            controls.contains { !$0.exchanges.isEmpty } || !upnp.calls.isEmpty || upnp.pending != nil
        guard !isWaiting || now >= until else { return }
        closeAll()
        emit(.event(.withdrawn(unconfirmed: leases.compactMap { $0.grant == nil ? nil : $0.told })))
        isEnded = true
    }
}
