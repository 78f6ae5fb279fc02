// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension BehaviorObservations {
    /// What arrives from elsewhere (RFC 5780 section 4.4).
    ///
    /// An answer that arrives is proof. That none does is one only when the server was able to send it.
    func filteringFinding(mapping: NATFinding<MappingBehavior>) -> NATFinding<FilteringBehavior> {
        if filtering.isEmpty || offered.isEmpty { return .unknown(obstacle) }
        if hasPassed(.address) { return .certain(.endpointIndependent) }
        let address = verdict(.address, mapping)
        if hasPassed(.port) {
            switch address {
            case .kept: return .certain(.addressDependent)
            // From everywhere or from this address: the stricter of the two.
            case .unclear(let doubt): return .likely(.addressDependent, doubt)
            }
        }
        switch (verdict(.port, mapping), address) {
        case (.kept, _): return .certain(.addressAndPortDependent)
        case (.unclear, .kept): return .likely(.addressAndPortDependent, .onePort)
        case (.unclear(let doubt), .unclear): return .unknown(doubt)
        }
    }

    private enum Verdict {
        case kept
        case unclear(NATDoubt)
    }

    private func hasPassed(_ test: FilteringTest) -> Bool {
        filtering.contains { $0.test == test && $0.hasPassed }
    }

    /// Whether a test in which nothing arrived says that something was kept away.
    private func verdict(_ test: FilteringTest, _ mapping: NATFinding<MappingBehavior>) -> Verdict {
        guard offered.contains(test) else { return .unclear(test == .address ? .oneAddress : .onePort) }
        guard filtering.contains(where: { $0.test == test && $0.isOpen }) else {
            return .unclear(.fewAnswers)
        }
        // Where nothing could have kept it away, it did not arrive either.
        if control[test] == false { return .unclear(.alternateSilent) }
        return .kept
    }

    /// Whether all sockets were seen with one address.
    var poolingFinding: NATFinding<AddressPooling> {
        let addresses = Set(believed.map(\.external.address))
        if addresses.isEmpty { return .unknown(.noAnswer) }
        let socketCount = Set(believed.map(\.socket)).count
        if addresses.count == 1 {
            return socketCount < 4 ? .likely(.paired, .fewAnswers) : .certain(.paired)
        }
        // When every server has an opinion of its own, one of them may be wrong.
        let opinions = Dictionary(grouping: believed, by: \.target.server).values.map {
            Set($0.map(\.external.address))
        }
        let isByServer = opinions.count > 1 && opinions.allSatisfy { $0.count == 1 }
        return isByServer ? .likely(.arbitrary, .serversDisagree) : .certain(.arbitrary)
    }

    /// The addresses that servers saw, the most frequent first.
    var externalAddresses: [IPAddress] {
        let counts = Dictionary(believed.map { ($0.external.address, 1) }, uniquingKeysWith: +)
        return counts.sorted { ($0.value, $1.key.description) > ($1.value, $0.key.description) }.map(
            \.key
        )
    }

    /// Everything that these observations say.
    ///
    /// - Parameter isBlocked: whether it is known that nothing passes; nil when that is not known.
    func report() -> NATBehaviorReport {
        guard wasAsked else { return NATBehaviorReport(.noServer) }
        var report = NATBehaviorReport(.noAnswer)
        guard hasAnswers, !believed.isEmpty else {
            report.reach = .likely(false, .noAnswer)
            report.kind = .likely(.blocked, .noAnswer)
            return report
        }
        report.reach = .certain(true)
        report.externalAddresses = externalAddresses
        report.example = believed.first.map { NATExample(local: $0.local, external: $0.external) }
        let isTranslated = believed.contains { $0.external != $0.local }
        let isUniform = believed.allSatisfy { ($0.external != $0.local) == isTranslated }
        report.isTranslated = isUniform ? .certain(isTranslated) : .likely(true, .inconsistent)
        report.mapping = isTranslated ? MappingInference(believed).finding : .unknown(.notApplicable)
        report.filtering = filteringFinding(mapping: report.mapping)
        report.allocation =
            isTranslated ? AllocationInference(believed).finding : .unknown(.notApplicable)
        report.pooling = isTranslated ? poolingFinding : .unknown(.notApplicable)
        report.hairpin = hairpinFinding(report)
        report.lifetime = lifetime
        report.kind = Self.kind(report)
        if !outvoted.isEmpty, outvoted.count * 2 >= Set(samples.map(\.target.server)).count {
            report = report.doubted(.serversDisagree)
        }
        return report
    }

    private func hairpinFinding(_ report: NATBehaviorReport) -> NATFinding<Bool> {
        if report.isTranslated.value == false { return .unknown(.notApplicable) }
        // Behind a mapping that depends on the destination nobody knows where to send to.
        if hairpin.value == false, report.mapping.value != .endpointIndependent {
            return .likely(false, .hiddenByMapping)
        }
        return hairpin
    }

    static func kind(_ report: NATBehaviorReport) -> NATFinding<NATKind> {
        guard let isTranslated = report.isTranslated.value else { return .unknown(.noAnswer) }
        guard isTranslated else {
            switch report.filtering {
            case .certain(let filtering):
                return .certain(filtering == .endpointIndependent ? .open : .firewall)
            case .likely(let filtering, let doubt):
                return .likely(filtering == .endpointIndependent ? .open : .firewall, doubt)
            case .unknown(let doubt): return .unknown(doubt)
            }
        }
        guard let mapping = report.mapping.value else {
            return .unknown(report.mapping.doubt ?? .noAnswer)
        }
        if mapping != .endpointIndependent {
            return report.mapping.map { _ in .symmetric }
        }
        // Where the filter is not known, the strictest is assumed.
        let filtering = report.filtering.value ?? .addressAndPortDependent
        let kind = NATKind(ClassicNATKind(mapping: mapping, filtering: filtering))
        if let doubt = report.mapping.doubt ?? report.filtering.doubt { return .likely(kind, doubt) }
        return .certain(kind)
    }
}

extension NATKind {
    /// The name of RFC 3489 as one of the seven.
    package init(_ kind: ClassicNATKind) {
        self =
            switch kind {
            case .fullCone: .fullCone
            case .addressRestrictedCone: .addressRestrictedCone
            case .portRestrictedCone: .portRestrictedCone
            case .symmetric: .symmetric
            }
    }
}

extension NATBehaviorReport {
    /// The same report in which nothing is certain any more.
    func doubted(_ doubt: NATDoubt) -> NATBehaviorReport {
        var report = self
        report.isTranslated = isTranslated.doubted(doubt)
        report.mapping = mapping.doubted(doubt)
        report.filtering = filtering.doubted(doubt)
        report.allocation = allocation.doubted(doubt)
        report.pooling = pooling.doubted(doubt)
        report.hairpin = hairpin.doubted(doubt)
        report.lifetime = lifetime.doubted(doubt)
        report.kind = kind.doubted(doubt)
        return report
    }
}
