// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A mapping as a router's status page lists it.
package struct LabMapping: Sendable, Hashable {
    /// The endpoint inside.
    package var `internal`: IPEndpoint
    /// The endpoint outside.
    package var external: IPEndpoint
    /// When it ends unless it is refreshed; nil for never.
    package var expiry: Instant?
    /// Whether it was installed, not made by a packet.
    package var isExplicit: Bool
}

extension LabNAT {
    /// Installs a mapping through which everybody may send, as PCP, NAT-PMP, UPnP or a person at the router's page do.
    ///
    /// The same mapping again renews it, and an internal endpoint has one at most. What the inside sends from that
    /// endpoint leaves by it. False when the external port belongs to another internal endpoint, or the external
    /// address is not this router's. For IPv6, and where the box only filters, external and internal are the same. A
    /// nil lifetime has no end.
    package func addMapping(
        _ protocol: LabProtocol,
        external: IPEndpoint,
        internal inner: IPEndpoint,
        lifetime: Duration? = nil
    ) -> Bool {
        let isIPv6 = inner.address.isIPv6
        guard external == inner || externalAddresses.contains(external.address) else { return false }
        return withTable(`protocol`, isIPv6: isIPv6) { table in
            table.install(external, to: inner, lifetime: lifetime, at: lab.now.nanoseconds)
        }
    }

    /// Takes an installed mapping away; false when there is none.
    @discardableResult
    package func removeMapping(_ protocol: LabProtocol, external: IPEndpoint) -> Bool {
        withTable(`protocol`, isIPv6: external.address.isIPv6) { $0.uninstall(external) }
    }

    /// The mappings that live, of one protocol over both families.
    package func mappings(_ protocol: LabProtocol) -> [LabMapping] {
        let now = lab.now.nanoseconds
        return [false, true].flatMap { isIPv6 in
            withTable(`protocol`, isIPv6: isIPv6) { table in
                table.live(at: now).map { mapping in
                    LabMapping(
                        internal: mapping.internal,
                        external: mapping.external,
                        expiry: mapping.expiry == .max ? nil : Instant(nanoseconds: mapping.expiry),
                        isExplicit: mapping.isExplicit
                    )
                }
            }
        }
    }

    /// How many flows of a protocol are known over IPv4.
    package func flowCount(_ protocol: LabProtocol) -> Int {
        withTable(`protocol`, isIPv6: false) { $0.flowCount(at: lab.now.nanoseconds) }
    }

    /// Forgets everything, as after a loss of power; installed mappings too unless they are kept.
    package func reboot(keepingMappings isKept: Bool = false) {
        for family in [false, true] {
            for carried in [LabProtocol.udp, .tcp] {
                let kept = withTable(carried, isIPv6: family) {
                    $0.forget(keepingExplicit: isKept, at: lab.now.nanoseconds)
                }
                for mapping in kept { restore(mapping, carried, external: mapping.external) }
            }
        }
    }

    /// Gets other external addresses from its provider: every mapping dies, installed ones move to the new address.
    package func renumber(_ addresses: InterfaceAddress..., interface: Int? = nil) {
        guard let number = interface ?? interfaces.firstIndex(where: { $0.side == .outside }),
            let first = addresses.first(where: { !$0.address.isIPv6 })?.address
        else { return }
        changeAddresses(addresses, interface: number)
        for carried in [LabProtocol.udp, .tcp] {
            let kept = withTable(carried, isIPv6: false) {
                $0.forget(keepingExplicit: true, at: lab.now.nanoseconds)
            }
            for mapping in kept { restore(mapping, carried, external: IPEndpoint(first, mapping.external.port)) }
        }
    }

    private func restore(_ mapping: NATTable.Mapping, _ carried: LabProtocol, external: IPEndpoint) {
        let left = mapping.expiry == .max ? nil : Duration.nanoseconds(mapping.expiry - lab.now.nanoseconds)
        _ = addMapping(
            carried,
            external: mapping.internal == mapping.external ? mapping.external : external,
            internal: mapping.internal,
            lifetime: left
        )
    }
}
