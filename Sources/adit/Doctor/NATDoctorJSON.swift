// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// What `adit doctor nat --json` prints: one object whose members are only ever added to (docs/doctor.md).
enum NATDoctorJSON {
    /// The object of a report.
    static func line(_ report: NATReport) -> JSONLine {
        let access = report.access.value
        let externals = report.udp.externalAddresses + report.tcp.externalAddresses
        var seen: Set<IPAddress> = []
        let distinct = externals.filter { seen.insert($0).inserted }
        return JSONLine([
            "event": "nat",
            "access": access.map { .string(Kebab.word($0.rawValue)) } ?? .null,
            "udp": behavior(report.udp),
            "tcp": behavior(report.tcp),
            "ipv6": .object(
                JSONLine([
                    "available": .boolean(report.udpV6.reach.value == true),
                    "addresses": .strings(report.addressesV6.map(\.description)),
                    "udp": behavior(report.udpV6),
                ])
            ),
            "public": .strings(distinct.map(\.description)),
            "hops": .array(report.hops.map(hop)),
            "nats": number(report.natCount.value),
            "carrier_nat": boolean(report.isCarrierGrade.value),
            "hairpin": boolean(report.udp.hairpin.value),
            "pooling": word(report.udp.pooling.value?.rawValue),
            "lifetime": lifetime(report.udp.lifetime.value),
            "port_mapping": portMapping(report),
            "udp_blocked": .boolean(report.udp.reach.value == false && report.udpV6.reach.value != true),
            "web_only": .boolean(access == .webOnly),
            "captive_portal": portal(report.captivePortal),
            "firewall": .boolean(report.isFirewalled),
            "direct": .array(report.directPaths.map(path)),
            "uncertain": .array(doubts(report)),
            "interfaces": .array(report.interfaces.map(interface)),
            "servers": .array(report.servers.map(server)),
            "changed": .boolean(report.didChange),
            "duration_ms": .number(Int64((report.duration.inSeconds * 1000).rounded())),
        ])
    }

    private static func behavior(_ report: NATBehaviorReport) -> JSONLine.Value {
        .object(
            JSONLine([
                "reachable": boolean(report.reach.value),
                "translated": boolean(report.isTranslated.value),
                "mapping": word(
                    (report.isTranslated.value == false ? .endpointIndependent : report.mapping.value)?.rawValue
                ),
                "filtering": word(report.filtering.value?.rawValue),
                "allocation": report.allocation.value.map(allocation) ?? .null,
                "classic": word(report.kind.value?.rawValue),
                "public": .strings(report.externalAddresses.map(\.description)),
                "local": report.example.map { .string($0.local.description) } ?? .null,
                "external": report.example.map { .string($0.external.description) } ?? .null,
                "pooling": word(report.pooling.value?.rawValue),
                "hairpin": boolean(report.hairpin.value),
                "lifetime": lifetime(report.lifetime.value),
            ])
        )
    }

    private static func allocation(_ allocation: PortAllocation) -> JSONLine.Value {
        switch allocation {
        case .preserving: .object(JSONLine(["kind": "preserving"]))
        case .random: .object(JSONLine(["kind": "random"]))
        case .sequential(let step): .object(JSONLine(["kind": "sequential", "step": .number(Int64(step))]))
        case .block(let ports):
            .object(
                JSONLine([
                    "kind": "block", "first": .number(Int64(ports.lowerBound)),
                    "last": .number(Int64(ports.upperBound)),
                ])
            )
        }
    }

    private static func lifetime(_ lifetime: MappingLifetime?) -> JSONLine.Value {
        guard let lifetime else { return .null }
        return .object(
            JSONLine([
                "alive_seconds": seconds(lifetime.alive),
                "dead_seconds": lifetime.dead.map(seconds) ?? .null,
                "maximum_age_seconds": lifetime.maximumAge.map(seconds) ?? .null,
                "keepalive_seconds": seconds(lifetime.keepalive),
            ])
        )
    }

