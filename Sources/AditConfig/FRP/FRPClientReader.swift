// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads frpc's schema.
enum FRPClientReader {
    static let atlas = ReadingContext.list(ignoresCase: true) { _ = read($0) }

    private enum TransportProtocol: String, CaseIterable {
        case tcp
        case kcp
        case quic
        case websocket
        case wss
    }

    static func read(_ top: ScopeReader) -> FRPClientConfiguration {
        var client = FRPClientConfiguration()
        client.auth = FRPSharedReader.auth(top, isServer: false)
        client.log = FRPSharedReader.log(top)
        client.webServer = FRPSharedReader.webServer(top)
        client.serverAddr = top.string("serverAddr", default: client.serverAddr)
        client.serverPort = top.frpPort("serverPort", default: client.serverPort)
        client.user = top.string("user") ?? ""
        client.clientID = top.string("clientID") ?? ""
        client.dnsServer = top.string("dnsServer") ?? ""
        if !client.dnsServer.isEmpty { top.unsupported(top.entry("dnsServer")) }
        client.loginFailExit = top.boolean("loginFailExit") ?? true
        client.start = top.strings("start") ?? []
        client.metadatas = top.stringMap("metadatas") ?? [:]
        client.includes = top.strings("includes") ?? []
        client.udpPacketSize = top.frpInteger(
            "udpPacketSize",
            in: 1...65507,
            default: client.udpPacketSize
        )
        _ = top.string("natHoleStunServer")
        if let store = top.table("store") {
            client.storePath = store.string("path") ?? ""
            if !client.storePath.isEmpty { store.unsupported(store.entry("path"), essential: false) }
            store.finish()
        }
        if let network = top.table("virtualNet") {
            if network.string("address")?.isEmpty == false {
                network.unsupported(network.entry("address"))
            }
            network.finish()
        }
        if let gates = top.table("featureGates") {
            _ = gates.boolean("VirtualNet")
            gates.finish()
        }
        client.transport = transport(top)
        (client.proxies, client.visitors) = services(top)
        top.finish()
        return client
    }

    /// Reads only proxies and visitors, which is what frp takes from an included file; the other keys must still fit.
    static func services(
        _ top: ScopeReader
    ) -> (proxies: [FRPProxyConfiguration], visitors: [FRPVisitorConfiguration]) {
        let proxies = top.tables("proxies").compactMap(FRPProxyReader.read)
        let visitors = top.tables("visitors").compactMap(FRPVisitorReader.read)
        var names: [String: SourcePosition] = [:]
        for (name, position) in proxies.map({ ($0.name, $0.position) }) {
            refuseTwins(name, position, &names, top.context)
        }
        names = [:]
        for (name, position) in visitors.map({ ($0.name, $0.position) }) {
            refuseTwins(name, position, &names, top.context)
        }
        return (proxies, visitors)
    }

    private static func refuseTwins(
        _ name: String,
        _ position: SourcePosition,
        _ names: inout [String: SourcePosition],
        _ context: ReadingContext
    ) {
        if let earlier = names[name] {
            let shown = SourceText.printable(name)
            context.add(
                Text(
                    "the name \"\(shown)\" is taken in line \(earlier.line)",
                    zh: "名称 \"\(shown)\" 已在第 \(earlier.line) 行使用"
                ),
                at: position,
                key: shown
            )
        } else {
            names[name] = position
        }
    }

    private static func transport(_ top: ScopeReader) -> FRPClientConfiguration.Transport {
        var transport = FRPClientConfiguration.Transport()
        guard let scope = top.table("transport") else { return transport }
        transport.protocol = scope.word("protocol", TransportProtocol.self)?.rawValue ?? "tcp"
        if transport.protocol != "tcp" { scope.unsupported(scope.entry("protocol")) }
        transport.wireProtocol =
            scope.word("wireProtocol", FRPClientConfiguration.WireProtocol.self) ?? .v1
        transport.dialServerTimeout = scope.frpSeconds("dialServerTimeout", default: 10)
        transport.dialServerKeepalive = scope.frpSeconds("dialServerKeepalive", default: 7200)
        transport.connectServerLocalIP = scope.string("connectServerLocalIP") ?? ""
        if !transport.connectServerLocalIP.isEmpty {
            scope.unsupported(scope.entry("connectServerLocalIP"))
        }
        transport.proxyURL = scope.string("proxyURL") ?? ""
        if !transport.proxyURL.isEmpty { scope.unsupported(scope.entry("proxyURL")) }
        transport.poolCount = scope.frpInteger("poolCount", in: 0...1000, default: 1)
        transport.tcpMux = scope.boolean("tcpMux") ?? true
        transport.tcpMuxKeepaliveInterval = scope.frpSeconds("tcpMuxKeepaliveInterval", default: 30)
        transport.heartbeatInterval = scope.frpSeconds(
            "heartbeatInterval",
            default: transport.tcpMux ? -1 : 30
        )
        transport.heartbeatTimeout = scope.frpSeconds(
            "heartbeatTimeout",
            default: transport.tcpMux ? -1 : 90
        )
        if transport.heartbeatInterval > 0, transport.heartbeatTimeout > 0,
            transport.heartbeatTimeout < transport.heartbeatInterval
        {
            let place = scope.entry("heartbeatTimeout") ?? scope.entry("heartbeatInterval")
            scope.context.add(
                Text(
                    "heartbeatTimeout (\(transport.heartbeatTimeout)) is below heartbeatInterval (\(transport.heartbeatInterval))",
                    zh:
                        "heartbeatTimeout(\(transport.heartbeatTimeout))小于 heartbeatInterval(\(transport.heartbeatInterval))"
                ),
                at: place?.node.position ?? scope.position,
                key: place.map(scope.keyPath) ?? "transport.heartbeatTimeout"
            )
        }
        FRPSharedReader.quic(scope)
        if let tls = scope.table("tls") {
            transport.tls = FRPSharedReader.files(tls)
            transport.tlsEnable = tls.boolean("enable") ?? true
            transport.disableCustomTLSFirstByte = tls.boolean("disableCustomTLSFirstByte") ?? true
            transport.tlsServerName = tls.string("serverName") ?? ""
            tls.finish()
        }
        scope.finish()
        return transport
    }
}
