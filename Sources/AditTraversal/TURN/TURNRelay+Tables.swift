// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// The tables: places are used again, ids are not.
extension TURNRelay {
    func id(of slot: Int) -> TURNRelayID {
        TURNRelayID(UInt64(slots[slot].generation) << 32 | UInt64(slot))
    }

    func slot(of id: TURNRelayID) -> Int? {
        let slot = Int(id.number & 0xFFFF_FFFF)
        guard slot < slots.count, slots[slot].generation == UInt32(id.number >> 32) else { return nil }
        if case .free = slots[slot].state { return nil }
        return slot
    }

    /// The places of an allocation's relays, one or two.
    func relays(of place: Int) -> [Int] {
        var relays: [Int] = []
        if allocations[place].first >= 0 { relays.append(Int(allocations[place].first)) }
        if allocations[place].second >= 0 { relays.append(Int(allocations[place].second)) }
        return relays
    }

    /// The place of a device that may have so many relays more; nil when it has its share.
    mutating func share(of caller: TURNCaller, _ count: Int) -> Int32? {
        guard let known = deviceIndex[caller.device] else {
            guard count <= configuration.deviceAllocationLimit else { return nil }
            let device = TURNDevice(name: caller.device)
            let index: Int32
            if let free = freeDevices.popLast() {
                deviceTable[Int(free)] = device
                index = free
            } else {
                deviceTable.append(device)
                index = Int32(deviceTable.count - 1)
            }
            deviceIndex[caller.device] = index
            return index
        }
        return deviceTable[Int(known)].relays + count <= configuration.deviceAllocationLimit ? known : nil
    }

    /// Forgets a device that has nothing.
    mutating func forget(_ device: Int32) {
        guard deviceTable[Int(device)].relays == 0 else { return }
        deviceIndex[deviceTable[Int(device)].name] = nil
        freeDevices.append(device)
    }

    mutating func addAllocation(_ request: TURNRequest, _ caller: TURNCaller, _ device: Int32) -> Int {
        let allocation = TURNAllocation(
            request.client,
            caller,
            device: device,
            transactionID: request.message.transactionID
        )
        let place: Int
        if let free = freeAllocations.popLast() {
            place = Int(free)
            allocations[place] = allocation
        } else {
            place = allocations.count
            allocations.append(allocation)
        }
        byClient[request.client] = Int32(place)
        return place
    }

    mutating func addSlot(
        _ family: STUNAddressFamily,
        _ state: TURNRelaySlot.State,
        allocation: Int,
        _ device: Int32
    ) -> Int {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = Int(free)
        } else {
            slot = slots.count
            slots.append(TURNRelaySlot())
        }
        let generation = slots[slot].generation &+ 1
        slots[slot] = TURNRelaySlot()
        slots[slot].generation = generation
        slots[slot].state = state
        slots[slot].family = family
        slots[slot].allocation = Int32(allocation)
        slots[slot].device = device
        deviceTable[Int(device)].relays += 1
        return slot
    }

    /// Ends an open relay, and its allocation with the last one.
    mutating func end(_ slot: Int) {
        let place = Int(slots[slot].allocation)
        guard place >= 0 else { return close(slot) }
        guard relays(of: place).count > 1 else { return remove(place) }
        detach(slot)
        release(slot, of: place)
        let family = slots[slot].family
        allocations[place].permissions.removeAll { STUNAddressFamily(of: $0.address) == family }
        allocations[place].channels.removeAll { STUNAddressFamily(of: $0.peer.address) == family }
        close(slot)
    }

    /// Ends an allocation with all it has.
    mutating func remove(_ place: Int) {
        if let kept = allocations[place].pending?.kept, kept >= 0 { close(Int(kept)) }
        for slot in relays(of: place) {
            release(slot, of: place)
            close(slot)
        }
        byClient[allocations[place].client] = nil
        if lastPlace == Int32(place) {
            lastPlace = -1
            lastClient = nil
        }
        let device = allocations[place].device
        allocations[place].isUsed = false
        allocations[place].pending = nil
        allocations[place].permissions = []
        allocations[place].channels = []
        allocations[place].extra = []
        allocations[place].first = -1
        allocations[place].second = -1
        freeAllocations.append(Int32(place))
        // A failed opening has freed the device's only relay without forgetting the device.
        if deviceIndex[deviceTable[Int(device)].name] == device { forget(device) }
    }

    /// Takes a relay away from its allocation.
    mutating func detach(_ slot: Int) {
        let place = Int(slots[slot].allocation)
        if allocations[place].first == Int32(slot) { allocations[place].first = -1 }
        if allocations[place].second == Int32(slot) { allocations[place].second = -1 }
    }

    private mutating func release(_ slot: Int, of place: Int) {
        guard case .open = slots[slot].state, allocations[place].pending == nil else { return }
        outputs.append(
            .event(
                .released(
                    device: allocations[place].caller.device,
                    relayed: slots[slot].relayed,
                    client: allocations[place].client,
                    sent: slots[slot].sent,
                    received: slots[slot].received
                )
            )
        )
    }

    /// Closes a relay's socket.
    mutating func close(_ slot: Int) {
        switch slots[slot].state {
        case .free: return
        case .opening: break
        case .open:
            byEndpoint[slots[slot].relayed] = nil
            epoch += 1
        case .kept(let token): byToken[token] = nil
        }
        outputs.append(.closeRelay(id(of: slot)))
        let device = slots[slot].device
        let isKept = slots[slot].allocation < 0
        free(slot)
        if isKept, deviceTable[Int(device)].relays == 0 { forget(device) }
    }

    /// Gives a place back.
    mutating func free(_ slot: Int) {
        let device = slots[slot].device
        if device >= 0 { deviceTable[Int(device)].relays -= 1 }
        slots[slot].state = .free
        slots[slot].allocation = -1
        slots[slot].device = -1
        freeSlots.append(Int32(slot))
    }
}
