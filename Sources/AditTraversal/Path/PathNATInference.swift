// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What a peer is told of the NAT: what discovery found out, and where it found nothing, what gathering shows by the way.
enum PathNATInference {
    static func nat(_ report: NATReport?, links: [PathLink], stunTCP: Bool, at now: Instant) -> PathNAT {
        var nat = report.map { PathNAT($0) } ?? .unknown
        if let link = links.first(where: { !$0.isV6 && !$0.gathering.servers.isEmpty }) {
            look(at: link, &nat, at: now)
        }
        if nat.hasIPv6 == nil, let link = links.first(where: { $0.isV6 && !$0.gathering.servers.isEmpty }) {
            if !link.gathering.answers.isEmpty { nat.hasIPv6 = true }
            if link.gathering.isSilent(at: now) { nat.hasIPv6 = false }
        }
        if links.contains(where: { $0.mapped != nil }) { nat.opensPorts = true }
        return nat
    }

    private static func look(at link: PathLink, _ nat: inout PathNAT, at now: Instant) {
        let answers = link.gathering.judged.compactMap { $0 }
        guard let first = answers.first else {
            if nat.udp.kind == nil, link.gathering.isSilent(at: now) { nat.udp.kind = .blocked }
            return
        }
        // What discovery says is older than what was seen just now.
        if nat.udp.kind == .blocked { nat.udp.kind = nil }
        if nat.address == nil { nat.address = first.address }
        guard answers.count > 1 else { return }
        let isConstant = Set(answers).count == 1
        if nat.udp.mapping == nil || (nat.udp.mapping == .endpointIndependent) != isConstant {
            nat.udp.mapping = isConstant ? .endpointIndependent : mapping(link.gathering)
            if !isConstant { nat.udp.kind = .symmetric }
        }
        guard nat.udp.allocation == nil else { return }
        switch PortSamples(answers).kind {
        case .sequential(let step): nat.udp.allocation = .sequential(step: step)
        case .block(let range): nat.udp.allocation = .block(range)
        case .random, .scattered: nat.udp.allocation = .random
        case .constant, .unknown: break
        }
    }

    /// By address alone when both ports of one server saw the same.
    private static func mapping(_ gathering: PathGathering) -> MappingBehavior {
        var seenOf: [IPAddress: Set<IPEndpoint>] = [:]
        var countOf: [IPAddress: Int] = [:]
        for (server, seen) in zip(gathering.servers, gathering.judged) {
            guard let seen else { continue }
            seenOf[server.address, default: []].insert(seen)
            countOf[server.address, default: 0] += 1
        }
        let isTested = countOf.values.contains { $0 > 1 }
        return isTested && seenOf.values.allSatisfy { $0.count == 1 } ? .addressDependent : .addressAndPortDependent
    }
}
