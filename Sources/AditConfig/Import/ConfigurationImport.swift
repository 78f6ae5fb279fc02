// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Turns frp's configuration into Adit's own.
package struct ConfigurationImport: Sendable, Equatable {
    /// Which program of frp the file is for.
    package enum Role: String, Sendable, Hashable, CaseIterable {
        case server = "frps"
        case client = "frpc"
    }

    /// Which program of frp the file is for.
    package let role: Role
    /// Adit's own file in TOML, with a comment for each thing that could not be carried over.
    package let text: String
    /// The same things, a line each, in English.
    package let notCarriedOver: [String]

    /// Reads a file of frps or frpc, whichever it is, and turns it into Adit's own form.
    package static func convert(
        bytes: [UInt8],
        fileName: String,
        environment: [String: String] = [:]
    ) throws(ConfigurationFaults) -> ConfigurationImport {
        switch role(bytes: bytes, fileName: fileName, environment: environment) {
        case .server:
            let loaded = try ConfigurationFile.loadFRPServer(
                bytes: bytes,
                fileName: fileName,
                environment: environment,
                isStrict: false
            )
            return ServerImport.convert(loaded.configuration, from: fileName)
        case .client:
            let loaded = try ConfigurationFile.loadFRPClient(
                bytes: bytes,
                fileName: fileName,
                environment: environment,
                isStrict: false
            )
            return ClientImport.convert(loaded.configuration, from: fileName)
        }
    }

    /// Which program a file is for: by its name, else by its keys.
    package static func role(bytes: [UInt8], fileName: String, environment: [String: String] = [:]) -> Role {
        let name = (fileName.split(separator: "/").last ?? "").lowercased()
        if name.contains("frps") { return .server }
        if name.contains("frpc") { return .client }
        // A client names its server or has proxies; whichever reading has fewer complaints is the right one.
        func complaints(_ load: () throws(ConfigurationFaults) -> [ConfigurationFault]) -> Int {
            do { return try load().count } catch { return error.faults.count }
        }
        let asServer = complaints { () throws(ConfigurationFaults) in
            try ConfigurationFile.loadFRPServer(bytes: bytes, fileName: fileName, environment: environment).warnings
        }
        let asClient = complaints { () throws(ConfigurationFaults) in
            try ConfigurationFile.loadFRPClient(bytes: bytes, fileName: fileName, environment: environment).warnings
        }
        return asServer < asClient ? .server : .client
    }
}

/// Turns frps's configuration into an Adit server's.
enum ServerImport {
    static func convert(_ server: FRPServerConfiguration, from fileName: String) -> ConfigurationImport {
        var notes: [String] = []
        var file = TOMLText()
        file.comment("An Adit server's configuration, made from \(fileName).")
        file.blank()
        if !server.subDomainHost.isEmpty {
            if DomainName(pattern: server.subDomainHost) != nil, !server.subDomainHost.hasPrefix("*") {
                file.set("domain", server.subDomainHost.lowercased())
            } else {
                notes.append("subDomainHost \(server.subDomainHost): it is not a domain")
            }
        }
        if let address = IPAddress(server.bindAddr) {
            if !address.isUnspecified || server.bindAddr != "0.0.0.0" { file.set("listen", address.description) }
        } else {
            notes.append("bindAddr \(server.bindAddr): Adit listens on an IP address")
        }
        if server.proxyBindAddr != server.bindAddr {
            notes.append("proxyBindAddr \(server.proxyBindAddr): Adit listens on one address")
        }
        file.set("sessionPort", server.bindPort)
        if server.vhostHTTPPort == 0 {
            notes.append("no vhostHTTPPort: Adit always serves names; this is its usual port")
            file.set("httpPort", 8080)
        } else if server.vhostHTTPPort == server.bindPort {
            notes.append("vhostHTTPPort \(server.vhostHTTPPort) is bindPort: Adit's two ports differ")
            file.set("httpPort", server.bindPort == 8080 ? 8081 : 8080)
        } else {
            file.set("httpPort", server.vhostHTTPPort)
        }
        if let ports = server.allowPorts, !ports.isEmpty {
            file.set("publicPorts", ports.description)
        } else {
            notes.append("no allowPorts: Adit gives out 20000-20999 unless publicPorts says otherwise")
        }
        ImportNotes.token(server.auth, &file, &notes)
        file.set("allowFRP", !server.auth.token.isEmpty)
        if !server.custom404Page.isEmpty { file.set("custom404Page", server.custom404Page) }
        if server.maxPortsPerClient > 0 { file.set("maxTunnelsPerDevice", min(server.maxPortsPerClient, 10000)) }
        if server.log.level != .info { file.set("logLevel", server.log.level.rawValue) }
        if server.log.to != "console" { notes.append("log.to \(server.log.to): Adit logs to the console") }
        if !server.transport.tls.certFile.isEmpty {
            notes.append("transport.tls.certFile: Adit makes its own key; devices pin it")
        }
        for feature in server.unsupportedFeatures { notes.append(ImportNotes.missing(feature)) }
        ImportNotes.write(notes, to: &file)
        return ConfigurationImport(role: .server, text: file.text, notCarriedOver: notes)
    }
}

/// What both directions write.
enum ImportNotes {
    static func token(_ auth: FRPAuthConfiguration, _ file: inout TOMLText, _ notes: inout [String]) {
        if !auth.token.isEmpty {
            file.set("token", auth.token)
        } else if auth.tokenSource != nil {
            notes.append("auth.tokenSource: write the token itself as token = \"…\"")
        }
    }

    static func missing(_ feature: UnsupportedFeature) -> String {
        let value = feature.value.isEmpty ? "" : " \(feature.value)"
        return "\(feature.keyPath)\(value) (line \(feature.position.line)): Adit does not have it yet"
    }

    static func write(_ notes: [String], to file: inout TOMLText) {
        guard !notes.isEmpty else { return }
        file.blank()
        file.comment("Not carried over:")
        for note in notes { file.comment("- " + note) }
    }
}
