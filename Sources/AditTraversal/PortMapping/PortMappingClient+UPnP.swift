// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// UPnP: finding the router's service, and calling it.
extension PortMappingClient {
    var upnpDeadline: Instant? {
        guard upnp.socket != nil else { return nil }
        var deadlines = [upnp.pending?.deadline].compactMap { $0 }
        if upnp.state == .unknown {
            if upnp.searchesLeft > 0, let next = upnp.nextSearch { deadlines.append(next) }
            for end in [upnp.begunAt + UPnPDoor.gatewayTime, upnp.begunAt + UPnPDoor.searchTime] where end > clock {
                deadlines.append(end)
            }
        }
        return deadlines.min()
    }

    mutating func beginSearch(_ now: Instant) {
        guard upnp.state != .unknown || upnp.nextSearch == nil else { return }
        upnp.state = .unknown
        upnp.begunAt = now
        upnp.searchesLeft = 3
        upnp.nextSearch = now
        upnp.candidates = []
        upnp.seen = []
        upnp.services = []
        upnp.service = nil
        upnp.failures = 0
        upnp.wasDisconnected = false
    }

    /// Does what is due: searching, reading descriptions, calling.
    mutating func stepUPnP(_ now: Instant) {
        guard let socket = upnp.socket else { return }
        if let pending = upnp.pending, now >= pending.deadline {
            emit(.close(pending.id, isAbrupt: true))
            callFailed(now)
        }
        if upnp.state == .unknown, upnp.searchesLeft > 0, let next = upnp.nextSearch, now >= next {
            search(socket)
            upnp.searchesLeft -= 1
            upnp.nextSearch = now + .milliseconds(upnp.searchesLeft == 2 ? 500 : 1500)
        }
        guard upnp.pending == nil else { return }
        if let service = upnp.service, !upnp.calls.isEmpty {
            call(service, upnp.calls.removeFirst(), now)
        } else if upnp.state == .unknown, withdrawUntil == nil, upnp.nextSearch != nil {
            findService(now)
        } else if upnp.service == nil {
            upnp.calls = []
        }
    }

    private mutating func search(_ socket: SocketID) {
        for target in UPnPDoor.targets {
            var bytes: [UInt8] = []
            SSDPMessage.search(target: target, seconds: 2).encode(into: &bytes)
            emit(.send(socket, bytes, to: SSDPMessage.group, timeToLive: nil))
            // Wireless networks lose what is sent to groups.
            if let router = configuration.network.gateway {
                emit(.send(socket, bytes, to: IPEndpoint(router, SSDPMessage.group.port), timeToLive: nil))
            }
        }
    }

    private mutating func findService(_ now: Instant) {
        if upnp.service == nil, !upnp.services.isEmpty {
            upnp.service = upnp.services.removeFirst()
            upnp.calls = [UPnPDoor.Call(purpose: .status, action: .getStatusInfo)]
            return stepUPnP(now)
        }
        guard upnp.service == nil else { return }
        let router = configuration.network.gateway
        let mine = upnp.candidates.firstIndex { $0.endpoint.address == router }
        let isPatienceOver = now >= upnp.begunAt + UPnPDoor.gatewayTime
        if let index = mine ?? (isPatienceOver ? upnp.candidates.indices.first : nil) {
            let location = upnp.candidates.remove(at: index)
            start(
                .description(location),
                SocketRequest(
                    "GET",
                    to: location.endpoint,
                    host: location.endpoint.address.description,
                    path: location.path,
                    responseLimit: XMLElement.byteLimit
                ),
                now
            )
        } else if !upnp.isSearching(at: now) {
            upnp.state = .absent
            upnp.calls = []
            if upnp.wasDisconnected {
                for index in leases.indices where leases[index].state == .waiting && !leases[index].isIPv6 {
                    refuse(index, .upnp, .notConnected, now)
                }
            }
        }
    }

