// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTunnel
import NIOConcurrencyHelpers

extension AditServer {
    /// What a reload did, by the names of keys in Adit's configuration file.
    package struct ReloadOutcome: Sendable, Equatable {
        /// In force now.
        package var changed: [String] = []
        /// Different in the file, and only in force after a restart.
        package var needsRestart: [String] = []
    }

    /// Takes up what a new setup changes, as far as that is possible while the server runs.
    ///
    /// Sessions and tunnels that are open stay open, also those that the new setup would not allow.
    package func reload(_ wanted: ServerSetup) -> ReloadOutcome {
        var outcome = ReloadOutcome()
        let current = policy.setup
        var next = current
        func take<Value: Equatable>(_ key: String, _ path: WritableKeyPath<ServerSetup, Value>) {
            guard next[keyPath: path] != wanted[keyPath: path] else { return }
            next[keyPath: path] = wanted[keyPath: path]
            outcome.changed.append(key)
        }
        func leave<Value: Equatable>(_ key: String, _ path: KeyPath<ServerSetup, Value>) {
            if current[keyPath: path] != wanted[keyPath: path] { outcome.needsRestart.append(key) }
        }
        take("token", \.token)
        take("allowFRP", \.allowsFRP)
        take("reservedNames", \.reservedNames)
        take("publicPorts", \.publicPorts)
        take("drainSeconds", \.drain)
        take("custom404Page", \.notFoundPage)
        take("logLevel", \.logLevel)
        take("maxPortsPerClient", \.maximumPortsPerClient)
        take("detailedErrorsToClient", \.detailedErrors)
        take("redirectToHTTPS", \.redirectsToTLS)
        take("certificates", \.certificates)
        take("relay", \.relaysSessions)
        next.allowedPorts = wanted.allowedPorts
        next.allowsEmptyToken = wanted.allowsEmptyToken
        leave("listen", \.listen)
        leave("proxyBindAddr", \.tunnelListen)
        leave("sessionPort", \.sessionPort)
        leave("httpPort", \.httpPort)
        leave("httpsPort", \.httpsPort)
        leave("stun", \.stun)
        leave("turn", \.turn)
        leave("domain", \.domain)
        if current.domain == wanted.domain { leave("publicHost", \.publicHost) }
        leave("maxTunnelsPerDevice", \.maximumTunnels)
        leave("maxConnectionsPerDevice", \.maximumConnectionsPerDevice)
        leave("bandwidthPerDevice", \.bandwidthPerDevice)
        leave("tls", \.tlsFiles)
        leave("tls.force", \.tlsForced)
        leave("userConnTimeout", \.visitorTimeout)
        leave("vhostHTTPTimeout", \.responseTimeout)
        leave("maxPoolCount", \.maximumPoolCount)
        leave("heartbeatTimeout", \.heartbeatTimeout)
        let settled = next
        policy.changeable.withLockedValue { $0.setup = settled }
        if outcome.changed.contains("custom404Page") { names.setUnknownNamePage(settled.notFoundPage) }
        if outcome.changed.contains("publicPorts") {
            table.box.withLockedValue { $0.pool = PortPool(ranges: settled.publicPorts.ranges) }
        }
        return outcome
    }
}