    private static func hop(_ hop: NATHop) -> JSONLine.Value {
        .object(
            JSONLine([
                "distance": .number(Int64(hop.distance)),
                "address": hop.address.map { .string($0.description) } ?? .null,
                "kind": word(hop.kind?.rawValue),
            ])
        )
    }

    private static func portMapping(_ report: NATReport) -> JSONLine.Value {
        var members = JSONLine()
        for answer in report.portMappings {
            members.add(
                Kebab.word(answer.door.rawValue).replacing("-", with: "_"),
                .object(
                    JSONLine([
                        "available": .boolean(answer.isAvailable),
                        "external": answer.externalAddress.map { .string($0.description) } ?? .null,
                    ])
                )
            )
        }
        members.add("usable", .boolean(report.usablePortMapping != nil))
        return .object(members)
    }

    private static func portal(_ finding: NATFinding<CaptivePortal?>) -> JSONLine.Value {
        guard let found = finding.value else { return .null }
        guard let portal = found else { return false }
        return .object(
            JSONLine([
                "status": .number(Int64(portal.status)),
                "location": portal.location.map { .string($0) } ?? .null,
            ])
        )
    }

    private static func path(_ path: NATDirectPath) -> JSONLine.Value {
        .object(
            JSONLine([
                "peer": word(path.peer?.rawValue ?? "noUDP"),
                "udp": word(path.udp?.rawValue),
                "tcp": word(path.tcp?.rawValue),
            ])
        )
    }

    private static func doubts(_ report: NATReport) -> [JSONLine.Value] {
        report.doubts.map { doubt in
            .object(
                JSONLine([
                    "what": .string(doubt.name), "why": word(doubt.why.rawValue), "known": .boolean(doubt.hasValue),
                ])
            )
        }
    }

    private static func interface(_ interface: NATInterfaceReport) -> JSONLine.Value {
        .object(
            JSONLine([
                "name": .string(interface.name),
                "addresses": .strings(interface.addresses.map(\.description)),
                "standing": word(interface.standing.rawValue),
                "external": interface.external.map { .string($0.description) } ?? .null,
            ])
        )
    }

    private static func server(_ server: NATServerReport) -> JSONLine.Value {
        .object(
            JSONLine([
                "name": .string(server.name),
                "endpoint": .string(server.endpoint.description),
                "udp": .boolean(server.answersUDP),
                "tcp": .boolean(server.answersTCP),
                "round_trip_ms": server.roundTrip.map { .number(Int64(($0.inSeconds * 1000).rounded())) } ?? .null,
                "alternate": server.alternate.map { .string($0.description) } ?? .null,
                "software": server.software.map { .string($0) } ?? .null,
                "fault": word(server.fault?.rawValue),
            ])
        )
    }

    private static func seconds(_ duration: Duration) -> JSONLine.Value {
        .number(Int64(duration.inSeconds.rounded()))
    }

    private static func boolean(_ flag: Bool?) -> JSONLine.Value { flag.map { .boolean($0) } ?? .null }

    private static func number(_ number: Int?) -> JSONLine.Value { number.map { .number(Int64($0)) } ?? .null }

    private static func word(_ name: String?) -> JSONLine.Value { name.map { .string(Kebab.word($0)) } ?? .null }
}

/// Names of the code as names of the field: `addressAndPortDependent` is `address-and-port-dependent`.
enum Kebab {
    /// The name with hyphens; a run of capitals is one word.
    static func word(_ name: String) -> String {
        var word = ""
        let scalars = Array(name.unicodeScalars)
        for (index, scalar) in scalars.enumerated() {
            let isCapital = scalar.properties.isUppercase
            if isCapital, index > 0, !scalars[index - 1].properties.isUppercase { word += "-" }
            word += isCapital ? scalar.properties.lowercaseMapping : String(Character(scalar))
        }
        return word
    }
}
