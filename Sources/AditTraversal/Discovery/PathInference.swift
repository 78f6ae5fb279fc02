// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads the number of NATs, and whether one is the carrier's, off the way to the server.
struct PathInference {
    /// Who an address belongs to, as far as a change along the way shows a NAT.
    private enum Network: Hashable {
        case home(UInt32)
        case large(UInt32)
        case carrier
        case `public`

        init(_ address: IPAddress) {
            switch (AddressRealm(address), address.unmapped) {
            case (.public, _): self = .public
            case (.carrier, _): self = .carrier
            // Two routers at home have two networks of 192.168; larger private ranges are routed as one.
            case (.private, .v4(let number)):
                self = number >> 16 == 0xC0A8 ? .home(number >> 8) : .large(number >> 24)
            case (.private, .v6): self = .large(0)
            }
        }
    }

    /// This machine's own address.
    var local: IPAddress
    var hops: [NATHop]
    /// How many routers away the outermost box is that filters.
    var outermostBox: Int?
    var isTranslated: NATFinding<Bool>
    /// The addresses that servers saw.
    var external: [IPAddress]
    /// The address of the router's outer side as the router says it.
    var routerAddress: IPAddress?

    /// How often the network changes along the way, the last time to the internet.
    private var changeCount: Int {
        let networks = ([local] + hops.compactMap(\.address)).map(Network.init)
        var count = 0
        for (one, next) in zip(networks, networks.dropFirst() + [.public]) where one != next {
            count += 1
        }
        return max(count, 1)
    }

    private var hasCarrierHop: Bool { hops.contains { $0.kind == .carrier } }

    var natCount: NATFinding<Int> {
        guard let isTranslated = isTranslated.value else { return .unknown(.noAnswer) }
        guard isTranslated else { return .certain(0) }
        let changes = changeCount
        if let routerAddress {
            if external.contains(routerAddress) { return .certain(1) }
            return changes <= 2 ? .certain(2) : .likely(changes, .readFromAddresses)
        }
        if let outermostBox {
            // A NAT that lets everybody in may stand behind a filter, and only addresses tell of it.
            if outermostBox == 1 {
                if hasCarrierHop { return .likely(changes, .readFromAddresses) }
                return changes == 1 && !hops.isEmpty
                    ? .certain(1) : .likely(1, hops.isEmpty ? .silentRouters : .readFromAddresses)
            }
            let count = min(changes, outermostBox)
            if count == 2 { return .certain(2) }
            return .likely(count == 1 && hops.count < outermostBox ? 2 : count, .readFromAddresses)
        }
        return .likely(changes, hops.isEmpty ? .silentRouters : .readFromAddresses)
    }

    var isCarrierGrade: NATFinding<Bool> {
        guard let isTranslated = isTranslated.value else { return .unknown(.noAnswer) }
        guard isTranslated else { return .certain(false) }
        if AddressRealm(local) == .carrier { return .certain(true) }
        if let routerAddress {
            if external.contains(routerAddress) { return .certain(false) }
            switch AddressRealm(routerAddress) {
            case .carrier: return .certain(true)
            // A second router at home has a private address outside as well.
            case .private: return .likely(true, .readFromAddresses)
            case .public: return .likely(true, .serversDisagree)
            }
        }
        guard hasCarrierHop else {
            if outermostBox == 1, changeCount == 1, !hops.isEmpty { return .certain(false) }
            return .likely(false, hops.isEmpty ? .silentRouters : .readFromAddresses)
        }
        return outermostBox ?? 1 == 1 ? .likely(true, .readFromAddresses) : .certain(true)
    }
}

extension NATReport {
    /// The same report with what the router answered to requests for a port, which tells the address of its outer side.
    package func with(portMappings answers: [NATPortMappingAnswer]) -> NATReport {
        var report = self
        report.portMappings = answers
        guard
            let routerAddress = answers.compactMap(\.externalAddress).first(where: { !$0.isUnspecified }),
            let local = udp.example?.local.address ?? tcp.example?.local.address
        else { return report }
        let path = PathInference(
            local: local,
            hops: hops,
            outermostBox: nil,
            isTranslated: udp.isTranslated.value == nil ? tcp.isTranslated : udp.isTranslated,
            external: udp.externalAddresses + tcp.externalAddresses,
            routerAddress: routerAddress
        )
        report.natCount = path.natCount
        report.isCarrierGrade = path.isCarrierGrade
        return report
    }
}
