// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// A NAT box or stateful firewall, and router, between its inside and its outside.
package final class LabNAT: LabRouter {
    /// What it does.
    package let configuration: NATConfiguration

    private var udp: NATTable
    private var tcp4: NATTable
    private var udpV6: NATTable
    private var tcpV6: NATTable
    /// What the router's own sockets sent to, so that answers find in.
    private var ownFlows: [NATTable.OutKey: Int64] = [:]

    init(_ name: String, _ configuration: NATConfiguration, _ lab: Lab) {
        self.configuration = configuration
        let purpose = 3 << 32 | UInt64(lab.nodes.count) << 2
        udp = NATTable(configuration.udp, isTCP: false, random: lab.seed.generator(for: purpose))
        tcp4 = NATTable(configuration.tcp, isTCP: true, random: lab.seed.generator(for: purpose | 1))
        udpV6 = NATTable(configuration.ipv6, isTCP: false, random: SeededGenerator(seed: purpose | 2))
        tcpV6 = NATTable(configuration.ipv6, isTCP: true, random: SeededGenerator(seed: purpose | 3))
        super.init(name, lab)
        sendsICMP = configuration.passesICMP
    }

    /// Its IPv4 addresses on the outside.
    package private(set) var externalAddresses: [IPAddress] = []
    /// All of its addresses on the outside.
    private var outsideAddresses: [AddressKey] = []
    private var outsideInterface = 0

    // MARK: Packets

    override func receive(_ packet: LabPacket, on interface: Int) {
        let destination = packet.destination.address
        if destination.isMulticast { return input(packet, interface: interface) }
        if interfaces[interface].side == .outside {
            guard let aged = owns(destination) ? packet : aged(packet, from: interface) else { return }
            enter(aged)
        } else if owns(destination) {
            if isExternal(destination), packet.protocol != .icmp, behavior(of: packet)?.policy == .translate {
                turnAround(packet, from: interface)
            } else {
                input(packet, interface: interface)
            }
        } else if let aged = aged(packet, from: interface) {
            leave(aged)
        }
    }

    override func input(_ packet: LabPacket, interface: Int?) {
        // Errors about translated packets that this router itself could not send on come by its own loopback.
        if case .icmp(let error) = packet.content, let translated = untranslated(packet, error) {
            return forward(translated)
        }
        super.input(packet, interface: interface)
    }

    @discardableResult
    override func output(_ packet: LabPacket) -> Bool {
        // A refusal leaves no trace: the same packet may be for the inside a moment later.
        var isRefusal = false
        if case .tcp(let segment) = packet.content { isRefusal = segment.flags.contains(.rst) }
        if packet.protocol != .icmp, !isRefusal, isExternal(packet.source.address) {
            let key = NATTable.OutKey(internal: EndpointKey(packet.source), remote: EndpointKey(packet.destination))
            if ownFlows.count > 4096 { ownFlows.removeAll() }
            ownFlows[key] = lab.now.nanoseconds + 120_000_000_000
        }
        return super.output(packet)
    }

    private func leave(_ packet: LabPacket) {
        if let way = routes.lookup(packet.destination.address), interfaces[way.interface].side == .inside {
            return forward(packet)
        }
        guard let behavior = behavior(of: packet) else { return leaveICMP(packet) }
        switch behavior.policy {
        case .blocked: return lab.drop(packet, at: self, .blocked)
        case .open: return forward(packet)
        case .firewall, .translate: break
        }
        if let allowed = behavior.allowedPorts, !allowed.contains(packet.destination.port) {
            return lab.drop(packet, at: self, .blocked)
        }
        switch translateOut(packet, behavior) {
        case .drop(let reason): lab.drop(packet, at: self, reason)
        case .pass(let external):
            var translated = packet
            translated.source = external
            forward(translated)
        }
    }

    private func enter(_ packet: LabPacket) {
        guard let behavior = behavior(of: packet) else { return enterICMP(packet) }
        let isOwn = owns(packet.destination.address)
        if isOwn, isOwnFlow(packet) { return input(packet, interface: nil) }
        switch behavior.policy {
        case .blocked: return lab.drop(packet, at: self, .blocked)
        case .open: return isOwn ? input(packet, interface: nil) : forward(packet)
        case .firewall where isOwn: return refuse(packet, .noMapping, behavior)
        case .translate where !isOwn: return lab.drop(packet, at: self, .filtered)
        case .firewall, .translate: break
        }
        switch translateIn(packet, filters: true) {
        case .drop(let reason): refuse(packet, reason, behavior)
        case .pass(let inner):
            guard let aged = isOwn ? aged(packet, from: outsideInterface) : packet else { return }
            var translated = aged
            translated.destination = inner
            forward(translated)
        }
    }

    private func turnAround(_ packet: LabPacket, from interface: Int) {
        guard let behavior = behavior(of: packet), behavior.hairpinning != .none else {
            return lab.drop(packet, at: self, .hairpin)
        }
        guard let aged = aged(packet, from: interface) else { return }
        switch translateOut(aged, behavior) {
        case .drop(let reason): return lab.drop(packet, at: self, reason)
        case .pass(let external):
            var turned = aged
            turned.source = external
            switch translateIn(turned, filters: behavior.filtersHairpin) {
            case .drop(let reason): return lab.drop(packet, at: self, reason)
            case .pass(let inner):
                if behavior.hairpinning == .internalSource { turned.source = packet.source }
                turned.destination = inner
                forward(turned)
            }
        }
    }

    private func refuse(_ packet: LabPacket, _ reason: LabDropReason, _ behavior: NATBehavior) {
        lab.drop(packet, at: self, reason)
        guard reason == .noMapping || reason == .filtered else { return }
        switch (behavior.unsolicited, packet.content) {
        case (.drop, _), (_, .icmp): break
        case (.reset, .tcp(let segment)):
            guard segment.flags.contains(.syn), !segment.flags.contains(.ack) else { return }
            output(.reset(answering: segment, of: packet))
        case (.reset, .udp): report(.portUnreachable, about: packet, from: packet.destination.address)
        case (.accept, _):
            guard owns(packet.destination.address) else { return }
            if case .udp = packet.content { udp.pin(packet.destination, packet.source, at: lab.now.nanoseconds) }
            super.input(packet, interface: nil)
        }
    }

    // MARK: ICMP

    private func leaveICMP(_ packet: LabPacket) {
        guard configuration.passesICMP else { return lab.drop(packet, at: self, .icmp) }
        guard case .icmp(let error) = packet.content else { return }
        guard isTranslated(error) else { return forward(packet) }
        let now = lab.now.nanoseconds
        let table = error.protocol == .udp ? udp : tcp4
        guard let external = table.external(of: error.destination, remote: error.source, at: now) else {
            return lab.drop(packet, at: self, .noMapping)
        }
        var quoted = error
        quoted.destination = external
        var translated = packet
        translated.source.address = external.address
        translated.content = .icmp(quoted)
        forward(translated)
    }

    private func enterICMP(_ packet: LabPacket) {
        guard case .icmp(let error) = packet.content else { return }
        if !isTranslated(error), !owns(packet.destination.address) {
            guard configuration.passesICMP else { return lab.drop(packet, at: self, .icmp) }
            return forward(packet)
        }
        if let translated = untranslated(packet, error) {
            guard configuration.passesICMP else { return lab.drop(packet, at: self, .icmp) }
            forward(translated)
        } else if owns(packet.destination.address) {
            super.input(packet, interface: nil)
        } else {
            lab.drop(packet, at: self, .noMapping)
        }
    }

    /// An error about a translated packet, for the host that had sent it; nil when no mapping is known.
    private func untranslated(_ packet: LabPacket, _ error: LabICMPError) -> LabPacket? {
        guard isTranslated(error), isExternal(error.source.address) else { return nil }
        let table = error.protocol == .udp ? udp : tcp4
        guard let inner = table.owner(of: error.source, remote: error.destination, at: lab.now.nanoseconds) else {
            return nil
        }
        var quoted = error
        quoted.source = inner
        var translated = packet
        translated.destination.address = inner.address
        translated.content = .icmp(quoted)
        return translated
    }

    private func isTranslated(_ error: LabICMPError) -> Bool {
        !error.isIPv6 && (error.protocol == .udp ? configuration.udp : configuration.tcp).policy == .translate
    }

    // MARK: Tables

    private func behavior(of packet: LabPacket) -> NATBehavior? {
        let isIPv6 = packet.source.address.isIPv6
        return switch packet.content {
        case .udp: isIPv6 ? configuration.ipv6 : configuration.udp
        case .tcp: isIPv6 ? configuration.ipv6 : configuration.tcp
        case .icmp: nil
        }
    }

    private func translateOut(_ packet: LabPacket, _ behavior: NATBehavior) -> NATVerdict {
        let now = lab.now.nanoseconds
        let isIPv6 = packet.source.address.isIPv6
        let pool = behavior.policy == .translate && !isIPv6 ? externalAddresses : []
        switch packet.content {
        case .udp:
            if isIPv6 {
                return udpV6.outbound(from: packet.source, to: packet.destination, nil, pool: pool, at: now)
            }
            return udp.outbound(from: packet.source, to: packet.destination, nil, pool: pool, at: now)
        case .tcp(let segment):
            if isIPv6 {
                return tcpV6.outbound(from: packet.source, to: packet.destination, segment, pool: pool, at: now)
            }
            return tcp4.outbound(from: packet.source, to: packet.destination, segment, pool: pool, at: now)
        case .icmp: return .drop(.icmp)
        }
    }

    private func translateIn(_ packet: LabPacket, filters: Bool) -> NATVerdict {
        let now = lab.now.nanoseconds
        let isIPv6 = packet.source.address.isIPv6
        switch packet.content {
        case .udp:
            if isIPv6 {
                return udpV6.inbound(to: packet.destination, from: packet.source, nil, filters: filters, at: now)
            }
            return udp.inbound(to: packet.destination, from: packet.source, nil, filters: filters, at: now)
        case .tcp(let segment):
            if isIPv6 {
                return tcpV6.inbound(to: packet.destination, from: packet.source, segment, filters: filters, at: now)
            }
            return tcp4.inbound(to: packet.destination, from: packet.source, segment, filters: filters, at: now)
        case .icmp: return .drop(.icmp)
        }
    }

    override func addressesChanged(_ number: Int) {
        super.addressesChanged(number)
        let outside = interfaces.filter { $0.side == .outside }.flatMap(\.addresses).map(\.address)
        externalAddresses = outside.filter { !$0.isIPv6 }
        outsideAddresses = outside.map { AddressKey($0) }
        outsideInterface = interfaces.firstIndex { $0.side == .outside } ?? 0
    }

    private func isExternal(_ address: IPAddress) -> Bool {
        let key = AddressKey(address)
        for own in outsideAddresses where own == key { return true }
        return false
    }

    private func isOwnFlow(_ packet: LabPacket) -> Bool {
        guard !ownFlows.isEmpty else { return false }
        let key = NATTable.OutKey(internal: EndpointKey(packet.destination), remote: EndpointKey(packet.source))
        return (ownFlows[key] ?? 0) > lab.now.nanoseconds
    }

    /// Calls `body` with the table of a protocol and family.
    func withTable<Result>(_ protocol: LabProtocol, isIPv6: Bool, _ body: (inout NATTable) -> Result) -> Result {
        switch (`protocol`, isIPv6) {
        case (.tcp, false): body(&tcp4)
        case (.tcp, true): body(&tcpV6)
        case (_, false): body(&udp)
        case (_, true): body(&udpV6)
        }
    }
}
