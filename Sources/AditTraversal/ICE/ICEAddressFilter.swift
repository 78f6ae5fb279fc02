// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// At which addresses an agent may aim, whatever a peer tells.
///
/// A peer is trusted with its own packets only: a candidate must not turn this machine's checks against itself, its
/// network or a third party.
package struct ICEAddressFilter: Sendable, Equatable {
    /// Our own addresses: those of the interfaces, and those that servers saw.
    package var own: [IPAddress]
    /// Addresses that are known to be friendly, such as those of the server: silence of theirs is not counted.
    package var trusted: [IPAddress]
    /// Whether 127.0.0.0/8 and ::1 are candidates; for two agents on one machine.
    package var allowsLoopback: Bool

    /// Makes a filter.
    package init(own: [IPAddress] = [], trusted: [IPAddress] = [], allowsLoopback: Bool = false) {
        self.own = own
        self.trusted = trusted
        self.allowsLoopback = allowsLoopback
    }

    /// Why an endpoint is not aimed at.
    package enum Refusal: Sendable, Hashable, CaseIterable {
        /// Port 0, or one on which another service is to be expected.
        case port
        /// 127.0.0.0/8 or ::1.
        case loopback
        /// 0.0.0.0/8 or `::`.
        case unspecified
        /// 224.0.0.0/4, 240.0.0.0/4, 255.255.255.255, or ff00::/8.
        case multicast
        /// A link-local address of a link that this machine is not on, or the metadata service of a cloud.
        case linkLocal
        /// A private address where this machine has no private address of that kind.
        case notOurNetwork
    }

    /// Why the endpoint is not aimed at; nil when it may be.
    package func refusal(of endpoint: IPEndpoint, over transport: ICETransport = .udp) -> Refusal? {
        if let refusal = refusal(of: endpoint.address) { return refusal }
        if Self.isLikely(port: endpoint.port, over: transport) { return nil }
        return endpoint.port != 0 && trusted.contains(endpoint.address.unmapped) ? nil : .port
    }

    private func refusal(of address: IPAddress) -> Refusal? {
        let address = address.unmapped
        // A server on loopback is on this machine, and so are its relays; only through a relay are they reached.
        if address.isLoopback { return allowsLoopback || trusted.contains(address) ? nil : .loopback }
        if address.isUnspecified { return .unspecified }
        if trusted.contains(address) { return nil }
        if address.isMetadataService { return .linkLocal }
        switch address {
        case .v4(let number):
            if number >> 24 == 0 { return .unspecified }
            if number >> 28 >= 14 { return .multicast }
            if address.isLinkLocal {
                return own.contains { isV4($0) && $0.isLinkLocal } ? nil : .linkLocal
            }
        case .v6(let high, _):
            if high >> 56 == 0xFF { return .multicast }
            // Without a zone a link-local address names no link (RFC 4007 section 6).
            if address.isLinkLocal { return .linkLocal }
        }
        switch AddressRealm(address) {
        case .public: return nil
        case .carrier, .private:
            let mayBeOurs = own.contains { isV4($0) == isV4(address) && AddressRealm($0) != .public }
            return mayBeOurs ? nil : .notOurNetwork
        }
    }

    private func isV4(_ address: IPAddress) -> Bool {
        if case .v4 = address.unmapped { return true }
        return false
    }

    /// A NAT gives its users no well-known port (RFC 4787 section 4.2.2); 443 is where relays are.
    private static func isLikely(port: UInt16, over transport: ICETransport) -> Bool {
        if port < 1024 { return port == 443 || transport == .tcp && port == 80 }
        guard transport == .udp else { return true }
        switch port {
        // NFS, SSDP, MS-SQL, RADIUS, WS-Discovery, SIP, mDNS, CoAP, memcached: what answers with more than it was asked.
        case 1434, 1812, 1900, 2049, 3702, 5060, 5353, 5683, 11211: return false
        default: return true
        }
    }
}
