// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import NIOConcurrencyHelpers

extension TunnelTable {
    /// Replaces what is known of leases by what the store says, so that owners who are away keep what is theirs.
    func load(names: [NameLease], ports: [PortLease]) {
        box.withLockedValue { state in
            for lease in state.nameLeases.values {
                Self.host(of: lease.name, domain: state.domain).map { state.registry.cancelReservation($0) }
            }
            for port in state.portLeases.keys { state.registry.cancelReservation(port.kind, port.number) }
            state.nameLeases = [:]
            state.portLeases = [:]
            for lease in names { Self.keep(lease, in: &state) }
            for lease in ports { Self.keep(lease, in: &state) }
        }
    }

    /// Notes a lease that the store has written.
    func keep(_ lease: NameLease) {
        box.withLockedValue { Self.keep(lease, in: &$0) }
    }

    /// Notes a lease that the store has written.
    func keep(_ lease: PortLease) {
        box.withLockedValue { Self.keep(lease, in: &$0) }
    }

    /// The lease of a name; nil when nobody holds it.
    func lease(ofName name: String) -> NameLease? {
        box.withLockedValue { $0.nameLeases[name] }
    }

    /// The lease of a port; nil when nobody holds it.
    func lease(of port: PublicPort) -> PortLease? {
        box.withLockedValue { $0.portLeases[port] }
    }

    /// Free names that resemble a refused one.
    func names(like name: String, for session: ServerSession) -> [String] {
        let owner = session.identity.owner(runID: session.runID)
        return box.withLockedValue { state in
            guard let domain = state.domain else { return [] }
            let registry = state.registry
            return TunnelName.alternatives(to: name, using: &state.names) { candidate in
                HostName(candidate + "." + domain).map { registry.isFree($0, for: owner) } ?? false
            }
        }
    }

    /// The ports in use, so that their leases can be renewed.
    var portsInUse: [PublicPort] {
        box.withLockedValue { $0.tunnels.values.flatMap(\.ports) }
    }

    /// The names in use, so that their leases can be renewed.
    var namesInUse: [String] {
        box.withLockedValue { $0.tunnels.values.flatMap { $0.hosts.map(\.leaseName) } }
    }

    /// The lease under which a host is kept: by label in front of the server's domain, by whole name elsewhere.
    static func leaseName(of host: HostName, domain: String?) -> String {
        guard let domain, host.text.hasSuffix("." + domain) else { return host.text }
        return String(host.text.dropLast(domain.utf8.count + 1))
    }

    private static func host(of leaseName: String, domain: String?) -> HostName? {
        if leaseName.contains(".") { return HostName(leaseName) }
        return domain.flatMap { HostName(leaseName + "." + $0) }
    }

    private static func keep(_ lease: NameLease, in state: inout State) {
        guard let key = Hexadecimal.decode(lease.device) else { return }
        state.nameLeases[lease.name] = lease
        if let host = host(of: lease.name, domain: state.domain) {
            state.registry.reserve(host, for: .device(key: key))
        }
    }

    private static func keep(_ lease: PortLease, in state: inout State) {
        guard let key = Hexadecimal.decode(lease.device) else { return }
        state.portLeases[PublicPort(lease.kind, lease.port)] = lease
        state.registry.reserve(lease.kind, lease.port, for: .device(key: key))
    }
}
