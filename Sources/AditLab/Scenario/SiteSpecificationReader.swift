// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Makes a site out of words: first the types, then what refines them, then the options of the boxes.
struct SiteSpecificationReader {
    private var words: [SiteWord]
    private var usedOptions: Set<String> = []

    init(_ words: [SiteWord]) {
        self.words = words
    }

    mutating func site() throws(SiteSpecificationError) -> SiteSpecification {
        let both = try type("nat") ?? .nat(NATRule(.endpointIndependent, .addressAndPortDependent, .preserving))
        var site = SiteSpecification(
            router: BoxSpecification(udp: try type("udp") ?? both, tcp: try type("tcp") ?? both)
        )
        let carrier = try type("cgn")
        let carrierUDP = try type("cgn_udp")
        let carrierTCP = try type("cgn_tcp")
        let isBlockUsed = try refine(&site.router, prefix: "")
        try options(&site.router, prefix: "")
        if let any = carrier ?? carrierUDP ?? carrierTCP {
            // The carrier's box shares the options of the site, unless it is said otherwise, but not its types.
            var box = site.router
            box.sequenceRange = nil
            let usual = carrier ?? (carrierUDP == nil || carrierTCP == nil ? SiteWord.usualCarrier : any)
            box.udp = carrierUDP ?? usual
            box.tcp = carrierTCP ?? usual
            try refine(&box, prefix: "cgn_")
            // A block that the router has no use for is the carrier's.
            if !isBlockUsed { _ = try block(&box, option: "block") }
            try options(&box, prefix: "cgn_")
            site.carrier = box
        }
        site.mtu = try number("mtu", 576...9000) ?? site.mtu
        if let strange = words.first(where: { !usedOptions.contains($0.option) }) { throw unknown(strange) }
        return site
    }

    // MARK: Types

    private mutating func take(_ option: String) -> SiteWord? {
        usedOptions.insert(option)
        return words.first { $0.option == option }
    }

    private mutating func type(_ option: String) throws(SiteSpecificationError) -> TransportRule? {
        guard let word = take(option) else { return nil }
        if let rule = TransportRule(word: word.value) { return rule }
        let known = SiteSpecification.typeNames + TransportRule.longNames.map(\.name)
        let nearest = KeySuggestion.nearest(to: word.value, among: known)
        // A word alone may have been meant to be an option.
        guard word.option != "nat" || word.text.contains("=") else { throw unknown(word) }
        throw word.error(
            .unknownValue(option: option, among: SiteSpecification.typeNames),
            nearest: nearest.map { "\(option)=\($0)" }
        )
    }

    private func unknown(_ word: SiteWord) -> SiteSpecificationError {
        guard word.text.contains("=") else {
            let known =
                SiteSpecification.typeNames + TransportRule.longNames.map(\.name) + SiteSpecification.optionNames
            let nearest = KeySuggestion.nearest(to: word.value, among: known)
            let isOption = nearest.map { SiteSpecification.optionNames.contains($0) } ?? false
            return word.error(.unknownOption, nearest: isOption ? nearest.map { $0 + "=…" } : nearest)
        }
        if word.option.hasPrefix("cgn_"), usedOptions.contains(String(word.option.dropFirst(4))) {
            return word.error(.noCarrier, nearest: nil)
        }
        let nearest = KeySuggestion.nearest(to: word.option, among: usedOptions.sorted())
        return word.error(.unknownOption, nearest: nearest.map { "\($0)=\(word.value.prefix(40))" })
    }

    // MARK: What refines a type

    /// Whether there was a block, and the box has a use for it.
    @discardableResult
    private mutating func refine(_ box: inout BoxSpecification, prefix: String) throws(SiteSpecificationError) -> Bool {
        for transport in ["", "udp_", "tcp_"] {
            let stem = prefix + transport
            let mapping = try choice(stem + "map", NATRule.mappingWords)
            let filtering = try choice(stem + "filter", NATRule.filteringWords)
            let allocation = try allocation(stem + "alloc")
            guard mapping != nil || filtering != nil || allocation != nil else { continue }
            let change = { (rule: TransportRule) -> TransportRule? in
                guard case .nat(var nat) = rule else { return nil }
                nat.mapping = mapping ?? nat.mapping
                nat.filtering = filtering ?? nat.filtering
                nat.allocation = allocation ?? nat.allocation
                return .nat(nat)
            }
            let udp = transport == "tcp_" ? nil : change(box.udp)
            let tcp = transport == "udp_" ? nil : change(box.tcp)
            if udp == nil, tcp == nil, let word = words.first(where: { $0.option.hasPrefix(stem) && isRefining($0) }) {
                throw word.error(.nothingTranslates)
            }
            box.udp = udp ?? box.udp
            box.tcp = tcp ?? box.tcp
        }
        return try block(&box, option: prefix + "block")
    }

