// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
import NIOCore

extension TunnelTable {
    /// The port for a tunnel that asked for none: its earlier one when that is free, else one from the pool.
    ///
    /// When every port of the pool is leased, the lease that was unused for longest gives its port up. nil when all are in use.
    func choosePort(
        _ kinds: [PortKind] = [.tcp],
        sticky: [UInt16],
        request: FRPNewProxy,
        session: ServerSession,
        busy: Set<UInt16>,
        at now: Instant
    ) -> UInt16? {
        let owner = session.identity.owner(runID: session.runID)
        return box.withLockedValue { state in
            let registry = state.registry
            let own = registry.tunnel(named: request.proxyName, of: owner).flatMap { registry[$0]?.resources } ?? []
            let isFree = { (port: UInt16) -> Bool in
                !busy.contains(port)
                    && kinds.allSatisfy { registry.isFree($0, port, for: owner) || own.contains(.port($0, port)) }
            }
            if let earlier = sticky.first(where: { state.pool.contains($0) && isFree($0) }) { return earlier }
            let isUnleased = { (port: UInt16) -> Bool in
                isFree(port) && kinds.allSatisfy { state.portLeases[PublicPort($0, port)] == nil }
            }
            var pool = state.pool
            var generator = state.generator
            defer {
                state.pool = pool
                state.generator = generator
            }
            let name = owner.isDevice ? Hexadecimal.encode(Self.bytes(owner)) + request.proxyName : request.proxyName
            if let port = pool.choose(for: name, at: now, using: &generator, isFree: isUnleased) { return port }
            let unused = state.portLeases.values.sorted { ($0.lastUsed, $0.port) < ($1.lastUsed, $1.port) }
            for lease in unused
            where kinds.contains(lease.kind) && pool.contains(lease.port) && !busy.contains(lease.port) {
                let ports = kinds.map { PublicPort($0, lease.port) }
                guard !state.tunnels.values.contains(where: { $0.ports.contains(where: ports.contains) }) else {
                    continue
                }
                for port in ports {
                    state.portLeases[port] = nil
                    state.registry.cancelReservation(port.kind, port.number)
                }
                return lease.port
            }
            return nil
        }
    }

    /// Free ports near one that was refused.
    func portsNear(_ port: UInt16, _ kinds: [PortKind], for session: ServerSession) -> [UInt16] {
        let owner = session.identity.owner(runID: session.runID)
        return box.withLockedValue { state in
            state.pool.alternatives(to: port) { port in
                kinds.allSatisfy { state.registry.isFree($0, port, for: owner) }
            }
        }
    }

    /// How many ports a session holds.
    func portCount(of session: ServerSession) -> Int {
        box.withLockedValue { state in
            state.tunnels.values.reduce(0) { $0 + ($1.session === session ? $1.ports.count : 0) }
        }
    }

    private static func bytes(_ owner: TunnelOwner) -> [UInt8] {
        if case .device(let key) = owner { key } else { [] }
    }
}
