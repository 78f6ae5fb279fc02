// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads one table of frpc's `[[visitors]]`.
enum FRPVisitorReader {
    private typealias Kind = FRPVisitorConfiguration.Kind

    private enum PathProtocol: String, CaseIterable {
        case quic
        case kcp
    }

    static func read(_ scope: ScopeReader) -> FRPVisitorConfiguration? {
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
                scope.missing("type", hint: Text("such as type = \"stcp\"", zh: "例如 type = \"stcp\""))
            }
            return nil
        }
        return read(scope, kind, name: name)
    }

    private static func read(_ scope: ScopeReader, _ kind: Kind, name: String)
        -> FRPVisitorConfiguration
    {
        _ = scope.entry("name")
        _ = scope.entry("type")
        scope.narrow(to: "visitors (\(kind.rawValue))")
        var visitor = FRPVisitorConfiguration(name: name, type: kind, position: scope.position)
        visitor.enabled = scope.boolean("enabled") ?? true
        visitor.serverName = scope.string("serverName") ?? ""
        visitor.serverUser = scope.string("serverUser") ?? ""
        visitor.secretKey = scope.string("secretKey") ?? ""
        visitor.bindAddr = scope.string("bindAddr", default: visitor.bindAddr)
        visitor.bindPort =
            scope.integer("bindPort", in: kind == .sudp ? 0...65535 : -65535...65535) ?? 0
        if let transport = scope.table("transport") {
            visitor.useEncryption = transport.boolean("useEncryption") ?? false
            visitor.useCompression = transport.boolean("useCompression") ?? false
            transport.finish()
        }
        if let plugin = scope.table("plugin") {
            visitor.plugin = plugin.string("type") ?? ""
            _ = plugin.string("destinationIP")
            plugin.finish()
            scope.unsupported(scope.entry("plugin"))
        }
        if kind == .xtcp {
            visitor.protocol = scope.word("protocol", PathProtocol.self)?.rawValue ?? "quic"
            visitor.keepTunnelOpen = scope.boolean("keepTunnelOpen") ?? false
            visitor.maxRetriesAnHour = scope.frpInteger("maxRetriesAnHour", in: 0...1_000_000, default: 8)
            visitor.minRetryInterval = scope.frpInteger(
                "minRetryInterval",
                in: 0...1_000_000,
                default: 90
            )
            visitor.fallbackTo = scope.string("fallbackTo") ?? ""
            visitor.fallbackTimeoutMs = scope.frpInteger(
                "fallbackTimeoutMs",
                in: 0...1_000_000,
                default: 1000
            )
            if let traversal = scope.table("natTraversal") {
                _ = traversal.boolean("disableAssistedAddrs")
                traversal.finish()
            }
        }
        if !scope.context.isListing {
            if visitor.serverName.isEmpty, scope.entry("serverName") == nil {
                scope.missing("serverName")
            }
            if visitor.bindPort == 0, visitor.plugin.isEmpty, scope.entry("bindPort") == nil {
                scope.missing("bindPort")
            }
        }
        scope.finish()
        return visitor
    }
}
