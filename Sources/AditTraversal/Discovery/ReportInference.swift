// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Puts together what all parts of a discovery saw.
struct ReportInference {
    var configuration: NATDiscovery.Configuration
    var servers: [ProbeServer]
    var udp: UDPDiscovery?
    var udpV6: UDPDiscovery?
    var tcp: TCPDiscovery?
    var web: WebDiscovery
    var interfaces: InterfaceDiscovery

    var report: NATReport {
        var report = NATReport()
        var overUDP = udp?.observations ?? BehaviorObservations()
        var overTCP = tcp?.observations ?? BehaviorObservations()
        overUDP.vote()
        overTCP.vote()
        let network = configuration.network
        report.udp = network.address == nil ? Self.absent : overUDP.report()
        report.tcp = network.address == nil ? Self.absent : overTCP.report()
        noteUnbelievable(&report)
        guessFiltering(&report)
        report.udpV6 =
            network.addressV6 == nil
            ? Self.absent : (udpV6?.observations ?? BehaviorObservations()).report()
        report.addressesV6 = network.interfaces.filter { !$0.isVirtual }.flatMap(\.addresses).filter {
            address in
            AddressFamily(address) == .v6 && AddressRealm(address) == .public
        }
        report.servers = servers.map { server in
            var entry = server.report
            if overUDP.outvoted.contains(server.index) || overTCP.outvoted.contains(server.index) {
                entry.fault = .outvoted
            }
            return entry
        }
        inferAccess(&report)
        inferPath(&report)
        var interfaces = interfaces
        interfaces.noteMain(report.udp.externalAddresses.first ?? report.tcp.externalAddresses.first)
        report.interfaces = interfaces.reports
        return report.with(portMappings: configuration.portMappings)
    }

    /// A family of which this machine has no address.
    private static var absent: NATBehaviorReport {
        var report = NATBehaviorReport(.notApplicable)
        report.reach = .certain(false)
        report.kind = .certain(.blocked)
        return report
    }

    /// A server that cannot be believed shows at least that its answers arrive.
    private func noteUnbelievable(_ report: inout NATReport) {
        for family in AddressFamily.allCases {
            let isHeard = servers.contains { $0.isHeardOverUDP && AddressFamily($0.endpoint.address) == family }
            let path = family == .v4 ? \NATReport.udp : \NATReport.udpV6
            guard isHeard, report[keyPath: path].reach.value != true else { continue }
            report[keyPath: path] = NATBehaviorReport(.absurdAnswer)
            report[keyPath: path].reach = .certain(true)
        }
    }

    /// A box that maps TCP as it maps UDP will mostly filter it so as well.
    private func guessFiltering(_ report: inout NATReport) {
        guard report.tcp.filtering.value == nil, report.tcp.reach.value == true,
            let filtering = report.udp.filtering.value,
            report.tcp.mapping.value == report.udp.mapping.value,
            report.tcp.isTranslated.value == report.udp.isTranslated.value
        else { return }
        report.tcp.filtering = .likely(filtering, .guessedFromUDP)
        report.tcp.kind = BehaviorObservations.kind(report.tcp)
    }

    private func inferAccess(_ report: inout NATReport) {
        let hasUDP = report.udp.reach.value == true || report.udpV6.reach.value == true
        let hasTCP = report.tcp.reach.value == true
        let hasConnection = !(tcp?.connected.isEmpty ?? true)
        if let portal = web.portal, !web.hasExpectedPage {
            // With another protocol passing freely, the page itself may be what is wrong.
            report.captivePortal = hasUDP || hasTCP ? .likely(portal, .inconsistent) : .certain(portal)
        } else if web.hasExpectedPage {
            report.captivePortal = web.portal == nil ? .certain(nil) : .likely(nil, .inconsistent)
        } else {
            report.captivePortal = .unknown(web.wasAsked ? .noAnswer : .notMeasured)
        }
        report.access = access(hasUDP: hasUDP, hasTCP: hasTCP, hasConnection: hasConnection, report)
    }

    private func access(
        hasUDP: Bool,
        hasTCP: Bool,
        hasConnection: Bool,
        _ report: NATReport
    ) -> NATFinding<InternetAccess> {
        let network = configuration.network
        if network.address == nil, network.addressV6 == nil { return .certain(.none) }
        if hasUDP {
            if hasTCP || web.isReachable { return .certain(.full) }
            return .likely(.full, .fewAnswers)
        }
        if !web.hasExpectedPage, web.portal != nil, !hasTCP { return .certain(.captivePortal) }
        if servers.isEmpty { return web.isReachable ? .unknown(.noServer) : .likely(.none, .noServer) }
        if hasTCP || hasConnection {
            // One silent server may be at fault itself; two addresses are not at once.
            let silent = servers.reduce(into: Set<IPAddress>()) { addresses, server in
                if !server.report.answersUDP { addresses.formUnion(server.endpoints.map(\.address)) }
            }
            return silent.count > 1 ? .certain(.udpBlocked) : .likely(.udpBlocked, .fewAnswers)
        }
        if web.isReachable {
            return servers.count > 1 ? .certain(.webOnly) : .likely(.webOnly, .fewAnswers)
        }
        return servers.count > 1 || web.wasAsked ? .certain(.none) : .likely(.none, .fewAnswers)
    }

    private func inferPath(_ report: inout NATReport) {
        let path = udp?.path
        report.hops = path?.hops ?? []
        let behavior = report.udp.isTranslated.value == nil ? report.tcp : report.udp
        guard let local = behavior.example?.local.address else { return }
        // The trace of a short-lived request says where a filter is only where there is one, for a mapping that is one.
        let isTelling =
            report.udp.filtering.value.map { $0 != .endpointIndependent } ?? false
            && (report.udp.mapping.value == .endpointIndependent
                || report.udp.isTranslated.value == false)
        let inference = PathInference(
            local: local,
            hops: report.hops,
            outermostBox: isTelling ? path?.outermostBox : nil,
            isTranslated: behavior.isTranslated,
            external: behavior.externalAddresses,
            routerAddress: nil
        )
        report.natCount = inference.natCount
        report.isCarrierGrade = inference.isCarrierGrade
    }
}

extension NATReport {
    /// The same report in which nothing that was measured is certain any more.
    func doubted(_ doubt: NATDoubt) -> NATReport {
        var report = self
        report.access = access.doubted(doubt)
        report.udp = udp.doubted(doubt)
        report.tcp = tcp.doubted(doubt)
        report.udpV6 = udpV6.doubted(doubt)
        report.natCount = natCount.doubted(doubt)
        report.isCarrierGrade = isCarrierGrade.doubted(doubt)
        return report
    }
}
