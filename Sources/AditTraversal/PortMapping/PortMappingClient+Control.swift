// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// NAT-PMP and PCP.
extension PortMappingClient {
    /// Asks which of the two the router speaks.
    mutating func knock(_ index: Int, _ now: Instant) {
        guard controls[index].isOpen else { return }
        if controls[index].pcp == .unknown { announce(index, tries: 4, now) }
        if controls[index].natPMP == .unknown { askExternalAddress(index, tries: 4, now) }
    }

    mutating func announce(_ index: Int, tries: Int, _ now: Instant) {
        var bytes: [UInt8] = []
        PCPRequest(lifetime: 0, client: controls[index].local, body: .announce).encode(into: &bytes)
        controls[index].ask(.announce, bytes, tries: tries, at: now)
    }

    mutating func askExternalAddress(_ index: Int, tries: Int, _ now: Instant) {
        var bytes: [UInt8] = []
        NATPMPRequest.externalAddress.encode(into: &bytes)
        controls[index].ask(.externalAddress, bytes, tries: tries, at: now)
    }

    /// Asks for a port, or with a lifetime of 0 for its removal.
    mutating func askControl(
        _ number: Int,
        _ name: PortMappingProtocol,
        lifetime: UInt32,
        tries: Int,
        _ now: Instant
    ) {
        let lease = leases[number]
        guard let index = controls.firstIndex(where: { $0.isIPv6 == lease.isIPv6 }) else { return }
        var bytes: [UInt8] = []
        let port = lifetime == 0 ? 0 : (lease.grant?.external.port ?? lease.wanted)
        if name == .pcp {
            let any: IPAddress = lease.isIPv6 ? .v6(high: 0, low: 0) : .v4(0)
            let map = PCPMap(
                nonce: lease.nonce,
                transport: lease.wish.transport,
                internalPort: lease.wish.internalPort,
                externalPort: port,
                externalAddress: lifetime == 0 ? any : lease.grant?.external.address ?? any
            )
            PCPRequest(
                lifetime: lifetime,
                client: controls[index].local,
                body: .map(map),
                options: lease.wish.isExact && lifetime != 0 ? [.preferFailure] : []
            ).encode(into: &bytes)
        } else {
            NATPMPRequest.map(
                lease.wish.transport,
                internalPort: lease.wish.internalPort,
                externalPort: port,
                lifetime: lifetime
            ).encode(into: &bytes)
        }
        let purpose: PortControl.Purpose = lifetime == 0 ? .remove(lease: number, name) : .map(lease: number, name)
        controls[index].ask(purpose, bytes, tries: tries, at: now)
    }

    /// Sends what is due, and gives up what was sent often enough.
    mutating func sendDue(_ now: Instant) {
        for index in controls.indices {
            while let due = controls[index].due(at: now) {
                if let bytes = due.send {
                    emit(.send(controls[index].socket, bytes, to: controls[index].router, timeToLive: nil))
                }
                if let purpose = due.expired { expired(purpose, index, now) }
            }
        }
    }

    private mutating func expired(_ purpose: PortControl.Purpose, _ index: Int, _ now: Instant) {
        switch purpose {
        case .announce:
            if controls[index].pcp == .unknown { controls[index].pcp = .absent }
        case .externalAddress:
            if controls[index].natPMP == .unknown { controls[index].natPMP = .absent }
        case .map(let lease, let name):
            if leases[lease].state == .asking(name) { refuse(lease, name, .noAnswer, now) }
        case .remove: break
        }
    }

    /// Takes a datagram; only the router's own count.
    mutating func receivedControl(_ index: Int, _ bytes: [UInt8], from sender: IPEndpoint, _ now: Instant) {
        guard sender == controls[index].router, let version = bytes.first else { return }
        if version == 0, let answer = try? NATPMPResponse.decode(bytes.span.bytes) {
            receivedNATPMP(index, answer, now)
        } else if version != 0, let answer = try? PCPResponse.decode(bytes.span.bytes) {
            receivedPCP(index, answer, now)
        }
    }

    // MARK: NAT-PMP

    private mutating func receivedNATPMP(_ index: Int, _ answer: NATPMPResponse, _ now: Instant) {
        if answer.result == .unsupportedVersion {
            // What a router that speaks NAT-PMP alone says to PCP (RFC 6887 section 9).
            guard controls[index].pcp == .unknown else { return }
            controls[index].pcp = .absent
            _ = controls[index].finish(.announce)
            return
        }
        switch answer.body {
        case .externalAddress(let address):
            guard controls[index].finish(.externalAddress) else { return }
            let isRestart = controls[index].natPMPEpoch.hasRestarted(answer.epoch, at: now)
            controls[index].externalAddress = address.isUnspecified ? nil : address
            opens(index, .natPMP)
            if isRestart { restarted(.natPMP, isIPv6: controls[index].isIPv6) }
            addressChanged(index, address)
        case .map(let transport, let internalPort, let externalPort, let lifetime):
            receivedNATPMPMapping(index, answer, transport, internalPort, externalPort, lifetime, now)
        case .failed(0):
            guard controls[index].finish(.externalAddress) else { return }
            if answer.result == .unsupportedOpcode {
                if controls[index].natPMP == .unknown { controls[index].natPMP = .absent }
            } else {
                opens(index, .natPMP)
            }
        case .failed(let opcode):
            // Its fields mean nothing; requests wait for each other, so it is about the first one.
            guard let purpose = controls[index].exchanges.first(where: { $0.purpose.protocol == .natPMP })?.purpose
            else { return }
            let transport: PortMappingTransport = opcode == 1 ? .udp : .tcp
            switch purpose {
            case .map(let lease, _) where leases[lease].wish.transport == transport:
                _ = controls[index].finish(purpose)
                refuse(lease, .natPMP, Self.reason(answer.result), now)
            case .remove(let lease, _) where leases[lease].wish.transport == transport:
                _ = controls[index].finish(purpose)
            default: break
            }
        }
    }

