// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Turns frpc's configuration into a device's.
enum ClientImport {
    static func convert(_ client: FRPClientConfiguration, from fileName: String) -> ConfigurationImport {
        var notes: [String] = []
        var file = TOMLText()
        file.comment("A device's configuration, made from \(fileName).")
        file.blank()
        server(client, &file, &notes)
        ImportNotes.token(client.auth, &file, &notes)
        if client.auth.token.isEmpty, client.auth.tokenSource == nil {
            file.comment("There is no token: join the server by invite, or write token = \"…\".")
        }
        if client.log.level != .info { file.set("logLevel", client.log.level.rawValue) }
        if client.log.to != "console" { notes.append("log.to \(client.log.to): Adit logs to the console") }
        if !client.user.isEmpty { notes.append("user \(client.user): Adit knows devices by their keys") }
        for pattern in client.includes { notes.append("includes \(pattern): import those files as well") }
        let started = Set(client.startedProxies.map(\.name))
        for proxy in client.proxies {
            file.blank()
            var lines = TOMLText()
            let isCarried = tunnel(proxy, &lines, &notes)
            guard isCarried else {
                file.comment("\(proxy.name), of type \(proxy.type.rawValue), could not be carried over.")
                continue
            }
            if started.contains(proxy.name) {
                for line in lines.lines { file.line(line) }
            } else {
                file.comment("Switched off in \(fileName):")
                for line in lines.lines { file.line("# " + line) }
            }
        }
        // What a proxy's own lines say already is not said twice.
        for feature in client.unsupportedFeatures where !feature.keyPath.hasSuffix(".type") {
            notes.append(ImportNotes.missing(feature))
        }
        for visitor in client.visitors {
            notes.append("visitor \(visitor.name): a service of a device is reached by  adit connect NAME/SERVICE")
        }
        ImportNotes.write(notes, to: &file)
        return ConfigurationImport(role: .client, text: file.text, notCarriedOver: notes)
    }

    private static func server(_ client: FRPClientConfiguration, _ file: inout TOMLText, _ notes: inout [String]) {
        let host = client.serverAddr.contains(":") ? "[\(client.serverAddr)]" : client.serverAddr
        let text = "\(host):\(client.serverPort)"
        if HostPort(text) != nil, client.serverAddr != "0.0.0.0" {
            file.set("server", text)
        } else if client.serverAddr == "0.0.0.0" {
            file.set("server", "127.0.0.1:\(client.serverPort)")
        } else {
            notes.append("serverAddr \(client.serverAddr): it is not an address")
        }
    }

    /// Writes the tunnel of a proxy; false when Adit has no such kind.
    private static func tunnel(
        _ proxy: FRPProxyConfiguration,
        _ file: inout TOMLText,
        _ notes: inout [String]
    ) -> Bool {
        let what = "proxy \(proxy.name): "
        guard [.tcp, .udp, .http, .https].contains(proxy.type) else {
            notes.append(what + "Adit does not have tunnels of type \(proxy.type.rawValue) yet")
            return false
        }
        guard proxy.plugin == nil, proxy.localPort != 0 else { return false }
        let host = proxy.localIP.contains(":") ? "[\(proxy.localIP)]" : proxy.localIP
        guard HostPort("\(host):\(proxy.localPort)") != nil else {
            notes.append(what + "localIP \(proxy.localIP) is not an address")
            return false
        }
        let hasPassword = !proxy.httpUser.isEmpty || !proxy.httpPassword.isEmpty
        if hasPassword, proxy.httpUser.isEmpty || proxy.httpPassword.isEmpty || proxy.httpUser.contains(":") {
            // Carried over without its password it would be open to everybody.
            notes.append(what + "httpUser and httpPassword: Adit needs both, and no colon in the user")
            return false
        }
        file.comment(proxy.name)
        file.line("[[tunnels]]")
        file.set("kind", proxy.type == .https ? "tls" : proxy.type.rawValue)
        file.set("target", "\(host):\(proxy.localPort)")
        if proxy.type == .tcp || proxy.type == .udp {
            if proxy.remotePort != 0 { file.set("port", proxy.remotePort) }
        } else {
            names(proxy, what, &file, &notes)
            if proxy.type == .http { http(proxy, what, &file, &notes) }
        }
        if let limit = proxy.bandwidthLimit { file.set("bandwidth", limit.description) }
        if let version = proxy.proxyProtocolVersion {
            if proxy.type == .http {
                notes.append(what + "transport.proxyProtocolVersion: the app gets X-Forwarded-For")
            } else {
                file.set("proxyProtocol", version.rawValue)
            }
        }
        if proxy.useEncryption { notes.append(what + "transport.useEncryption: a session of Adit is always encrypted") }
        if proxy.useCompression { notes.append(what + "transport.useCompression: Adit does not compress") }
        return true
    }

    private static func names(
        _ proxy: FRPProxyConfiguration,
        _ what: String,
        _ file: inout TOMLText,
        _ notes: inout [String]
    ) {
        let name = proxy.subdomain.lowercased()
        if !name.isEmpty {
            if DomainName.isLabel(Substring(name)), !name.contains("_") {
                file.set("name", name)
            } else {
                notes.append(what + "subdomain \(proxy.subdomain) is not a name")
            }
        }
        var domains: [String] = []
        for domain in proxy.customDomains {
            if let found = DomainName(pattern: domain), domain != "*" {
                domains.append(found.text)
            } else {
                notes.append(what + "customDomains \(domain) is not a domain for Adit")
            }
        }
        if !domains.isEmpty { file.set("domains", domains) }
    }

    private static func http(
        _ proxy: FRPProxyConfiguration,
        _ what: String,
        _ file: inout TOMLText,
        _ notes: inout [String]
    ) {
        if !proxy.httpUser.isEmpty { file.set("auth", ["\(proxy.httpUser):\(proxy.httpPassword)"]) }
        file.set("hostHeader", proxy.hostHeaderRewrite.isEmpty ? "keep" : proxy.hostHeaderRewrite)
        if !proxy.requestHeaders.isEmpty { file.set("requestHeaders", proxy.requestHeaders) }
        if !proxy.responseHeaders.isEmpty { notes.append(what + "responseHeaders: Adit does not set them") }
        if !proxy.locations.isEmpty, proxy.locations != ["/"] {
            notes.append(what + "locations: a tunnel of Adit serves every path")
        }
        if !proxy.routeByHTTPUser.isEmpty { notes.append(what + "routeByHTTPUser: Adit routes by name alone") }
    }
}
