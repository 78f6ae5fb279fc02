// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal

extension NATConfiguration {
    /// What a box of the language of sites does in the lab.
    package init(_ box: BoxSpecification, foreignFlows: Double = 0) {
        self.init(
            udp: NATBehavior(
                box,
                box.udp,
                idle: box.udpLifetime,
                transitory: box.udpLifetime,
                foreignFlows,
                isTCP: false
            ),
            tcp: NATBehavior(
                box,
                box.tcp,
                idle: box.tcpLifetime,
                transitory: box.synLifetime,
                foreignFlows,
                isTCP: true
            )
        )
        passesICMP = !box.dropsICMP
    }
}

extension NATBehavior {
    fileprivate init(
        _ box: BoxSpecification,
        _ rule: TransportRule,
        idle: Int,
        transitory: Int,
        _ foreignFlows: Double,
        isTCP: Bool
    ) {
        switch rule {
        case .open: self = .open
        case .blocked: self = .blocked
        case .web where !isTCP: self = .blocked
        case .firewall: self = .firewall()
        case .nat, .web:
            let nat = rule.nat ?? NATRule(.endpointIndependent, .addressAndPortDependent, .preserving)
            self.init(nat.mapping, nat.filtering, nat.allocation)
        }
        if rule == .web { allowedPorts = [80, 443] }
        timers = NATTimers(
            idle: .seconds(idle),
            transitory: .seconds(transitory),
            inboundRefreshes: box.isRefreshedByInbound
        )
        timers.isAbsolute = box.isLifetimeAbsolute
        hairpinning = box.hasHairpin ? .externalSource : .none
        pooling = box.poolSize > 1 ? .arbitrary : .paired
        unsolicited =
            switch box.unsolicited {
            case .drop: .drop
            case .reset: .reset
            case .accept: .accept
            }
        tracksWindows = box.tracksWindows
        capacity = box.capacity
        if let range = box.sequenceRange { portRange = range }
        foreignFlowsPerSecond = foreignFlows
    }
}
