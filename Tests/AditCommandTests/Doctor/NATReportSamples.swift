// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Reports such as the networks of people give.
extension NATReport {
    private static func address(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(0) }

    private static func base() -> NATReport {
        var report = NATReport()
        report.access = .certain(.full)
        report.captivePortal = .unknown(.notMeasured)
        report.udpV6.reach = .certain(false)
        report.udpV6.kind = .certain(.blocked)
        var server = NATServerReport(
            name: "tunnel.example.com:3478",
            endpoint: IPEndpoint(address("203.0.113.7"), 3478)
        )
        server.answersUDP = true
        server.answersTCP = true
        server.roundTrip = .milliseconds(21)
        report.servers = [server]
        report.duration = .milliseconds(1600)
        return report
    }

    private static func translated(
        _ mapping: MappingBehavior,
        _ filtering: FilteringBehavior,
        _ allocation: PortAllocation,
        from outside: String
    ) -> NATBehaviorReport {
        var report = NATBehaviorReport()
        report.reach = .certain(true)
        report.isTranslated = .certain(true)
        report.externalAddresses = [address(outside)]
        report.example = NATExample(
            local: IPEndpoint(address("192.168.1.20"), 40_000),
            external: IPEndpoint(address(outside), 40_000)
        )
        report.mapping = .certain(mapping)
        report.filtering = .certain(filtering)
        report.allocation = .certain(allocation)
        report.pooling = .certain(.paired)
        report.hairpin = .certain(false)
        let kind = ClassicNATKind(mapping: mapping, filtering: filtering)
        report.kind = .certain(NATKind(rawValue: kind.rawValue) ?? .symmetric)
        return report
    }

    private static func doors(_ open: NATPortMappingAnswer.Door?, at outside: String) -> [NATPortMappingAnswer] {
        [.upnp, .pcp, .natPMP].map { door in
            NATPortMappingAnswer(
                door,
                isAvailable: door == open,
                externalAddress: door == open ? address(outside) : nil
            )
        }
    }

    /// A home router behind the carrier's NAT, its lifetime measured.
    static var carrier: NATReport {
        var report = base()
        report.udp = translated(.endpointIndependent, .addressAndPortDependent, .preserving, from: "61.140.3.9")
        report.udp.lifetime = .certain(MappingLifetime(alive: .seconds(45), dead: .seconds(60)))
        report.tcp = report.udp
        report.tcp.filtering = .likely(.addressAndPortDependent, .guessedFromUDP)
        report.hops = [
            NATHop(distance: 1, address: address("192.168.1.1")), NATHop(distance: 2, address: address("100.66.0.1")),
            NATHop(distance: 3, address: nil),
        ]
        report.natCount = .certain(2)
        report.isCarrierGrade = .certain(true)
        report.portMappings = doors(.upnp, at: "100.66.3.4")
        return report
    }

    /// A symmetric router whose UDP ports follow one another and whose TCP ports are drawn.
    static var symmetric: NATReport {
        var report = base()
        report.udp = translated(
            .addressAndPortDependent,
            .addressAndPortDependent,
            .sequential(step: 2),
            from: "198.51.100.2"
        )
        report.tcp = translated(.addressAndPortDependent, .addressAndPortDependent, .random, from: "198.51.100.2")
        report.hops = [NATHop(distance: 1, address: address("192.168.1.1"))]
        report.natCount = .likely(1, .readFromAddresses)
        report.isCarrierGrade = .likely(false, .readFromAddresses)
        report.portMappings = doors(nil, at: "")
        return report
    }

    /// The same with a router that opens ports.
    static var opened: NATReport {
        var report = symmetric
        report.natCount = .certain(1)
        report.isCarrierGrade = .certain(false)
        report.portMappings = doors(.natPMP, at: "198.51.100.2")
        return report
    }

    /// A public address behind a firewall, with IPv6.
    static var firewalled: NATReport {
        var report = base()
        for path in [\NATReport.udp, \NATReport.tcp] {
            report[keyPath: path] = NATBehaviorReport(.notApplicable)
            report[keyPath: path].reach = .certain(true)
            report[keyPath: path].isTranslated = .certain(false)
            report[keyPath: path].externalAddresses = [address("198.51.100.77")]
            report[keyPath: path].filtering = .certain(.addressAndPortDependent)
            report[keyPath: path].kind = .certain(.firewall)
            report[keyPath: path].lifetime = .unknown(.notMeasured)
        }
        report.addressesV6 = [address("2001:db8::20")]
        report.udpV6 = report.udp
        report.udpV6.externalAddresses = report.addressesV6
        report.natCount = .certain(0)
        report.isCarrierGrade = .certain(false)
        return report
    }

    /// A server with one address and one port, which cannot tell much.
    static var poorServer: NATReport {
        var report = carrier
        report.portMappings = []
        report.hops = []
        report.natCount = .likely(1, .silentRouters)
        report.isCarrierGrade = .likely(false, .silentRouters)
        for path in [\NATReport.udp, \NATReport.tcp] {
            report[keyPath: path].mapping = .unknown(.onePort)
            report[keyPath: path].filtering = .unknown(.oneAddress)
            report[keyPath: path].allocation = .unknown(.onePort)
            report[keyPath: path].kind = .unknown(.onePort)
            report[keyPath: path].lifetime = .unknown(.notMeasured)
        }
        return report
    }

    /// A hotel: nothing before somebody has signed in, on a page with a name that wants to write on the screen.
    static var hotel: NATReport {
        var report = base()
        report.servers[0].answersUDP = false
        report.servers[0].answersTCP = false
        report.servers[0].roundTrip = nil
        report.access = .certain(.captivePortal)
        report.captivePortal = .certain(CaptivePortal(status: 302, location: "http://wifi.example/\u{1B}[2Jlogin"))
        report.udp.reach = .likely(false, .noAnswer)
        report.tcp.reach = .likely(false, .noAnswer)
        return report
    }

    /// Nothing answered.
    static var silent: NATReport {
        var report = hotel
        report.access = .likely(InternetAccess.none, .fewAnswers)
        report.captivePortal = .unknown(.notMeasured)
        return report
    }
}
