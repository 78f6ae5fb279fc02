// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

extension TURNRelay {
    /// Section 10.2.
    mutating func createPermission(_ request: TURNRequest, _ bytes: RawSpan, at now: Instant) {
        guard let caller = authenticate(request, bytes, at: now),
            let place = allocation(of: request, caller, at: now)
        else { return }
        if refuseUnknown(request, caller) { return }
        guard !request.peers.isEmpty else { return refuse(request, .badRequest, caller) }
        for peer in request.peers {
            if let error = objection(to: peer.address, place) { return refuse(request, error, caller) }
        }
        guard permit(request.peers, place, at: now) else { return refuse(request, .insufficientCapacity, caller) }
        answer(request, [], caller)
    }

    /// Section 12.2.
    mutating func bindChannel(_ request: TURNRequest, _ bytes: RawSpan, at now: Instant) {
        guard let caller = authenticate(request, bytes, at: now),
            let place = allocation(of: request, caller, at: now)
        else { return }
        if refuseUnknown(request, caller) { return }
        // coturn's clients still choose among all numbers of RFC 5766; nothing else on these ports begins like them.
        guard let number = request.channel, ChannelData.numbersOfOlderClients.contains(number),
            let peer = request.peers.first, peer.port != 0
        else { return refuse(request, .badRequest, caller) }
        let expiry = now + .seconds(TURNRelayConfiguration.channelLifetime)
        allocations[place].channels.removeAll { $0.expiry <= now }
        let byNumber = allocations[place].channel(number)
        let byPeer = allocations[place].channel(of: peer)
        guard byNumber == byPeer else { return refuse(request, .badRequest, caller) }
        if let error = objection(to: peer.address, place) { return refuse(request, error, caller) }
        guard byPeer != nil || allocations[place].channels.count < configuration.channelLimit,
            permit([peer], place, at: now)
        else { return refuse(request, .insufficientCapacity, caller) }
        if let byPeer {
            allocations[place].channels[byPeer].expiry = expiry
        } else {
            let permission = now + .seconds(TURNRelayConfiguration.permissionLifetime)
            let mayLeave = self.mayLeave(for: peer.address)
            allocations[place].channels.append(
                TURNChannel(number: number, peer: peer, expiry: expiry, permission: permission, mayLeave: mayLeave)
            )
        }
        answer(request, [], caller)
    }

    /// Why an address is no peer for an allocation; nil when it may be one.
    private func objection(to address: IPAddress, _ place: Int) -> TURNError? {
        let family = STUNAddressFamily(of: address)
        guard relays(of: place).contains(where: { slots[$0].family == family }) else {
            return .peerAddressFamilyMismatch
        }
        guard mayLeave(for: address) || isRelayAddress(address, reachedFrom: place) else { return .forbidden }
        return nil
    }

    /// Whether relays of this server may be at an address, to which nothing leaves: it is handed over inside.
    ///
    /// On loopback and on a link they are for those alone whose own relay is there too, as on a developer's machine.
    private func isRelayAddress(_ address: IPAddress, reachedFrom place: Int) -> Bool {
        guard configuration.relayAddresses.contains(address) else { return false }
        guard address.unmapped.isLoopback || address.unmapped.isLinkLocal else { return true }
        return relays(of: place).contains { slots[$0].relayed.address == address }
    }

    /// Whether datagrams may leave for an address: on the server's own, only relays are reached, and those inside.
    private func mayLeave(for address: IPAddress) -> Bool {
        if configuration.relayAddresses.contains(address) {
            return configuration.peers.allowed.contains { $0.contains(address) }
        }
        return configuration.peers.permits(address)
    }

    /// Makes or refreshes permissions: all of them, or none when there is no room.
    private mutating func permit(_ peers: [IPEndpoint], _ place: Int, at now: Instant) -> Bool {
        let expiry = now + .seconds(TURNRelayConfiguration.permissionLifetime)
        let fresh = Set(peers.lazy.map(\.address)).filter { allocations[place].permission(of: $0) == nil }
        if allocations[place].permissions.count + fresh.count > configuration.permissionLimit {
            allocations[place].permissions.removeAll { $0.expiry <= now }
        }
        guard allocations[place].permissions.count + fresh.count <= configuration.permissionLimit else { return false }
        for peer in peers {
            let mayLeave = self.mayLeave(for: peer.address)
            let permission = TURNPermission(address: peer.address, expiry: expiry, mayLeave: mayLeave)
            if let index = allocations[place].permission(of: peer.address) {
                allocations[place].permissions[index] = permission
            } else {
                allocations[place].permissions.append(permission)
            }
            for index in allocations[place].channels.indices {
                guard allocations[place].channels[index].peer.address == peer.address else { continue }
                allocations[place].channels[index].permission = expiry
                allocations[place].channels[index].mayLeave = mayLeave
            }
        }
        return true
    }
}