    private func isRefining(_ word: SiteWord) -> Bool {
        ["map", "filter", "alloc"].contains { word.option.hasSuffix($0) }
    }

    /// A block is where random ports come from, and the range of a sequence.
    private mutating func block(_ box: inout BoxSpecification, option: String) throws(SiteSpecificationError) -> Bool {
        guard let word = take(option) else { return false }
        guard let range = PortAllocation.range(word.value) else { throw word.error(.notARange(option: option)) }
        var isUsed = false
        func narrow(_ rule: inout TransportRule) {
            guard case .nat(var nat) = rule, nat.allocation != .preserving else { return }
            isUsed = true
            if case .sequential = nat.allocation {
                box.sequenceRange = range
            } else {
                nat.allocation = .block(range)
                rule = .nat(nat)
            }
        }
        var (udp, tcp) = (box.udp, box.tcp)
        narrow(&udp)
        narrow(&tcp)
        (box.udp, box.tcp) = (udp, tcp)
        return isUsed
    }

    private mutating func allocation(_ option: String) throws(SiteSpecificationError) -> PortAllocation? {
        guard let word = take(option) else { return nil }
        if let allocation = PortAllocation(word: word.value) { return allocation }
        let known = ["keep", "random", "seq", "block"]
        let nearest = KeySuggestion.nearest(to: word.value, among: known).map { "\(option)=\($0)" }
        throw word.error(
            .unknownValue(option: option, among: ["keep", "random", "seq", "seq:STEP", "block", "block:LOW-HIGH"]),
            nearest: nearest
        )
    }

    // MARK: Options of a box

    private mutating func options(_ box: inout BoxSpecification, prefix: String) throws(SiteSpecificationError) {
        let answers = BoxSpecification.Unsolicited.allCases.map { ($0.rawValue, $0) }
        box.unsolicited = try choice(prefix + "unsol", answers) ?? box.unsolicited
        box.hasHairpin = try choice(prefix + "hairpin", [("1", true), ("0", false)]) ?? box.hasHairpin
        box.udpLifetime = try number(prefix + "udp_to", 1...86_400) ?? box.udpLifetime
        box.tcpLifetime = try number(prefix + "tcp_to", 1...864_000) ?? box.tcpLifetime
        box.synLifetime = try number(prefix + "syn_to", 1...86_400) ?? box.synLifetime
        box.isLifetimeAbsolute =
            try choice(prefix + "timer", [("idle", false), ("absolute", true)]) ?? box.isLifetimeAbsolute
        box.isRefreshedByInbound =
            try choice(prefix + "refresh", [("both", true), ("out", false)]) ?? box.isRefreshedByInbound
        box.poolSize = try number(prefix + "pool", 1...16) ?? box.poolSize
        if let most = try number(prefix + "maxflows", 0...65_535) { box.capacity = most == 0 ? nil : most }
        box.tracksWindows = try choice(prefix + "track", [("1", true), ("0", false)]) ?? box.tracksWindows
        box.dropsICMP = try choice(prefix + "icmp", [("pass", false), ("drop", true)]) ?? box.dropsICMP
    }

    private mutating func choice<Value>(
        _ option: String,
        _ words: [(name: String, value: Value)]
    ) throws(SiteSpecificationError) -> Value? {
        guard let word = take(option) else { return nil }
        if let found = words.first(where: { $0.name == word.value }) { return found.value }
        let names = words.map(\.name)
        let nearest = KeySuggestion.nearest(to: word.value, among: names).map { "\(option)=\($0)" }
        throw word.error(.unknownValue(option: option, among: names), nearest: nearest)
    }

    private mutating func number(_ option: String, _ range: ClosedRange<Int>) throws(SiteSpecificationError) -> Int? {
        guard let word = take(option) else { return nil }
        guard word.value.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(word.value),
            range.contains(number)
        else { throw word.error(.notANumber(option: option, range)) }
        return number
    }
}

extension SiteWord {
    /// What a carrier's NAT does with the transport that was not named.
    static let usualCarrier = TransportRule.nat(
        NATRule(.endpointIndependent, .addressAndPortDependent, .preserving)
    )
}
