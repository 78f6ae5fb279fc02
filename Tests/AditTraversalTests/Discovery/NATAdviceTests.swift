// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

@Suite("What a report means")
struct NATAdviceTests {
    /// A report as a network of that kind gives it.
    private func report(
        _ kind: NATKind,
        _ allocation: PortAllocation = .preserving,
        tcp: NATKind? = nil
    ) -> NATReport {
        var report = NATReport()
        report.access = .certain(.full)
        report.udp = behavior(kind, allocation)
        report.tcp = behavior(tcp ?? kind, allocation)
        report.udpV6.reach = .certain(false)
        report.natCount = .certain(report.udp.isTranslated.value == true ? 1 : 0)
        report.isCarrierGrade = .certain(false)
        return report
    }

    private func behavior(_ kind: NATKind, _ allocation: PortAllocation) -> NATBehaviorReport {
        var behavior = NATBehaviorReport(.notApplicable)
        behavior.reach = .certain(kind != .blocked)
        behavior.kind = .certain(kind)
        behavior.isTranslated = .certain(![.open, .firewall, .blocked].contains(kind))
        behavior.mapping = .certain(kind == .symmetric ? .addressAndPortDependent : .endpointIndependent)
        behavior.filtering = .certain(
            [.open, .fullCone].contains(kind)
                ? .endpointIndependent
                : kind == .addressRestrictedCone ? .addressDependent : .addressAndPortDependent
        )
        behavior.allocation = .certain(allocation)
        return behavior
    }

    private func chances(_ report: NATReport, _ path: KeyPath<NATReach, NATChance>) -> [NATPeer: NATChance] {
        Dictionary(uniqueKeysWithValues: report.reach.map { ($0.peer, $0[keyPath: path]) })
    }

    @Test("thirteen of the sixteen pairs of the four classic kinds are direct at once, over UDP and over TCP")
    func sixteen() {
        let kinds: [(NATKind, NATPeer)] = [
            (.fullCone, .openCone), (.addressRestrictedCone, .openCone), (.portRestrictedCone, .portRestrictedCone),
            (.symmetric, .randomSymmetric),
        ]
        for path in [\NATReach.udp, \NATReach.tcp] {
            var direct = 0
            for (kind, _) in kinds {
                let chances = chances(report(kind, .random), path)
                direct += kinds.count { chances[$0.1] == .direct }
            }
            #expect(direct == 13)
        }
    }

    @Test("the table is the same from both ends")
    func symmetry() {
        let sides: [(NATKind, PortAllocation, NATPeer)] = [
            (.open, .preserving, .open), (.fullCone, .random, .openCone), (.addressRestrictedCone, .random, .openCone),
            (.portRestrictedCone, .preserving, .portRestrictedCone), (.firewall, .preserving, .firewall),
            (.symmetric, .sequential(step: 1), .sequentialSymmetric), (.symmetric, .random, .randomSymmetric),
            (.symmetric, .block(2000...4047), .carrierBlock),
        ]
        for path in [\NATReach.udp, \NATReach.tcp] {
            for one in sides {
                for other in sides {
                    let there = chances(report(one.0, one.1), path)[other.2]
                    let back = chances(report(other.0, other.1), path)[one.2]
                    #expect(there == back, "\(one) and \(other)")
                }
            }
        }
    }

    @Test("what takes a search works over UDP alone, what can be predicted over both")
    func searches() {
        let cone = report(.portRestrictedCone)
        #expect(chances(cone, \.udp)[.randomSymmetric] == .good)
        #expect(chances(cone, \.tcp)[.randomSymmetric] == .relay)
        #expect(chances(cone, \.tcp)[.sequentialSymmetric] == .good)
        let random = report(.symmetric, .random)
        #expect(chances(random, \.udp)[.randomSymmetric] == .relay)
        #expect(chances(random, \.udp)[.openCone] == .direct)
    }

    @Test("nothing is direct from where nothing passes")
    func blocked() {
        let report = report(.blocked)
        #expect(report.reach.allSatisfy { $0.best == .relay })
    }

    @Test("advice names what would help, and nothing that would not")
    func advice() {
        #expect(report(.open).advice == [.nothing])
        #expect(report(.firewall).advice == [.openFirewall])
        #expect(report(.portRestrictedCone).advice == [.enableIPv6])
        #expect(report(.symmetric, .random).advice == [.keepPorts, .enableIPv6])
        var closed = report(.portRestrictedCone)
        closed.portMappings = [NATPortMappingAnswer(.upnp, isAvailable: false)]
        #expect(closed.advice == [.enablePortMapping, .enableIPv6])
        closed.portMappings = [NATPortMappingAnswer(.upnp, isAvailable: true)]
        #expect(closed.advice == [.usePortMapping, .enableIPv6])
        closed.isCarrierGrade = .certain(true)
        #expect(closed.advice == [.publicAddress, .enableIPv6])
        closed.isCarrierGrade = .certain(false)
        closed.natCount = .likely(2, .readFromAddresses)
        #expect(closed.advice == [.bridgeMode, .enableIPv6])
        var blocked = report(.blocked, tcp: .portRestrictedCone)
        blocked.access = .certain(.udpBlocked)
        #expect(blocked.advice.first == .allowUDP)
        var modern = report(.portRestrictedCone)
        modern.udpV6.reach = .certain(true)
        #expect(modern.advice == [.useIPv6])
        var short = report(.fullCone)
        short.udp.lifetime = .certain(
            MappingLifetime(alive: .seconds(20), dead: .seconds(30), maximumAge: .seconds(60))
        )
        #expect(short.advice == [.keepalive(.seconds(16)), .renewSockets(.seconds(60))])
    }

    @Test("every word is there in both languages, and Chinese is Chinese")
    func words() {
        var texts: [Text] = NATDoubt.allCases.map(\.reason) + NATKind.allCases.flatMap { [$0.name, $0.meaning] }
        texts += MappingBehavior.allCases.map(\.meaning) + FilteringBehavior.allCases.map(\.meaning)
        texts += InternetAccess.allCases.map(\.meaning) + AddressPooling.allCases.map(\.meaning)
        texts += AddressRealm.allCases.map(\.name) + NATPeer.allCases.map(\.name) + NATChance.allCases.map(\.name)
        texts += NATServerReport.Fault.allCases.map(\.meaning)
        let allocations: [PortAllocation] = [.preserving, .random, .sequential(step: -2), .block(1...2)]
        texts += allocations.map(\.meaning)
        let advice: [NATAdvice] = [
            .signIn(location: nil), .signIn(location: "http://x"), .allowUDP, .useWebPorts, .enableIPv6, .useIPv6,
            .enablePortMapping, .usePortMapping, .keepPorts, .bridgeMode, .publicAddress, .openFirewall,
            .keepalive(.seconds(1)), .renewSockets(.seconds(1)), .oneLine, .nothing,
        ]
        texts += advice.map(\.text) + NATKind.allCases.map { report($0).chanceSummary }
        for text in texts {
            #expect(!text.english.isEmpty && text.english.unicodeScalars.allSatisfy { $0.value < 0x2E80 })
            #expect(text.chinese.unicodeScalars.contains { $0.value >= 0x4E00 }, "\(text)")
        }
    }
}
