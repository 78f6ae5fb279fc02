// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads one table of frpc's `[[proxies]]`.
enum FRPProxyReader {
    private typealias Kind = FRPProxyConfiguration.Kind

    private enum Side: String, CaseIterable {
        case client
        case server
    }

    static func read(_ scope: ScopeReader) -> FRPProxyConfiguration? {
        if scope.context.isListing {
            for kind in Kind.allCases { _ = read(scope, kind, name: "") }
            return nil
        }
        let name = scope.string("name") ?? ""
        if name.isEmpty, scope.entry("name") == nil || scope.string("name") != nil {
            scope.missing("name")
        }
        guard let kind = scope.word("type", Kind.self) else {
            if scope.entry("type") == nil {
                scope.missing("type", hint: Text("such as type = \"tcp\"", zh: "例如 type = \"tcp\""))
            }
            return nil
        }
        return read(scope, kind, name: name)
    }

    private static func read(_ scope: ScopeReader, _ kind: Kind, name: String)
        -> FRPProxyConfiguration
    {
        _ = scope.entry("name")
        _ = scope.entry("type")
        scope.narrow(to: "proxies (\(kind.rawValue))")
        var proxy = FRPProxyConfiguration(name: name, type: kind, position: scope.position)
        if kind == .tcpmux { scope.unsupported(scope.entry("type")) }
        proxy.enabled = scope.boolean("enabled") ?? true
        proxy.annotations = scope.stringMap("annotations") ?? [:]
        proxy.metadatas = scope.stringMap("metadatas") ?? [:]
        proxy.localIP = scope.string("localIP", default: proxy.localIP)
        proxy.localPort = scope.port("localPort") ?? 0
        proxy.plugin = scope.table("plugin").flatMap(FRPPluginReader.read)
        if scope.entry("plugin") != nil {
            scope.unsupported(scope.entry("plugin"))
        } else if proxy.localPort == 0 {
            if let entry = scope.entry("localPort") {
                if entry.node.value == .integer(0) || entry.node.value == .untyped("0") {
                    scope.wrong(entry, Text("0 is not a port of a service", zh: "0 不是服务的端口"))
                }
            } else {
                scope.missing("localPort")
            }
        }
        transport(scope, &proxy)
        if let balancer = scope.table("loadBalancer") {
            proxy.group = balancer.string("group") ?? ""
            proxy.groupKey = balancer.string("groupKey") ?? ""
            if !proxy.group.isEmpty { balancer.unsupported(balancer.entry("group")) }
            balancer.finish()
        }
        healthCheck(scope, &proxy)
        specific(scope, &proxy)
        scope.finish()
        return proxy
    }

    private static func specific(_ scope: ScopeReader, _ proxy: inout FRPProxyConfiguration) {
        switch proxy.type {
        case .tcp, .udp:
            proxy.remotePort = scope.port("remotePort") ?? 0
        case .http:
            domains(scope, &proxy)
            proxy.locations = scope.strings("locations") ?? []
            credentials(scope, &proxy)
            proxy.hostHeaderRewrite = scope.string("hostHeaderRewrite") ?? ""
            proxy.requestHeaders = FRPSharedReader.headers(scope, "requestHeaders")
            proxy.responseHeaders = FRPSharedReader.headers(scope, "responseHeaders")
        case .https:
            domains(scope, &proxy)
        case .tcpmux:
            domains(scope, &proxy)
            credentials(scope, &proxy)
            proxy.multiplexer = scope.string("multiplexer") ?? ""
            if let entry = scope.entry("multiplexer") {
                if proxy.multiplexer != "httpconnect" {
                    scope.wrongWord(entry, proxy.multiplexer, ["httpconnect"])
                }
            } else if !scope.context.isListing {
                scope.missing("multiplexer", hint: Text(verbatim: "multiplexer = \"httpconnect\""))
            }
        case .stcp, .sudp, .xtcp:
            proxy.secretKey = scope.string("secretKey") ?? ""
            proxy.allowUsers = scope.strings("allowUsers") ?? []
            if proxy.type == .xtcp || scope.context.isListing, let traversal = scope.table("natTraversal") {
                _ = traversal.boolean("disableAssistedAddrs")
                traversal.finish()
            }
        }
    }

