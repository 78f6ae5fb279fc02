// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditCrypto
internal import AditWire

extension TURNRelay {
    /// UDP, the only protocol of relays (RFC 8656 section 18.8).
    private static let udp: UInt8 = 17

    /// Section 7.2.
    mutating func allocate(_ request: TURNRequest, _ bytes: RawSpan, at now: Instant) {
        guard let caller = authenticate(request, bytes, at: now) else { return }
        if let place = byClient[request.client].map({ Int($0) }) {
            let isOver = allocations[place].pending == nil && relays(of: place).allSatisfy { slots[$0].expiry <= now }
            guard isOver else { return answerAgain(request, place, caller, at: now) }
            remove(place)
        }
        if let admits = configuration.admits, !admits(caller.username) { return refuse(request, .forbidden, caller) }
        guard let transport = request.transport else { return refuse(request, .badRequest, caller) }
        guard transport == Self.udp else { return refuse(request, .unsupportedTransport, caller) }
        if refuseUnknown(request, caller) { return }
        let wantsBoth = request.additionalFamily != nil
        if request.token != nil, request.evenPort != nil || request.family != nil || wantsBoth {
            return refuse(request, .badRequest, caller)
        }
        if wantsBoth, request.family != nil || request.additionalFamily != .v6 || request.evenPort == true {
            return refuse(request, .badRequest, caller)
        }
        let lifetime = Self.lifetime(request.lifetime)
        if let token = request.token { return adopt(token, request, caller, lifetime, at: now) }
        let family = request.family ?? .v4
        guard configuration.families.contains(family) else {
            // Of two families one is enough (section 7.2).
            guard wantsBoth, configuration.families.contains(.v6) else {
                return refuse(request, .addressFamilyNotSupported, caller)
            }
            let error = STUNAttribute.addressErrorCode(.v4, 440, reason: TURNError.addressFamilyNotSupported.reason)
            return open([.v6], request, caller, lifetime, addressError: error)
        }
        guard wantsBoth else { return open([family], request, caller, lifetime) }
        if configuration.families.contains(.v6) { return open([.v4, .v6], request, caller, lifetime) }
        let error = STUNAttribute.addressErrorCode(.v6, 440, reason: TURNError.addressFamilyNotSupported.reason)
        open([.v4], request, caller, lifetime, addressError: error)
    }

    /// The time asked for, but not below the usual one and not above the longest (section 7.2).
    private static func lifetime(_ wish: UInt32?) -> UInt32 {
        let shortest = TURNRelayConfiguration.defaultLifetime
        return max(shortest, min(wish ?? shortest, TURNRelayConfiguration.longestLifetime))
    }

    /// The same request again gets the same answer; any other finds the 5-tuple taken (section 7.2).
    private mutating func answerAgain(
        _ request: TURNRequest,
        _ place: Int,
        _ caller: TURNCaller,
        at now: Instant
    ) {
        guard allocations[place].transactionID == request.message.transactionID,
            allocations[place].caller.device == caller.device
        else { return refuse(request, .allocationMismatch, caller) }
        guard allocations[place].pending == nil else { return }
        answer(request, attributes(ofAllocation: place, at: now), caller)
    }

    /// Makes an allocation whose sockets are not there yet.
    private mutating func open(
        _ families: [STUNAddressFamily],
        _ request: TURNRequest,
        _ caller: TURNCaller,
        _ lifetime: UInt32,
        addressError: STUNAttribute? = nil
    ) {
        let count = families.count + (request.evenPort == true ? 1 : 0)
        guard let device = share(of: caller, count) else { return refuse(request, .allocationQuotaReached, caller) }
        guard slots.count - freeSlots.count + count <= configuration.allocationLimit else {
            forget(device)
            return refuse(request, .insufficientCapacity, caller)
        }
        let place = addAllocation(request, caller, device)
        var pending = TURNPendingAllocate(
            request: request.message,
            caller: caller,
            lifetime: lifetime,
            waiting: families.count,
            addressError: addressError
        )
        var opened: [(Int, TURNPort)] = []
        for family in families {
            let slot = addSlot(family, .opening, allocation: place, device)
            opened.append((slot, request.evenPort == nil ? .any : .even))
            if allocations[place].first < 0 {
                allocations[place].first = Int32(slot)
            } else {
                allocations[place].second = Int32(slot)
            }
        }
        if request.evenPort == true, let (slot, _) = opened.first {
            let kept = addSlot(slots[slot].family, .opening, allocation: -1, device)
            pending.kept = Int32(kept)
            opened[0].1 = .evenKeepingNext(id(of: kept))
        }
        allocations[place].pending = pending
        for (slot, port) in opened { outputs.append(.openRelay(id(of: slot), slots[slot].family, port)) }
    }

    /// A relay's socket is open, and is announced as `relayed`; the kept one, if any, has the port above.
    package mutating func opened(_ relay: TURNRelayID, at relayed: IPEndpoint, now: Instant) {
        guard let slot = slot(of: relay), case .opening = slots[slot].state, slots[slot].allocation >= 0 else {
            outputs.append(.closeRelay(relay))
            return
        }
        let place = Int(slots[slot].allocation)
        slots[slot].relayed = relayed
        slots[slot].state = .open
        byEndpoint[relayed] = Int32(slot)
        epoch += 1
        if let kept = allocations[place].pending?.kept, kept >= 0 {
            keep(Int(kept), at: IPEndpoint(relayed.address, relayed.port &+ 1), for: place, now: now)
        }
        settle(place, at: now)
    }

