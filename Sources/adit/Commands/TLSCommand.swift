// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit tls TARGET`
struct TLSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tls",
        abstract: "A public name for something that speaks TLS here; the server never sees what is inside.",
        discussion: """
            TARGET is 8443, host:port or [::1]:8443: a service with a certificate of its own for the public name.
            Visitors are led to it by the name they ask for (SNI), byte for byte.
            """
    )

    @Argument(help: "Where visitors are led.")
    var target: String

    @Option(help: "The wanted name. Without it, the one that the server keeps for this computer and target.")
    var name: String?

    @Option(help: ArgumentHelp("A domain of your own, also *.example.com; may be repeated.", valueName: "name"))
    var domain: [String] = []

    @OptionGroup var proxyProtocol: ProxyProtocolOptions
    @OptionGroup var access: AccessOptions
    @OptionGroup var session: SessionOptions

    /// The tunnel that the flags describe.
    func order() throws -> TunnelOrder {
        var order = TunnelOrder(kind: .tls, target: try Self.target(target), name: name)
        order.publicName = name
        order.domains = domain
        // Nothing inside can be looked at or rewritten.
        order.hostHeader = .keep
        try access.apply(to: &order)
        proxyProtocol.apply(to: &order)
        return order
    }

    func run() async throws {
        let order = try order()
        try await TunnelRun(orders: [order], session: session).run()
    }

    /// The place that a target means, written alone or as an address of https.
    static func target(_ text: String) throws(AditError) -> TunnelTarget {
        guard text.lowercased().hasPrefix("https://") else { return try TunnelTarget(parsing: text, scheme: .tcp) }
        let target = try TunnelTarget(parsing: text, scheme: .http)
        return TunnelTarget(scheme: .tcp, host: target.host, port: target.port)
    }
}
