// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// The mappings and flows of one protocol.
///
/// Nothing is removed when its time is over: whoever looks finds out, and a sweep follows when much has gathered.
struct NATTable {
    let behavior: NATBehavior
    let isTCP: Bool
    private(set) var mappings: [Mapping?] = []
    private var freeSlots: [Int] = []
    private var outgoing: [OutKey: Int] = [:]
    private var incoming: [InKey: Int] = [:]
    /// Flows that do not use the mapping that their destination would choose.
    private var diverted: [OutKey: Diversion] = [:]
    private var explicit: [EndpointKey: Int] = [:]
    private var flows: [FlowKey: NATFlow] = [:]
    private var permissions: [FlowKey: Int64] = [:]
    private var pinned: [InKey: Int64] = [:]
    private var pairs: [AddressKey: Int] = [:]
    private var allocator: NATPortAllocator
    private var nextSerial: UInt32 = 0
    private var sweepCount = 4096

    init(_ behavior: NATBehavior, isTCP: Bool, random: SeededGenerator) {
        self.behavior = behavior
        self.isTCP = isTCP
        allocator = NATPortAllocator(behavior, random: random)
    }

    // MARK: Packets

    /// The external endpoint of a packet from inside; `pool` is empty where nothing is translated.
    mutating func outbound(
        from inner: IPEndpoint,
        to remote: IPEndpoint,
        _ segment: LabSegment?,
        pool: [IPAddress],
        at now: Int64
    ) -> NATVerdict {
        let remoteKey = EndpointKey(remote)
        let exact = OutKey(internal: EndpointKey(inner), remote: remoteKey)
        var slot: Int?
        if !diverted.isEmpty { slot = diversion(exact, at: now) }
        if slot == nil, !explicit.isEmpty { slot = live(explicit[exact.internal], at: now) }
        let key = OutKey(internal: exact.internal, remote: masked(remoteKey, behavior.mapping))
        if slot == nil { slot = live(outgoing[key], at: now) }
        var isDiverted = false
        if let found = slot, let mapping = mappings[found], !pinned.isEmpty, !mapping.isExplicit,
            flows[FlowKey(serial: mapping.serial, remote: remoteKey)] == nil,
            isPinned(mapping.external, remoteKey, at: now)
        {
            slot = nil
            isDiverted = true
        }
        if let segment, !segment.flags.contains(.syn) || segment.flags.contains(.rst) {
            guard let slot, let mapping = mappings[slot],
                flows[FlowKey(serial: mapping.serial, remote: remoteKey)] != nil
            else { return .drop(.invalid) }
        }
        if let slot { return pass(slot, remoteKey, segment, at: now) }
        if let capacity = behavior.capacity, flowCount(at: now) >= capacity { return .drop(.tableFull) }
        guard let external = allocate(for: inner, remoteKey, pool: pool, at: now) else { return .drop(.noPort) }
        let made = insert(
            internal: inner,
            external: external,
            outKey: isDiverted ? exact : key,
            isDiverted: isDiverted,
            remote: remoteKey,
            at: now
        )
        return pass(made, remoteKey, segment, at: now)
    }

    /// The internal endpoint of a packet from outside to `external`.
    mutating func inbound(
        to external: IPEndpoint,
        from remote: IPEndpoint,
        _ segment: LabSegment?,
        filters: Bool = true,
        at now: Int64
    ) -> NATVerdict {
        let remoteKey = EndpointKey(remote)
        guard let slot = find(EndpointKey(external), remoteKey, at: now), let mapping = mappings[slot] else {
            return .drop(.noMapping)
        }
        let flowKey = FlowKey(serial: mapping.serial, remote: remoteKey)
        var flow = flows[flowKey]
        if let known = flow, known.expiry <= now { flow = nil }
        if filters, flow == nil, !mapping.isExplicit {
            let mayEnter =
                switch behavior.filtering {
                case .endpointIndependent: !mapping.isDiverted
                case .addressDependent: isPermitted(mapping.serial, remoteKey, at: now)
                case .addressAndPortDependent: false
                }
            guard mayEnter else { return .drop(.filtered) }
        }
        if let segment, flow == nil, !segment.flags.contains(.syn) || segment.flags.contains(.ack) {
            return .drop(.invalid)
        }
        if flow == nil {
            if let capacity = behavior.capacity, flowCount(at: now) >= capacity { return .drop(.tableFull) }
            // The answer leaves by the mapping that the packet came in by.
            if behavior.mapping != .endpointIndependent || mapping.isExplicit {
                let key = OutKey(internal: EndpointKey(mapping.internal), remote: remoteKey)
                diverted[key] = Diversion(slot: slot, serial: mapping.serial)
            }
        }
        var current = flow ?? NATFlow(expiry: 0)
        guard current.take(segment, fromInside: false, tracksWindows: behavior.tracksWindows) else {
            return .drop(.invalid)
        }
        refresh(slot, flowKey, current, fromInside: false, isNew: flow == nil, at: now)
        return .pass(mapping.internal)
    }

