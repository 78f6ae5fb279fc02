// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal

extension NATRule {
    static let mappingWords: [(name: String, value: MappingBehavior)] = [
        ("eim", .endpointIndependent), ("adm", .addressDependent), ("apdm", .addressAndPortDependent),
    ]
    static let filteringWords: [(name: String, value: FilteringBehavior)] = [
        ("eif", .endpointIndependent), ("adf", .addressDependent), ("apdf", .addressAndPortDependent),
    ]

    /// The rule in the language of sites: its name, or `mapping/filtering/allocation`.
    package var text: String {
        Self.named.first { $0.rule == self }?.name ?? "\(mapping.word)/\(filtering.word)/\(allocation.word)"
    }

    /// Reads `eim/adf/seq:2`; nil for anything else.
    init?(slashed text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let mapping = Self.mappingWords.first(where: { $0.name == parts[0] }),
            let filtering = Self.filteringWords.first(where: { $0.name == parts[1] }),
            let allocation = PortAllocation(word: parts[2])
        else { return nil }
        self.init(mapping.value, filtering.value, allocation)
    }
}

extension MappingBehavior {
    /// The short word of the language of sites.
    package var word: String {
        switch self {
        case .endpointIndependent: "eim"
        case .addressDependent: "adm"
        case .addressAndPortDependent: "apdm"
        }
    }
}

extension FilteringBehavior {
    /// The short word of the language of sites.
    package var word: String {
        switch self {
        case .endpointIndependent: "eif"
        case .addressDependent: "adf"
        case .addressAndPortDependent: "apdf"
        }
    }
}

extension PortAllocation {
    /// The word of the language of sites.
    package var word: String {
        switch self {
        case .preserving: "keep"
        case .random: "random"
        case .sequential(step: 1): "seq"
        case .sequential(let step): "seq:\(step)"
        case .block(NATRule.usualBlock): "block"
        case .block(let range): "block:\(range.lowerBound)-\(range.upperBound)"
        }
    }

    /// Reads `keep`, `random`, `seq`, `seq:STEP`, `block`, `block:LOW-HIGH`.
    init?(word: String) {
        let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.count == 2 ? parts[1] : nil) {
        case ("keep", nil): self = .preserving
        case ("random", nil): self = .random
        case ("seq", nil): self = .sequential(step: 1)
        case ("block", nil): self = .block(NATRule.usualBlock)
        case ("seq", let step?):
            guard let step = Int(step), step != 0, abs(step) <= 1000 else { return nil }
            self = .sequential(step: step)
        case ("block", let ports?):
            guard let range = Self.range(ports) else { return nil }
            self = .block(range)
        default: return nil
        }
    }

    /// Reads `LOW-HIGH`.
    static func range(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let low = UInt16(ends[0]), let high = UInt16(ends[1]), low > 0, low < high else {
            return nil
        }
        return low...high
    }
}

extension TransportRule {
    /// Longer names, which are read but not written.
    static let longNames: [(name: String, type: String)] = [
        ("full-cone", "full"), ("address-restricted", "addr"), ("address-restricted-cone", "addr"),
        ("restricted", "addr"), ("restricted-cone", "addr"), ("port-restricted", "port"),
        ("port-restricted-cone", "port"), ("symmetric", "sym"), ("firewall", "fw"), ("open", "public"),
    ]

    /// Reads a type by its name or as `mapping/filtering/allocation`.
    init?(word: String) {
        let name = Self.longNames.first { $0.name == word }?.type ?? word
        switch name {
        case "public": self = .open
        case "fw": self = .firewall
        case "blocked": self = .blocked
        case "web": self = .web
        default:
            guard let rule = NATRule.named.first(where: { $0.name == name })?.rule ?? NATRule(slashed: name) else {
                return nil
            }
            self = .nat(rule)
        }
    }

    /// The type in the language of sites.
    package var text: String {
        switch self {
        case .nat(let rule): rule.text
        case .open: "public"
        case .firewall: "fw"
        case .blocked: "blocked"
        case .web: "web"
        }
    }
}

extension SiteSpecification: CustomStringConvertible {
    /// The shortest text in the language of sites that means this site.
    package var description: String {
        var words = router.udp == router.tcp ? [router.udp.text] : ["udp=\(router.udp.text)", "tcp=\(router.tcp.text)"]
        words += router.options(beside: BoxSpecification(udp: router.udp, tcp: router.tcp), prefix: "")
        if let carrier {
            words +=
                carrier.udp == carrier.tcp
                ? ["cgn=\(carrier.udp.text)"] : ["cgn_udp=\(carrier.udp.text)", "cgn_tcp=\(carrier.tcp.text)"]
            var inherited = router
            inherited.sequenceRange = nil
            words += carrier.options(beside: inherited, prefix: "cgn_")
        }
        if mtu != 1500 { words.append("mtu=\(mtu)") }
        return words.joined(separator: ",")
    }
}

extension BoxSpecification {
    /// The options in which this box differs from another.
    fileprivate func options(beside other: BoxSpecification, prefix: String) -> [String] {
        var words: [String] = []
        func note<Value: Equatable>(_ name: String, _ field: KeyPath<BoxSpecification, Value>, _ text: String) {
            if self[keyPath: field] != other[keyPath: field] { words.append("\(prefix)\(name)=\(text)") }
        }
        if let range = sequenceRange { words.append("\(prefix)block=\(range.lowerBound)-\(range.upperBound)") }
        note("unsol", \.unsolicited, unsolicited.rawValue)
        note("hairpin", \.hasHairpin, hasHairpin ? "1" : "0")
        note("udp_to", \.udpLifetime, String(udpLifetime))
        note("tcp_to", \.tcpLifetime, String(tcpLifetime))
        note("syn_to", \.synLifetime, String(synLifetime))
        note("timer", \.isLifetimeAbsolute, isLifetimeAbsolute ? "absolute" : "idle")
        note("refresh", \.isRefreshedByInbound, isRefreshedByInbound ? "both" : "out")
        note("pool", \.poolSize, String(poolSize))
        note("maxflows", \.capacity, String(capacity ?? 0))
        note("track", \.tracksWindows, tracksWindows ? "1" : "0")
        note("icmp", \.dropsICMP, dropsICMP ? "drop" : "pass")
        return words
    }
}
