// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads the mapping behaviour off what targets saw (RFC 5780 section 4.3, over many sockets).
struct MappingInference {
    /// How often two targets saw one socket as the same, and how often not.
    private struct Evidence {
        var same = 0
        var different = 0

        var isEmpty: Bool { same + different == 0 }
        var isMixed: Bool { same > 0 && different > 0 }
    }

    /// Other port, same address.
    private var byPort = Evidence()
    /// Other address of the same server.
    private var byAddress = Evidence()
    /// Another server, counted by sockets.
    private var byServer = Evidence()
    private var hasForeignAddress = false
    private let socketCount: Int
    private let targetCount: Int

    init(_ samples: [MappingSample]) {
        let sockets = Dictionary(grouping: samples, by: \.socket).values
        socketCount = sockets.count { $0.count > 1 }
        targetCount = Set(samples.map(\.target.endpoint)).count
        for own in sockets {
            for (index, one) in own.enumerated() {
                for other in own[(index + 1)...] where other.target.endpoint != one.target.endpoint {
                    let isSame = one.external == other.external
                    if one.target.endpoint.address == other.target.endpoint.address {
                        Self.count(isSame, in: &byPort)
                    } else if one.target.server == other.target.server {
                        // Another port as well would not tell the two dependences apart.
                        let isSamePort = one.target.endpoint.port == other.target.endpoint.port
                        if isSame || isSamePort { Self.count(isSame, in: &byAddress) }
                    } else {
                        Self.count(isSame, in: &byServer)
                        if one.external.address != other.external.address { hasForeignAddress = true }
                    }
                }
            }
        }
    }

    private static func count(_ isSame: Bool, in evidence: inout Evidence) {
        if isSame { evidence.same += 1 } else { evidence.different += 1 }
    }

    var finding: NATFinding<MappingBehavior> {
        if targetCount == 0 { return .unknown(.noAnswer) }
        if targetCount == 1 { return .unknown(.oneAddress) }
        if byPort.isEmpty, byAddress.isEmpty, byServer.isEmpty { return .unknown(.fewAnswers) }
        var finding = own
        if socketCount < 2 { finding = finding.doubted(.fewAnswers) }
        return finding
    }

    private var own: NATFinding<MappingBehavior> {
        if byPort.different > 0 {
            return byPort.same > 0
                ? .likely(.addressAndPortDependent, .inconsistent) : .certain(.addressAndPortDependent)
        }
        if !byAddress.isEmpty {
            if byAddress.different > 0 {
                if byPort.isEmpty { return .likely(.addressAndPortDependent, .onePort) }
                return byAddress.same > 0
                    ? .likely(.addressDependent, .inconsistent) : .certain(.addressDependent)
            }
            return byServer.different > 0
                ? .likely(.endpointIndependent, .serversDisagree) : .certain(.endpointIndependent)
        }
        if !byServer.isEmpty {
            if byServer.different == 0 { return .certain(.endpointIndependent) }
            let doubt: NATDoubt =
                hasForeignAddress || byServer.isMixed ? .serversDisagree : .independentServers
            return .likely(byPort.same > 0 ? .addressDependent : .addressAndPortDependent, doubt)
        }
        return .likely(.endpointIndependent, .oneAddress)
    }
}

extension BehaviorObservations {
    /// Finds the servers that most others contradict: of three or more, those whose address for this machine none shares
    /// while at least two agree, or, when the others see one endpoint, those that see another.
    mutating func vote() {
        outvoted = []
        let servers = Set(samples.map(\.target.server))
        guard servers.count >= 3 else { return }
        var addresses: [Int: Set<IPAddress>] = [:]
        for sample in samples {
            addresses[sample.target.server, default: []].insert(sample.external.address)
        }
        for server in servers {
            guard let own = addresses[server] else { continue }
            let others = servers.subtracting([server]).compactMap { addresses[$0] }
            guard others.allSatisfy({ own.isDisjoint(with: $0) }) else { continue }
            let isAgreed = others.indices.contains { index in
                others.indices.contains { $0 > index && !others[$0].isDisjoint(with: others[index]) }
            }
            if isAgreed { outvoted.insert(server) }
        }
        for server in servers.subtracting(outvoted) where servers.subtracting(outvoted).count >= 3 {
            if isAlone(server) { outvoted.insert(server) }
        }
    }

    /// Whether all other servers, at least two, see every socket as one endpoint and this one never sees it so.
    private func isAlone(_ server: Int) -> Bool {
        var socketCount = 0
        for own in Dictionary(grouping: believed, by: \.socket).values {
            let others = own.filter { $0.target.server != server }
            let mine = own.filter { $0.target.server == server }
            guard !mine.isEmpty, Set(others.map(\.target.server)).count >= 2 else { continue }
            let seen = Set(others.map(\.external))
            guard seen.count == 1, !mine.contains(where: { seen.contains($0.external) }) else {
                return false
            }
            socketCount += 1
        }
        return socketCount >= 2
    }
}