    /// The internal endpoint that an ICMP error about a packet from `external` is for.
    func owner(of external: IPEndpoint, remote: IPEndpoint, at now: Int64) -> IPEndpoint? {
        find(EndpointKey(external), EndpointKey(remote), at: now).flatMap { mappings[$0]?.internal }
    }

    /// The external endpoint of a flow that exists.
    func external(of inner: IPEndpoint, remote: IPEndpoint, at now: Int64) -> IPEndpoint? {
        let exact = OutKey(internal: EndpointKey(inner), remote: EndpointKey(remote))
        let key = OutKey(internal: exact.internal, remote: masked(exact.remote, behavior.mapping))
        for slot in [place(of: diverted[exact]), explicit[exact.internal], outgoing[key]] {
            if let slot, let mapping = mappings[slot], mapping.expiry > now { return mapping.external }
        }
        return nil
    }

    /// The router's own stack took a datagram: what the inside sends to that sender gets another port.
    mutating func pin(_ external: IPEndpoint, _ remote: IPEndpoint, at now: Int64) {
        if pinned.count > 65_536 { pinned = pinned.filter { $0.value > now } }
        pinned[InKey(external: EndpointKey(external), remote: EndpointKey(remote))] = expiry(behavior.timers.idle, now)
    }

    // MARK: Explicit mappings

    /// Installs a mapping through which everybody may send; nil when the external port is taken by another.
    mutating func install(_ external: IPEndpoint, to inner: IPEndpoint, lifetime: Duration?, at now: Int64) -> Bool {
        let key = InKey(external: EndpointKey(external), remote: .none)
        if let slot = live(incoming[key], at: now), let mapping = mappings[slot] {
            guard mapping.isExplicit || mapping.internal == inner else { return false }
            guard mapping.internal == inner else { return false }
            remove(slot)
        }
        let outKey = OutKey(internal: EndpointKey(inner), remote: .none)
        if let slot = explicit[outKey.internal] { remove(slot) }
        let slot = insert(
            internal: inner,
            external: external,
            outKey: outKey,
            isDiverted: false,
            remote: .none,
            isExplicit: true,
            at: now
        )
        let end = lifetime.map { expiry($0, now) } ?? .max
        mappings[slot]?.expiry = end
        return true
    }

    /// Takes an installed mapping away; false when there is none.
    mutating func uninstall(_ external: IPEndpoint) -> Bool {
        guard let slot = incoming[InKey(external: EndpointKey(external), remote: .none)],
            mappings[slot]?.isExplicit == true
        else { return false }
        remove(slot)
        return true
    }

    /// The mappings that live.
    func live(at now: Int64) -> [Mapping] {
        mappings.compactMap { $0 }.filter { $0.expiry > now }
    }

    /// How many flows live.
    mutating func flowCount(at now: Int64) -> Int {
        if let capacity = behavior.capacity, flows.count < capacity { return flows.count }
        sweep(at: now)
        return flows.count
    }

    /// Forgets everything that packets made, and what was installed unless it is to stay.
    mutating func forget(keepingExplicit isKept: Bool, at now: Int64) -> [Mapping] {
        let kept = isKept ? live(at: now).filter(\.isExplicit) : []
        mappings.removeAll()
        freeSlots.removeAll()
        outgoing.removeAll()
        incoming.removeAll()
        diverted.removeAll()
        explicit.removeAll()
        flows.removeAll()
        permissions.removeAll()
        pinned.removeAll()
        pairs.removeAll()
        return kept
    }

