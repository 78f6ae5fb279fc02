// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

extension NATReport {
    /// What discovery would find out behind these boxes, from the inside to the outside: the worst mapping and the strictest
    /// filter of the chain.
    init(_ boxes: [BoxSpecification], address: IPAddress?, hasIPv6: Bool, opensPorts: Bool) {
        self.init(.notMeasured)
        udp = NATBehaviorReport(boxes, .udp, address: address)
        tcp = NATBehaviorReport(boxes, .tcp, address: address)
        udpV6.reach = .certain(hasIPv6)
        let isWebOnly = SiteTheory(boxes, .tcp).passage == .web
        let isBlocked = SiteTheory(boxes, .udp).passage == .blocked
        access = .certain(isWebOnly ? .webOnly : isBlocked ? .udpBlocked : .full)
        isCarrierGrade = .certain(boxes.count > 1)
        portMappings = [NATPortMappingAnswer(.pcp, isAvailable: opensPorts)]
    }
}

extension NATBehaviorReport {
    fileprivate init(_ boxes: [BoxSpecification], _ transport: PunchTransport, address: IPAddress?) {
        self.init(.notMeasured)
        let theory = SiteTheory(boxes, transport)
        guard theory.passage == .free else {
            reach = .certain(theory.passage == .web)
            kind = .certain(.blocked)
            return
        }
        reach = .certain(true)
        var mapping = MappingBehavior.endpointIndependent
        var filtering = FilteringBehavior.endpointIndependent
        var isTranslated = false
        var isFiltered = false
        for box in boxes {
            switch transport == .udp ? box.udp : box.tcp {
            case .nat(let rule):
                isTranslated = true
                mapping = Self.stricter(mapping, rule.mapping)
                filtering = Self.stricter(filtering, rule.filtering)
            case .firewall:
                isFiltered = true
                filtering = .addressAndPortDependent
            case .open, .blocked, .web: break
            }
        }
        self.isTranslated = .certain(isTranslated)
        self.mapping = .certain(mapping)
        self.filtering = .certain(filtering)
        allocation = .certain(theory.allocation)
        hairpin = .certain(boxes.last?.hasHairpin ?? false)
        externalAddresses = address.map { [$0] } ?? []
        kind = .certain(
            isTranslated
                ? NATKind(ClassicNATKind(mapping: mapping, filtering: filtering)) : isFiltered ? .firewall : .open
        )
    }

    private static func stricter<Behavior: CaseIterable & Equatable>(_ one: Behavior, _ other: Behavior) -> Behavior {
        for behavior in Behavior.allCases.reversed() where behavior == one || behavior == other { return behavior }
        return one
    }
}