    private mutating func call(_ service: UPnPDoor.Service, _ call: UPnPDoor.Call, _ now: Instant) {
        var body: [UInt8] = []
        call.action.encode(for: service.kind, into: &body)
        start(
            .call(call),
            SocketRequest(
                "POST",
                to: service.location.endpoint,
                host: service.location.endpoint.address.description,
                path: service.location.path,
                fields: [
                    SocketField("Content-Type", "text/xml; charset=\"utf-8\""),
                    SocketField("SOAPAction", call.action.soapAction(service.kind)),
                ],
                body: body
            ),
            now
        )
    }

    private mutating func start(_ work: UPnPDoor.Work, _ request: SocketRequest, _ now: Instant) {
        let id = newSocket()
        upnp.pending = (id, work, now + UPnPDoor.patience)
        emit(.request(id, request))
    }

    /// An answer to a search: only from the local network, and only about the host that sent it.
    mutating func receivedSearchAnswer(_ bytes: [UInt8], from sender: IPEndpoint) {
        let router = configuration.network.gateway
        guard upnp.state == .unknown, sender.address == router || AddressRealm.isLocal(sender.address),
            let message = try? SSDPMessage.decode(bytes.span.bytes), message.kind == .response,
            message.field("ST")?.hasPrefix("urn:schemas-upnp-org:device:InternetGatewayDevice:") == true,
            let location = message.field("LOCATION").flatMap({ UPnPLocation($0) }),
            location.endpoint.address == sender.address, !upnp.seen.contains(location)
        else { return }
        // One place is kept for the router itself, whoever else is eager to answer.
        let limit = sender.address == router ? UPnPDoor.candidateLimit : UPnPDoor.candidateLimit - 1
        guard upnp.seen.count < limit else { return }
        upnp.seen.append(location)
        upnp.candidates.append(location)
    }

    mutating func answered(_ id: SocketID, _ response: SocketResponse, _ now: Instant) {
        guard let pending = upnp.pending, pending.id == id else { return }
        upnp.local = response.local.address.unmapped
        switch pending.work {
        case .description(let location):
            upnp.pending = nil
            guard response.status == 200, let description = try? UPnPDescription.decode(response.body.span.bytes)
            else { return }
            upnp.name = description.friendlyName
            for service in description.services {
                guard let place = location.resolve(service.controlURL, base: description.base) else { continue }
                upnp.services.append(UPnPDoor.Service(kind: service.kind, location: place))
            }
        case .call(let call):
            guard response.status == 200 || response.status == 500,
                let result = try? UPnPResult.decode(response.body.span.bytes, action: call.action.name)
            else { return callFailed(now) }
            upnp.pending = nil
            upnp.failures = 0
            finished(call, result, now)
        }
    }

    /// No answer, or none that can be read.
    mutating func callFailed(_ now: Instant) {
        guard let pending = upnp.pending else { return }
        upnp.pending = nil
        guard case .call(let call) = pending.work else { return }
        upnp.failures += 1
        switch call.purpose {
        case .status, .externalAddress:
            if upnp.state == .unknown {
                upnp.service = nil
                upnp.calls = []
            }
        case .map(let lease), .owner(let lease), .clear(let lease):
            if leases[lease].state == .asking(.upnp) { refuse(lease, .upnp, .noAnswer, now) }
        case .remove, .check: break
        }
        // A router that started anew may serve its description at another port.
        guard upnp.failures >= 2, upnp.state == .present, withdrawUntil == nil else { return }
        upnp.calls = []
        for index in leases.indices where leases[index].state == .asking(.upnp) { refuse(index, .upnp, .noAnswer, now) }
        upnp.nextSearch = nil
        beginSearch(now)
    }

    mutating func checkUPnP() {
        guard upnp.state == .present, leases.contains(where: { $0.grant?.protocol == .upnp }) else { return }
        upnp.add(UPnPDoor.Call(purpose: .externalAddress, action: .getExternalIPAddress))
        for index in leases.indices {
            guard let grant = leases[index].grant, grant.protocol == .upnp else { continue }
            upnp.add(
                UPnPDoor.Call(
                    purpose: .check(lease: index),
                    action: .getSpecificPortMappingEntry(
                        leases[index].wish.transport,
                        externalPort: grant.external.port
                    )
                )
            )
        }
    }
}