    // MARK: Parts

    private mutating func pass(_ slot: Int, _ remote: EndpointKey, _ segment: LabSegment?, at now: Int64) -> NATVerdict
    {
        guard let mapping = mappings[slot] else { return .drop(.noMapping) }
        let key = FlowKey(serial: mapping.serial, remote: remote)
        var flow = flows[key]
        if let known = flow, known.expiry <= now { flow = nil }
        if flow == nil, let capacity = behavior.capacity, flowCount(at: now) >= capacity { return .drop(.tableFull) }
        var current = flow ?? NATFlow(expiry: 0)
        guard current.take(segment, fromInside: true, tracksWindows: behavior.tracksWindows) else {
            return .drop(.invalid)
        }
        refresh(slot, key, current, fromInside: true, isNew: flow == nil, at: now)
        return .pass(mapping.external)
    }

    private mutating func refresh(
        _ slot: Int,
        _ key: FlowKey,
        _ flow: NATFlow,
        fromInside: Bool,
        isNew: Bool,
        at now: Int64
    ) {
        guard let mapping = mappings[slot] else { return }
        var flow = flow
        let wasEstablished = !isNew && flows[key]?.isEstablished == true
        if flow.isRefused {
            // A refused connect leaves nothing behind, so that the next one may come by another mapping.
            flows[key] = nil
            if behavior.mapping == .addressAndPortDependent, !mapping.isExplicit { remove(slot) }
            return
        }
        let timers = behavior.timers
        let changesState = isTCP && flow.isEstablished != wasEstablished
        let counts = fromInside || timers.inboundRefreshes || changesState || flow.isOver
        let lifetime = isTCP && !flow.isEstablished ? timers.transitory : timers.idle
        let end = timers.isAbsolute ? mapping.createdAt + timers.idle.wholeNanoseconds : expiry(lifetime, now)
        if counts || isNew { flow.expiry = end }
        flows[key] = flow
        if flow.isEstablished != wasEstablished { mappings[slot]?.establishedCount += wasEstablished ? -1 : 1 }
        if !mapping.isExplicit, counts {
            let isLast = flow.isOver && (mappings[slot]?.establishedCount ?? 0) <= 0
            mappings[slot]?.expiry = isLast ? end : max(mapping.expiry, end)
        }
        if behavior.filtering == .addressDependent, fromInside {
            permissions[FlowKey(serial: key.serial, remote: EndpointKey(address: key.remote.address, port: 0))] = end
        }
        if flows.count > sweepCount { sweep(at: now) }
    }

    private mutating func insert(
        internal inner: IPEndpoint,
        external: IPEndpoint,
        outKey: OutKey,
        isDiverted: Bool,
        remote: EndpointKey,
        isExplicit: Bool = false,
        at now: Int64
    ) -> Int {
        nextSerial &+= 1
        let mapping = Mapping(
            serial: nextSerial,
            internal: inner,
            external: external,
            outKey: outKey,
            inKey: InKey(external: EndpointKey(external), remote: isExplicit ? .none : overloadKey(remote)),
            createdAt: now,
            expiry: now,
            isExplicit: isExplicit,
            isDiverted: isDiverted
        )
        let slot = freeSlots.popLast() ?? mappings.count
        if slot == mappings.count { mappings.append(mapping) } else { mappings[slot] = mapping }
        if isExplicit {
            explicit[outKey.internal] = slot
        } else if isDiverted {
            diverted[outKey] = Diversion(slot: slot, serial: mapping.serial)
        } else {
            outgoing[outKey] = slot
        }
        incoming[mapping.inKey] = slot
        return slot
    }

    private mutating func remove(_ slot: Int) {
        guard let mapping = mappings[slot] else { return }
        mappings[slot] = nil
        freeSlots.append(slot)
        if outgoing[mapping.outKey] == slot { outgoing[mapping.outKey] = nil }
        if explicit[mapping.outKey.internal] == slot { explicit[mapping.outKey.internal] = nil }
        if incoming[mapping.inKey] == slot { incoming[mapping.inKey] = nil }
    }

