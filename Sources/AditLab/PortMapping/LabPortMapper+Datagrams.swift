// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// NAT-PMP and PCP.
extension LabPortMapper {
    func answer(_ bytes: [UInt8], from sender: IPEndpoint) -> [UInt8]? {
        guard let version = bytes.first else { return nil }
        var reply: [UInt8] = []
        if version == 0 {
            guard configuration.protocols.contains(.natPMP) else {
                PCPResponse(result: .unsupportedVersion, lifetime: 0, epoch: epoch, body: .announce)
                    .encode(into: &reply)
                return reply
            }
            guard let request = try? NATPMPRequest.decode(bytes.span.bytes) else { return nil }
            natPMP(request, from: sender).encode(into: &reply)
        } else if configuration.protocols.contains(.pcp) {
            guard let request = try? PCPRequest.decode(bytes.span.bytes) else { return nil }
            pcp(request, from: sender).encode(into: &reply)
        } else {
            let opcode = bytes.count > 1 ? bytes[1] & 127 : 0
            NATPMPResponse(result: .unsupportedVersion, epoch: epoch, body: .failed(opcode: opcode))
                .encode(into: &reply)
        }
        return reply
    }

    private func natPMP(_ request: NATPMPRequest, from sender: IPEndpoint) -> NATPMPResponse {
        switch request {
        case .externalAddress:
            return NATPMPResponse(epoch: epoch, body: .externalAddress(externalAddress))
        case .map(let transport, let internalPort, let externalPort, let lifetime):
            let failed = NATPMPResponse.Body.failed(opcode: transport == .udp ? 1 : 2)
            let inside = IPEndpoint(sender.address, internalPort)
            if configuration.faults.contains(.refusesAll) {
                return NATPMPResponse(result: .notAuthorized, epoch: epoch, body: failed)
            }
            if lifetime == 0 {
                if let place = place(of: inside, transport), !close(place) {
                    return NATPMPResponse(result: .notAuthorized, epoch: epoch, body: failed)
                }
                let body = NATPMPResponse.Body.map(transport, internalPort: internalPort, externalPort: 0, lifetime: 0)
                return NATPMPResponse(epoch: epoch, body: body)
            }
            let own = place(of: inside, transport)?.port
            let port = own ?? freePort(transport, near: externalPort, for: inside)
            let entry = Entry(inside: inside, nonce: nil, expiresAt: nil, label: "")
            guard let granted = open(Place(transport, port), entry, by: .natPMP, lifetime: lifetime) else {
                return NATPMPResponse(result: .outOfResources, epoch: epoch, body: failed)
            }
            return NATPMPResponse(
                epoch: epoch,
                body: .map(transport, internalPort: internalPort, externalPort: port, lifetime: bent(granted))
            )
        }
    }

    private func pcp(_ request: PCPRequest, from sender: IPEndpoint) -> PCPResponse {
        func response(_ result: PCPResult, _ lifetime: UInt32 = 0, _ body: PCPBody) -> PCPResponse {
            PCPResponse(result: result, lifetime: lifetime, epoch: epoch, body: body)
        }
        guard request.client == sender.address else { return response(.addressMismatch, 0, request.body) }
        guard case .map(var map) = request.body else {
            if case .announce = request.body { return response(.success, 0, .announce) }
            return response(.unsupportedOpcode, 0, request.body)
        }
        if configuration.faults.contains(.wrongNonce) { map.nonce.low ^= 1 }
        if request.options.contains(where: { if case .thirdParty = $0 { true } else { false } }) {
            return response(.unsupportedOption, 0, .map(map))
        }
        if configuration.faults.contains(.refusesAll) { return response(.notAuthorized, 0, .map(map)) }
        let inside = IPEndpoint(sender.address, map.internalPort)
        let own = place(of: inside, map.transport)
        if request.lifetime == 0 {
            if let own {
                guard entry(own)?.nonce == map.nonce, close(own) else { return response(.notAuthorized, 0, .map(map)) }
            }
            return response(.success, 0, .map(map))
        }
        if let own, let nonce = entry(own)?.nonce, nonce != map.nonce { return response(.notAuthorized, 0, .map(map)) }
        let port = own?.port ?? freePort(map.transport, near: map.externalPort, for: inside)
        if request.options.contains(.preferFailure), port != map.externalPort {
            return response(.cannotProvideExternal, 0, .map(map))
        }
        let entry = Entry(inside: inside, nonce: map.nonce, expiresAt: nil, label: "")
        guard let granted = open(Place(map.transport, port), entry, by: .pcp, lifetime: request.lifetime) else {
            return response(.noResources, 0, .map(map))
        }
        map.externalPort = port
        map.externalAddress = externalAddress
        return response(.success, bent(granted), .map(map))
    }

    private func bent(_ lifetime: UInt32) -> UInt32 {
        if configuration.faults.contains(.grantsNothing) { return 0 }
        return configuration.faults.contains(.grantsForever) ? .max : lifetime
    }
}
