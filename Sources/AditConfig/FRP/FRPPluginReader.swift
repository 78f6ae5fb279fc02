// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads the `plugin` table of a proxy.
enum FRPPluginReader {
    /// The text options of each type; those that set headers have `requestHeaders` as well.
    private static let options: [(type: String, keys: [String], setsHeaders: Bool)] = [
        ("unix_domain_socket", ["unixPath"], false),
        ("http_proxy", ["httpUser", "httpPassword"], false),
        ("socks5", ["username", "password"], false),
        ("static_file", ["localPath", "stripPrefix", "httpUser", "httpPassword"], false),
        ("http2http", ["localAddr", "hostHeaderRewrite"], true),
        ("http2https", ["localAddr", "hostHeaderRewrite"], true),
        ("https2http", ["localAddr", "crtPath", "keyPath", "hostHeaderRewrite"], true),
        ("https2https", ["localAddr", "crtPath", "keyPath", "hostHeaderRewrite"], true),
        ("tls2raw", ["localAddr", "crtPath", "keyPath"], false),
        ("virtual_net", [], false),
    ]

    static func read(_ scope: ScopeReader) -> FRPProxyConfiguration.Plugin? {
        if scope.context.isListing {
            for option in options { _ = read(scope, option) }
            return nil
        }
        guard let entry = scope.entry("type"), let type = scope.string("type") else {
            if scope.entry("type") == nil { scope.missing("type") }
            return nil
        }
        guard let option = options.first(where: { $0.type == type }) else {
            scope.wrongWord(entry, type, options.map(\.type))
            return nil
        }
        return read(scope, option)
    }

    private static func read(
        _ scope: ScopeReader,
        _ option: (type: String, keys: [String], setsHeaders: Bool)
    ) -> FRPProxyConfiguration.Plugin {
        var plugin = FRPProxyConfiguration.Plugin(type: option.type, options: [:], requestHeaders: [:])
        _ = scope.entry("type")
        for key in option.keys {
            if let text = scope.string(key) { plugin.options[key] = text }
        }
        if option.setsHeaders {
            plugin.requestHeaders = FRPSharedReader.headers(scope, "requestHeaders")
        }
        if option.type.hasPrefix("https2"), let enabled = scope.boolean("enableHTTP2") {
            plugin.options["enableHTTP2"] = enabled ? "true" : "false"
        }
        scope.finish()
        return plugin
    }
}
