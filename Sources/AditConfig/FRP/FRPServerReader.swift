// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads frps's schema.
enum FRPServerReader {
    static let atlas = ReadingContext.list(ignoresCase: true) { _ = read($0) }

    static func read(_ top: ScopeReader) -> FRPServerConfiguration {
        var server = FRPServerConfiguration()
        server.auth = FRPSharedReader.auth(top, isServer: true)
        server.log = FRPSharedReader.log(top)
        server.webServer = FRPSharedReader.webServer(top)
        server.bindAddr = top.string("bindAddr", default: server.bindAddr)
        server.bindPort = top.frpPort("bindPort", default: server.bindPort)
        server.proxyBindAddr = top.string("proxyBindAddr", default: server.bindAddr)
        server.vhostHTTPPort = top.port("vhostHTTPPort") ?? 0
        server.vhostHTTPTimeout = top.frpSeconds("vhostHTTPTimeout", default: server.vhostHTTPTimeout)
        server.vhostHTTPSPort = top.port("vhostHTTPSPort") ?? 0
        server.subDomainHost = top.string("subDomainHost") ?? ""
        server.custom404Page = top.string("custom404Page") ?? ""
        server.maxPortsPerClient = top.integer("maxPortsPerClient", in: 0...65535) ?? 0
        server.detailedErrorsToClient = top.boolean("detailedErrorsToClient") ?? true
        server.userConnTimeout = top.frpSeconds("userConnTimeout", default: server.userConnTimeout)
        server.udpPacketSize = top.frpInteger(
            "udpPacketSize",
            in: 1...65507,
            default: server.udpPacketSize
        )
        server.allowPorts = allowPorts(top)
        server.enablePrometheus = top.boolean("enablePrometheus") ?? false
        if server.enablePrometheus { top.unsupported(top.entry("enablePrometheus"), essential: false) }
        _ = port(top, "kcpBindPort")
        _ = port(top, "quicBindPort")
        _ = port(top, "tcpmuxHTTPConnectPort")
        _ = top.boolean("tcpmuxPassthrough")
        _ = top.integer("natholeAnalysisDataReserveHours", in: 0...1_000_000)
        if let gateway = top.table("sshTunnelGateway") {
            _ = port(gateway, "bindPort")
            for key in ["privateKeyFile", "autoGenPrivateKeyPath", "authorizedKeysFile"] {
                _ = gateway.string(key)
            }
            gateway.finish()
        }
        for plugin in top.tables("httpPlugins") {
            for key in ["name", "addr", "path"] { _ = plugin.string(key) }
            _ = plugin.strings("ops")
            _ = plugin.boolean("tlsVerify")
            plugin.finish()
        }
        top.unsupported(top.entry("httpPlugins"))
        server.transport = transport(top)
        top.finish()
        return server
    }

    /// The port of something that this version does not have.
    private static func port(_ scope: ScopeReader, _ key: String) -> UInt16 {
        let port = scope.port(key) ?? 0
        if port != 0 { scope.unsupported(scope.entry(key)) }
        return port
    }

    private static func transport(_ top: ScopeReader) -> FRPServerConfiguration.Transport {
        var transport = FRPServerConfiguration.Transport()
        guard let scope = top.table("transport") else { return transport }
        transport.tcpMux = scope.boolean("tcpMux") ?? true
        transport.tcpMuxKeepaliveInterval = scope.frpSeconds("tcpMuxKeepaliveInterval", default: 30)
        transport.tcpKeepalive = scope.frpSeconds("tcpKeepalive", default: 7200)
        transport.maxPoolCount = scope.frpInteger("maxPoolCount", in: 0...10000, default: 5)
        transport.heartbeatTimeout = scope.frpSeconds(
            "heartbeatTimeout",
            default: transport.tcpMux ? -1 : 90
        )
        FRPSharedReader.quic(scope)
        if let tls = scope.table("tls") {
            transport.tls = FRPSharedReader.files(tls)
            transport.tlsForce = tls.boolean("force") ?? false
            if !transport.tls.trustedCaFile.isEmpty {
                transport.tlsForce = true
            }
            tls.finish()
        }
        scope.finish()
        return transport
    }

    private static func allowPorts(_ top: ScopeReader) -> PortRangeList? {
        if let entry = top.entry("allowPorts"), case .untyped(let text) = entry.node.value {
            guard !text.isEmpty else { return nil }
            do {
                return try PortRangeList(parsing: text)
            } catch {
                top.wrong(entry, error.what)
                return nil
            }
        }
        let scopes = top.tables("allowPorts")
        guard !scopes.isEmpty else { return nil }
        var ranges: [ClosedRange<UInt16>] = []
        for scope in scopes {
            let single = scope.integer("single", in: 1...65535)
            let start = scope.integer("start", in: 1...65535)
            let end = scope.integer("end", in: 1...65535)
            if let single, start == nil, end == nil {
                ranges.append(UInt16(single)...UInt16(single))
            } else if single == nil, let start, let end, start <= end {
                ranges.append(UInt16(start)...UInt16(end))
            } else if scope.entry("single") == nil, let start, let end {
                scope.context.add(
                    Text("the range \(start)-\(end) runs backwards", zh: "范围 \(start)-\(end) 的起点大于终点"),
                    at: scope.position,
                    key: scope.path
                )
            } else if [single, start, end].contains(where: { $0 != nil }) || scope.path.isEmpty == false {
                scope.context.add(
                    Text("either single, or start and end, is needed", zh: "需要 single,或 start 和 end"),
                    at: scope.position,
                    key: scope.path
                )
            }
            scope.finish()
        }
        return PortRangeList(ranges)
    }
}