    /// A relay's socket could not be opened.
    package mutating func notOpened(_ relay: TURNRelayID, now: Instant) {
        guard let slot = slot(of: relay), case .opening = slots[slot].state, slots[slot].allocation >= 0 else { return }
        let place = Int(slots[slot].allocation)
        if let kept = allocations[place].pending?.kept, kept >= 0 {
            free(Int(kept))
            allocations[place].pending?.kept = -1
        }
        allocations[place].pending?.addressError = .addressErrorCode(
            slots[slot].family,
            TURNError.insufficientCapacity.rawValue,
            reason: TURNError.insufficientCapacity.reason
        )
        detach(slot)
        free(slot)
        settle(place, at: now)
    }

    private mutating func keep(_ slot: Int, at endpoint: IPEndpoint, for place: Int, now: Instant) {
        var token: UInt64 = random.next()
        while byToken[token] != nil { token = random.next() }
        slots[slot].state = .kept(token: token)
        slots[slot].relayed = endpoint
        slots[slot].expiry = now + .seconds(TURNRelayConfiguration.reservationLifetime)
        expires(at: slots[slot].expiry)
        byToken[token] = Int32(slot)
        allocations[place].extra.append(.reservationToken(token))
    }

    /// Answers the Allocate request once all its sockets are known.
    private mutating func settle(_ place: Int, at now: Instant) {
        allocations[place].pending?.waiting -= 1
        guard let pending = allocations[place].pending, pending.waiting <= 0 else { return }
        allocations[place].pending = nil
        let request = TURNRequest(pending.request, from: allocations[place].client)
        guard allocations[place].first >= 0 || allocations[place].second >= 0 else {
            remove(place)
            return refuse(request, .insufficientCapacity, pending.caller)
        }
        if let error = pending.addressError { allocations[place].extra.append(error) }
        begin(request, place, pending.caller, pending.lifetime, at: now)
    }

    /// Takes a kept relay (RESERVATION-TOKEN).
    private mutating func adopt(
        _ token: UInt64,
        _ request: TURNRequest,
        _ caller: TURNCaller,
        _ lifetime: UInt32,
        at now: Instant
    ) {
        guard let kept = byToken[token].map({ Int($0) }), slots[kept].expiry > now, slots[kept].device >= 0,
            deviceTable[Int(slots[kept].device)].name == caller.device
        else { return refuse(request, .insufficientCapacity, caller) }
        byToken[token] = nil
        let place = addAllocation(request, caller, slots[kept].device)
        allocations[place].first = Int32(kept)
        slots[kept].allocation = Int32(place)
        slots[kept].state = .open
        byEndpoint[slots[kept].relayed] = Int32(kept)
        epoch += 1
        begin(request, place, caller, lifetime, at: now)
    }

    private mutating func begin(
        _ request: TURNRequest,
        _ place: Int,
        _ caller: TURNCaller,
        _ lifetime: UInt32,
        at now: Instant
    ) {
        counters.allocations += 1
        let expiry = now + .seconds(Int64(lifetime))
        for slot in relays(of: place) {
            slots[slot].expiry = expiry
            outputs.append(
                .event(.allocated(device: caller.device, relayed: slots[slot].relayed, client: request.client))
            )
        }
        expires(at: expiry)
        answer(request, attributes(ofAllocation: place, at: now), caller)
    }

    private func attributes(ofAllocation place: Int, at now: Instant) -> [STUNAttribute] {
        var attributes: [STUNAttribute] = []
        var left: Int64 = 0
        for slot in relays(of: place) {
            attributes.append(.xorRelayedAddress(slots[slot].relayed))
            left = max(left, (slots[slot].expiry - now).components.seconds)
        }
        attributes.append(.lifetime(UInt32(clamping: left)))
        attributes += allocations[place].extra
        attributes.append(.xorMappedAddress(allocations[place].client.client))
        return attributes
    }

    /// Section 8.2.
    mutating func refresh(_ request: TURNRequest, _ bytes: RawSpan, at now: Instant) {
        guard let caller = authenticate(request, bytes, at: now) else { return }
        guard let place = allocation(of: request, caller, at: now) else { return }
        if refuseUnknown(request, caller) { return }
        var chosen = relays(of: place)
        if let family = request.family {
            guard configuration.families.contains(family) else {
                return refuse(request, .addressFamilyNotSupported, caller)
            }
            chosen.removeAll { slots[$0].family != family }
            guard !chosen.isEmpty else { return refuse(request, .peerAddressFamilyMismatch, caller) }
        }
        allocations[place].caller = caller
        if request.lifetime == 0 {
            answer(request, [.lifetime(0)], caller)
            for slot in chosen { end(slot) }
            return
        }
        let lifetime = Self.lifetime(request.lifetime)
        for slot in chosen { slots[slot].expiry = now + .seconds(Int64(lifetime)) }
        answer(request, [.lifetime(lifetime)], caller)
    }

    /// The allocation that a request is about; nil when there is none or it is another user's, and that was answered.
    mutating func allocation(of request: TURNRequest, _ caller: TURNCaller, at now: Instant) -> Int? {
        guard let place = byClient[request.client].map({ Int($0) }), allocations[place].pending == nil,
            relays(of: place).contains(where: { slots[$0].expiry > now })
        else {
            refuse(request, .allocationMismatch, caller)
            return nil
        }
        // Users who are limited in time get new names, but remain the same device.
        guard allocations[place].caller.device == caller.device else {
            refuse(request, .wrongCredentials, caller)
            return nil
        }
        return place
    }
}
