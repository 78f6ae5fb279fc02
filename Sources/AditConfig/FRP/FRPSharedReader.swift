// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension ScopeReader {
    /// A whole number where frp takes zero for "not given".
    func frpInteger(_ key: String, in range: ClosedRange<Int>, default fallback: Int) -> Int {
        guard let value = integer(key, in: min(range.lowerBound, 0)...range.upperBound), value != 0
        else {
            return fallback
        }
        return value
    }

    /// Seconds, where a negative number switches off and zero means "not given".
    func frpSeconds(_ key: String, default fallback: Int) -> Int {
        guard let value = integer(key, in: -1_000_000...1_000_000), value != 0 else { return fallback }
        return value
    }

    /// A port where zero means "not given".
    func frpPort(_ key: String, default fallback: UInt16) -> UInt16 {
        guard let port = port(key), port != 0 else { return fallback }
        return port
    }
}

/// Reads the tables that frps and frpc have in common.
enum FRPSharedReader {
    private enum SourceKind: String, CaseIterable {
        case file
        case exec
    }

    static func auth(_ top: ScopeReader, isServer: Bool) -> FRPAuthConfiguration {
        var auth = FRPAuthConfiguration()
        guard let scope = top.table("auth") else { return auth }
        auth.method = scope.word("method", FRPAuthConfiguration.Method.self) ?? .token
        if auth.method == .oidc { scope.unsupported(scope.entry("method")) }
        for (text, position) in scope.items("additionalScopes") ?? [] {
            if let found = FRPAuthConfiguration.Scope(rawValue: text) {
                auth.additionalScopes.insert(found)
            } else {
                let words = FRPAuthConfiguration.Scope.allCases.map(\.rawValue)
                scope.wrongWord(
                    .init(
                        key: "additionalScopes",
                        keyPosition: position,
                        node: ConfigurationNode(.string(text), at: position)
                    ),
                    text,
                    words
                )
            }
        }
        auth.token = scope.string("token") ?? ""
        if let source = scope.table("tokenSource") {
            auth.tokenSource = valueSource(source)
            if !auth.token.isEmpty, let entry = scope.entry("tokenSource") {
                scope.context.add(
                    Text("token and tokenSource exclude each other", zh: "token 与 tokenSource 不能同时使用"),
                    at: entry.keyPosition,
                    key: scope.keyPath(entry)
                )
            }
        }
        oidc(scope, isServer: isServer)
        scope.finish()
        return auth
    }

    private static func oidc(_ auth: ScopeReader, isServer: Bool) {
        guard let scope = auth.table("oidc") else { return }
        _ = scope.string("audience")
        if isServer {
            _ = scope.string("issuer")
            _ = scope.boolean("skipExpiryCheck")
            _ = scope.boolean("skipIssuerCheck")
        } else {
            for key in [
                "clientID", "clientSecret", "scope", "tokenEndpointURL", "trustedCaFile", "proxyURL",
            ] {
                _ = scope.string(key)
            }
            _ = scope.stringMap("additionalEndpointParams")
            _ = scope.boolean("insecureSkipVerify")
            if let source = scope.table("tokenSource") { _ = valueSource(source) }
        }
        scope.finish()
    }

    private static func valueSource(_ scope: ScopeReader) -> FRPValueSource? {
        defer { scope.finish() }
        let file = scope.table("file")
        let path = file?.string("path")
        file?.finish()
        let exec = scope.table("exec")
        let command = exec?.string("command")
        let arguments = exec?.strings("args") ?? []
        var environment: [String: String] = [:]
        for variable in exec?.tables("env") ?? [] {
            if let name = variable.string("name") { environment[name] = variable.string("value") ?? "" }
            variable.finish()
        }
        exec?.finish()
        guard let kind = scope.word("type", SourceKind.self) else {
            if scope.entry("type") == nil { scope.missing("type") }
            return nil
        }
        switch kind {
        case .file:
            guard let path, !path.isEmpty else {
                scope.missing("file.path")
                return nil
            }
            return .file(path: path)
        case .exec:
            guard let command, !command.isEmpty else {
                scope.missing("exec.command")
                return nil
            }
            return .exec(command: command, arguments: arguments, environment: environment)
        }
    }

    static func log(_ top: ScopeReader) -> FRPLogConfiguration {
        var log = FRPLogConfiguration()
        guard let scope = top.table("log") else { return log }
        log.to = scope.string("to", default: log.to)
        log.level = scope.word("level", LogLevel.self) ?? log.level
        log.maxDays = scope.frpInteger("maxDays", in: 0...100_000, default: log.maxDays)
        log.disablePrintColor = scope.boolean("disablePrintColor") ?? false
        scope.finish()
        return log
    }

    static func webServer(_ top: ScopeReader, defaultAddress: String = "127.0.0.1")
        -> FRPWebServerConfiguration
    {
        var web = FRPWebServerConfiguration()
        web.addr = defaultAddress
        guard let scope = top.table("webServer") else { return web }
        web.addr = scope.string("addr", default: web.addr)
        web.port = scope.port("port") ?? 0
        if web.port != 0 { scope.unsupported(scope.entry("port"), essential: false) }
        web.user = scope.string("user") ?? ""
        web.password = scope.string("password") ?? ""
        web.assetsDir = scope.string("assetsDir") ?? ""
        web.pprofEnable = scope.boolean("pprofEnable") ?? false
        if let tls = scope.table("tls") {
            web.tls = files(tls)
            tls.finish()
        }
        scope.finish()
        return web
    }

    static func files(_ scope: ScopeReader) -> FRPTLSFiles {
        var files = FRPTLSFiles()
        files.certFile = scope.string("certFile") ?? ""
        files.keyFile = scope.string("keyFile") ?? ""
        files.trustedCaFile = scope.string("trustedCaFile") ?? ""
        return files
    }

    static func quic(_ transport: ScopeReader) {
        guard let scope = transport.table("quic") else { return }
        _ = scope.integer("keepalivePeriod", in: 0...1_000_000)
        _ = scope.integer("maxIdleTimeout", in: 0...1_000_000)
        _ = scope.integer("maxIncomingStreams", in: 0...1_000_000)
        scope.finish()
    }

    /// A `requestHeaders` or `responseHeaders` table, which has one key, `set`.
    static func headers(_ parent: ScopeReader, _ key: String) -> [String: String] {
        guard let scope = parent.table(key) else { return [:] }
        let headers = scope.stringMap("set") ?? [:]
        scope.finish()
        return headers
    }
}