    /// The mapping of a flow that does not use its destination's; nil when there is none, or the flow's time is over.
    private mutating func diversion(_ key: OutKey, at now: Int64) -> Int? {
        guard let slot = live(place(of: diverted[key]), at: now), let mapping = mappings[slot] else { return nil }
        if mapping.isDiverted { return slot }
        guard let flow = flows[FlowKey(serial: mapping.serial, remote: key.remote)], flow.expiry > now else {
            diverted[key] = nil
            return nil
        }
        return slot
    }

    private func place(of diversion: Diversion?) -> Int? {
        guard let diversion, mappings[diversion.slot]?.serial == diversion.serial else { return nil }
        return diversion.slot
    }

    private mutating func live(_ slot: Int?, at now: Int64) -> Int? {
        guard let slot, let mapping = mappings[slot] else { return nil }
        if mapping.expiry > now { return slot }
        remove(slot)
        return nil
    }

    private func find(_ external: EndpointKey, _ remote: EndpointKey, at now: Int64) -> Int? {
        if let slot = incoming[InKey(external: external, remote: .none)], let mapping = mappings[slot],
            mapping.expiry > now
        {
            return slot
        }
        guard behavior.overloadsPorts,
            let slot = incoming[InKey(external: external, remote: overloadKey(remote))],
            let mapping = mappings[slot], mapping.expiry > now
        else { return nil }
        return slot
    }

    private mutating func allocate(
        for inner: IPEndpoint,
        _ remote: EndpointKey,
        pool: [IPAddress],
        at now: Int64
    ) -> IPEndpoint? {
        guard !pool.isEmpty else { return inner }
        var index = 0
        if pool.count > 1 {
            let key = AddressKey(inner.address)
            index = allocator.addressIndex(of: pool.count)
            if behavior.pooling == .paired {
                index = (pairs[key] ?? index) % pool.count
                pairs[key] = index
            }
        }
        let address = pool[index]
        let addressKey = AddressKey(address)
        let overload = overloadKey(remote)
        var allocator = self.allocator
        let port = allocator.port(behavior, internal: inner.port, at: now) { port in
            let external = EndpointKey(address: addressKey, port: port)
            if isTaken(InKey(external: external, remote: .none), at: now) { return true }
            if behavior.overloadsPorts, isTaken(InKey(external: external, remote: overload), at: now) { return true }
            return !pinned.isEmpty && (pinned[InKey(external: external, remote: remote)] ?? 0) > now
        }
        self.allocator = allocator
        return port.map { IPEndpoint(address, $0) }
    }

    private func isTaken(_ key: InKey, at now: Int64) -> Bool {
        guard let slot = incoming[key], let mapping = mappings[slot] else { return false }
        return mapping.expiry > now
    }

    private func isPinned(_ external: IPEndpoint, _ remote: EndpointKey, at now: Int64) -> Bool {
        (pinned[InKey(external: EndpointKey(external), remote: remote)] ?? 0) > now
    }

    private func isPermitted(_ serial: UInt32, _ remote: EndpointKey, at now: Int64) -> Bool {
        (permissions[FlowKey(serial: serial, remote: EndpointKey(address: remote.address, port: 0))] ?? 0) > now
    }

    private func masked(_ remote: EndpointKey, _ mapping: MappingBehavior) -> EndpointKey {
        switch mapping {
        case .endpointIndependent: .none
        case .addressDependent: EndpointKey(address: remote.address, port: 0)
        case .addressAndPortDependent: remote
        }
    }

    private func overloadKey(_ remote: EndpointKey) -> EndpointKey {
        behavior.overloadsPorts ? masked(remote, behavior.mapping) : .none
    }

    private func expiry(_ lifetime: Duration, _ now: Int64) -> Int64 {
        let (sum, overflow) = now.addingReportingOverflow(lifetime.wholeNanoseconds)
        return overflow ? .max : sum
    }

    private mutating func sweep(at now: Int64) {
        for slot in mappings.indices { _ = live(slot, at: now) }
        let serials = Set(mappings.compactMap { $0?.serial })
        flows = flows.filter { $0.value.expiry > now && serials.contains($0.key.serial) }
        permissions = permissions.filter { $0.value > now && serials.contains($0.key.serial) }
        pinned = pinned.filter { $0.value > now }
        diverted = diverted.filter { serials.contains($0.value.serial) }
        sweepCount = max(4096, flows.count * 2)
    }
}