    private mutating func receivedNATPMPMapping(
        _ index: Int,
        _ answer: NATPMPResponse,
        _ transport: PortMappingTransport,
        _ internalPort: UInt16,
        _ externalPort: UInt16,
        _ lifetime: UInt32,
        _ now: Instant
    ) {
        for number in leases.indices
        where leases[number].isIPv6 == controls[index].isIPv6 && leases[number].wish.transport == transport
            && leases[number].wish.internalPort == internalPort
        {
            if lifetime == 0, controls[index].finish(.remove(lease: number, .natPMP)) { return removed(number) }
            guard controls[index].finish(.map(lease: number, .natPMP)) else { continue }
            if controls[index].natPMPEpoch.hasRestarted(answer.epoch, at: now) {
                restarted(.natPMP, isIPv6: controls[index].isIPv6, except: number)
            }
            granted(
                number,
                .natPMP,
                router: controls[index].router.address,
                inside: controls[index].local,
                external: IPEndpoint(controls[index].externalAddress ?? .v4(0), externalPort),
                lifetime: lifetime,
                now
            )
            return
        }
    }

    /// The router's address outside is another one: what was told is told anew.
    private mutating func addressChanged(_ index: Int, _ address: IPAddress) {
        for number in leases.indices
        where leases[number].isIPv6 == controls[index].isIPv6 && leases[number].state == .held
            && leases[number].grant?.protocol == .natPMP && leases[number].grant?.external.address != address
        {
            leases[number].grant?.external.address = address
            leases[number].verification = nil
        }
    }

    // MARK: PCP

    private mutating func receivedPCP(_ index: Int, _ answer: PCPResponse, _ now: Instant) {
        guard answer.version == PCPMessage.version else { return }
        if answer.result == .unsupportedVersion {
            // What a router that speaks PCP alone says to NAT-PMP.
            if controls[index].natPMP == .unknown { controls[index].natPMP = .absent }
            _ = controls[index].finish(.externalAddress)
            return
        }
        switch answer.body {
        case .announce:
            guard controls[index].finish(.announce) else { return }
            let isRestart = controls[index].pcpEpoch.hasRestarted(answer.epoch, at: now)
            opens(index, .pcp)
            if isRestart { restarted(.pcp, isIPv6: controls[index].isIPv6) }
        case .map(let map): receivedPCPMapping(index, answer, map, now)
        case .other: break
        }
    }

    private mutating func receivedPCPMapping(_ index: Int, _ answer: PCPResponse, _ map: PCPMap, _ now: Instant) {
        guard
            let number = leases.firstIndex(where: {
                $0.isIPv6 == controls[index].isIPv6 && ConstantTime.equal($0.nonce.bytes, map.nonce.bytes)
            }), leases[number].wish.transport == map.transport, leases[number].wish.internalPort == map.internalPort,
            !answer.options.contains(where: { if case .thirdParty = $0 { true } else { false } })
        else { return }
        if controls[index].finish(.remove(lease: number, .pcp)) {
            if answer.result == .success { removed(number) }
            return
        }
        guard controls[index].finish(.map(lease: number, .pcp)) else { return }
        if controls[index].pcpEpoch.hasRestarted(answer.epoch, at: now) {
            restarted(.pcp, isIPv6: controls[index].isIPv6, except: number)
        }
        guard answer.result == .success else { return refuse(number, .pcp, Self.reason(answer.result), now) }
        granted(
            number,
            .pcp,
            router: controls[index].router.address,
            inside: controls[index].local,
            external: IPEndpoint(map.externalAddress, map.externalPort),
            lifetime: answer.lifetime,
            now
        )
    }

    private mutating func opens(_ index: Int, _ name: PortMappingProtocol) {
        if name == .pcp { controls[index].pcp = .present } else { controls[index].natPMP = .present }
        tellFound(
            PortMappingRouter(
                protocol: name,
                address: controls[index].router.address,
                external: name == .natPMP ? controls[index].externalAddress : nil,
                name: ""
            )
        )
    }

    mutating func tellFound(_ router: PortMappingRouter) {
        guard found.count < 16, found.insert(router).inserted else { return }
        emit(.event(.found(router)))
    }

    private static func reason(_ result: NATPMPResult) -> PortMappingRefusal.Reason {
        switch result {
        case .notAuthorized: .notAuthorized
        case .networkFailure: .notConnected
        case .outOfResources: .noResources
        case .unsupportedOpcode, .unsupportedVersion: .unsupported
        default: .failed(code: Int(result.rawValue))
        }
    }

    private static func reason(_ result: PCPResult) -> PortMappingRefusal.Reason {
        switch result {
        case .notAuthorized: .notAuthorized
        case .networkFailure: .notConnected
        case .noResources, .userExceededQuota: .noResources
        case .cannotProvideExternal: .portTaken
        case .addressMismatch: .addressMismatch
        case .unsupportedOpcode, .unsupportedVersion, .unsupportedOption, .unsupportedProtocol: .unsupported
        default: .failed(code: Int(result.rawValue))
        }
    }
}
