// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What the router's service says.
extension PortMappingClient {
    /// How many external ports are tried when the wanted one is another's.
    private static var conflictLimit: Int { 8 }

    mutating func finished(_ call: UPnPDoor.Call, _ result: UPnPResult, _ now: Instant) {
        switch call.purpose {
        case .status: finishedStatus(result)
        case .externalAddress: finishedExternalAddress(result)
        case .map(let lease): finishedMapping(lease, call, result, now)
        case .owner(let lease): finishedOwner(lease, result, now)
        case .clear(let lease): callMapping(lease)
        case .remove(let lease):
            switch result {
            case .values, .fault(.noSuchEntry): removed(lease)
            case .fault: break
            }
        case .check(let lease): finishedCheck(lease, result)
        }
    }

    private mutating func finishedStatus(_ result: UPnPResult) {
        guard upnp.state == .unknown else { return }
        if case .values = result, let status = result.value("NewConnectionStatus"), status != "Connected" {
            // A router has several services, of which one is used.
            upnp.wasDisconnected = true
            upnp.service = nil
            upnp.calls = []
            return
        }
        upnp.calls.insert(UPnPDoor.Call(purpose: .externalAddress, action: .getExternalIPAddress), at: 0)
    }

    private mutating func finishedExternalAddress(_ result: UPnPResult) {
        let address = result.value("NewExternalIPAddress").flatMap { IPAddress($0) } ?? .v4(0)
        upnp.externalAddress = address.isUnspecified ? nil : address
        if upnp.state == .unknown, let service = upnp.service {
            upnp.state = .present
            tellFound(
                PortMappingRouter(
                    protocol: .upnp,
                    address: service.location.endpoint.address,
                    external: upnp.externalAddress,
                    name: upnp.name
                )
            )
        }
        for index in leases.indices
        where leases[index].state == .held && leases[index].grant?.protocol == .upnp
            && leases[index].grant?.external.address != address
        {
            leases[index].grant?.external.address = address
            leases[index].verification = nil
        }
    }

    /// Asks for the wanted port; of IGD:2, where another will do too, for that one or any.
    mutating func callMapping(_ index: Int) {
        let lease = leases[index]
        guard withdrawUntil == nil, let service = upnp.service, let client = upnp.local else { return }
        let isPermanent = lease.isPermanent || upnp.onlyPermanent
        let mapping = UPnPPortMapping(
            lease.wish.transport,
            externalPort: lease.grant?.external.port ?? lease.wanted,
            internalPort: lease.wish.internalPort,
            client: client,
            description: configuration.label,
            lease: isPermanent ? 0 : lease.wish.lifetime
        )
        let mayDiffer = service.kind == .ip2 && !lease.wish.isExact && upnp.hasAddAny && lease.grant == nil
        upnp.add(
            UPnPDoor.Call(
                purpose: .map(lease: index),
                action: mayDiffer ? .addAnyPortMapping(mapping) : .addPortMapping(mapping)
            )
        )
    }

    private mutating func finishedMapping(_ index: Int, _ call: UPnPDoor.Call, _ result: UPnPResult, _ now: Instant) {
        let asked: UPnPPortMapping
        switch call.action {
        case .addPortMapping(let mapping), .addAnyPortMapping(let mapping): asked = mapping
        default: return
        }
        if withdrawUntil != nil {
            // It was on its way when the end began.
            let port = result.value("NewReservedPort").flatMap { UInt16($0) } ?? asked.externalPort
            if case .values = result { remove(index, .upnp, port: port, now) }
            return
        }
        switch result {
        case .values:
            var port = asked.externalPort
            if case .addAnyPortMapping = call.action {
                port = result.value("NewReservedPort").flatMap { UInt16($0) } ?? 0
            }
            granted(
                index,
                .upnp,
                router: upnp.service?.location.endpoint.address ?? .v4(0),
                inside: asked.client,
                external: IPEndpoint(upnp.externalAddress ?? .v4(0), port),
                lifetime: asked.lease == 0 ? nil : asked.lease,
                now
            )
        case .fault(let fault): refused(index, asked, fault, now)
        }
    }

    private mutating func refused(_ index: Int, _ asked: UPnPPortMapping, _ fault: UPnPFault, _ now: Instant) {
        switch fault {
        case .onlyPermanentLeasesSupported where asked.lease != 0:
            upnp.onlyPermanent = true
            callMapping(index)
        case .invalidAction where upnp.hasAddAny:
            upnp.hasAddAny = false
            callMapping(index)
        case .invalidArguments where asked.lease != 0, .actionFailed where asked.lease != 0:
            // Some routers say so what 725 is for.
            leases[index].isPermanent = true
            callMapping(index)
        case .conflictInMappingEntry, .conflictWithOtherMechanisms:
            conflict(index, asked, now)
        case .samePortValuesRequired
        where asked.externalPort != asked.internalPort && !leases[index].wish.isExact && leases[index].grant == nil:
            leases[index].wanted = asked.internalPort
            callMapping(index)
        case .notAuthorized: refuse(index, .upnp, .notAuthorized, now)
        case .noPortMapsAvailable: refuse(index, .upnp, .noResources, now)
        case .samePortValuesRequired, .remoteHostOnlySupportsWildcard, .externalPortOnlySupportsWildcard,
            .invalidAction, .onlyPermanentLeasesSupported:
            refuse(index, .upnp, .unsupported, now)
        default: refuse(index, .upnp, .failed(code: Int(fault.rawValue)), now)
        }
    }

    private mutating func conflict(_ index: Int, _ asked: UPnPPortMapping, _ now: Instant) {
        guard leases[index].grant == nil else { return lose(index, .takenAway) }
        leases[index].conflictCount += 1
        if leases[index].conflictCount == 1 {
            upnp.add(
                UPnPDoor.Call(
                    purpose: .owner(lease: index),
                    action: .getSpecificPortMappingEntry(asked.transport, externalPort: asked.externalPort)
                )
            )
        } else {
            tryAnotherPort(index, now)
        }
    }

    private mutating func tryAnotherPort(_ index: Int, _ now: Instant) {
        guard !leases[index].wish.isExact, leases[index].conflictCount <= Self.conflictLimit else {
            return refuse(index, .upnp, .portTaken, now)
        }
        leases[index].wanted = UInt16(20_000 + random.next() % 40_000)
        callMapping(index)
    }

    private mutating func finishedOwner(_ index: Int, _ result: UPnPResult, _ now: Instant) {
        guard leases[index].state == .asking(.upnp) else { return }
        if let client = result.value("NewInternalClient").flatMap({ IPAddress($0) }), client == upnp.local,
            result.value("NewInternalPort").flatMap({ UInt16($0) }) == leases[index].wish.internalPort
        {
            // This machine's own, of a run that could not clean up.
            upnp.add(
                UPnPDoor.Call(
                    purpose: .clear(lease: index),
                    action: .deletePortMapping(leases[index].wish.transport, externalPort: leases[index].wanted)
                )
            )
        } else {
            tryAnotherPort(index, now)
        }
    }

    private mutating func finishedCheck(_ index: Int, _ result: UPnPResult) {
        guard leases[index].state == .held, leases[index].grant?.protocol == .upnp else { return }
        switch result {
        case .fault(.noSuchEntry): lose(index, .routerRestarted)
        case .fault: break
        case .values:
            guard let client = result.value("NewInternalClient").flatMap({ IPAddress($0) }), client != upnp.local
            else { return }
            lose(index, .takenAway)
        }
    }
}