    private static func credentials(_ scope: ScopeReader, _ proxy: inout FRPProxyConfiguration) {
        proxy.httpUser = scope.string("httpUser") ?? ""
        proxy.httpPassword = scope.string("httpPassword") ?? ""
        proxy.routeByHTTPUser = scope.string("routeByHTTPUser") ?? ""
    }

    private static func domains(_ scope: ScopeReader, _ proxy: inout FRPProxyConfiguration) {
        let domains = scope.items("customDomains") ?? []
        proxy.customDomains = domains.map(\.text)
        for (domain, position) in domains where DomainName(pattern: domain) == nil {
            let shown = SourceText.printable(domain)
            scope.context.add(
                Text(
                    "\"\(shown)\" is not a domain, no visitor can reach it",
                    zh: "\"\(shown)\" 不是域名,访问者无法到达"
                ),
                at: position,
                key: "\(scope.path).customDomains",
                hint: Text("a domain has no scheme, port or path", zh: "域名不含协议、端口和路径"),
                severity: .warning
            )
        }
        proxy.subdomain = scope.string("subdomain") ?? ""
        if let entry = scope.entry("subdomain"),
            proxy.subdomain.contains(where: { $0 == "." || $0 == "*" })
        {
            scope.wrong(
                entry,
                Text("a subdomain has neither . nor *", zh: "subdomain 不能含 . 或 *"),
                hint: Text("whole domains go into customDomains", zh: "完整域名请写入 customDomains")
            )
        }
        if proxy.customDomains.isEmpty, proxy.subdomain.isEmpty, scope.entry("customDomains") == nil,
            scope.entry("subdomain") == nil, !scope.context.isListing
        {
            scope.missing(
                "customDomains",
                hint: Text(
                    "a proxy of type \(proxy.type.rawValue) needs customDomains or subdomain",
                    zh: "\(proxy.type.rawValue) 类型需要 customDomains 或 subdomain"
                )
            )
        }
    }

    private static func transport(_ parent: ScopeReader, _ proxy: inout FRPProxyConfiguration) {
        guard let scope = parent.table("transport") else { return }
        proxy.useEncryption = scope.boolean("useEncryption") ?? false
        proxy.useCompression = scope.boolean("useCompression") ?? false
        if let text = scope.string("bandwidthLimit"), !text.isEmpty,
            let entry = scope.entry("bandwidthLimit")
        {
            proxy.bandwidthLimit = Bandwidth(text)
            if proxy.bandwidthLimit == nil {
                let shown = SourceText.printable(text)
                scope.wrong(
                    entry,
                    Text(
                        "\"\(shown)\" is not a bandwidth such as 1MB or 100KB",
                        zh: "\"\(shown)\" 不是带宽(如 1MB、100KB)"
                    )
                )
            }
        }
        proxy.bandwidthLimitMode = scope.word("bandwidthLimitMode", Side.self)?.rawValue ?? "client"
        if let text = scope.string("proxyProtocolVersion"), !text.isEmpty {
            proxy.proxyProtocolVersion = scope.word("proxyProtocolVersion", ProxyProtocolVersion.self)
        }
        scope.finish()
    }

    private static func healthCheck(_ parent: ScopeReader, _ proxy: inout FRPProxyConfiguration) {
        guard let scope = parent.table("healthCheck") else { return }
        let kind = scope.word("type", FRPProxyConfiguration.HealthCheck.Kind.self)
        var check = FRPProxyConfiguration.HealthCheck(type: kind ?? .tcp)
        check.timeoutSeconds = scope.frpInteger("timeoutSeconds", in: 0...86400, default: 3)
        check.maxFailed = scope.frpInteger("maxFailed", in: 0...1_000_000, default: 1)
        check.intervalSeconds = scope.frpInteger("intervalSeconds", in: 0...86400, default: 10)
        check.path = scope.string("path") ?? ""
        for header in scope.tables("httpHeaders") {
            let value = header.string("value") ?? ""
            if let name = header.string("name") { check.httpHeaders[name] = value }
            header.finish()
        }
        if kind == .http, check.path.isEmpty { scope.missing("path") }
        if kind != nil {
            proxy.healthCheck = check
            scope.unsupported(scope.entry("type"), essential: false)
        }
        scope.finish()
    }
}
