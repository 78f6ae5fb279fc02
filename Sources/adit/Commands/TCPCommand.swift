// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit tcp TARGET`
struct TCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tcp",
        abstract: "A public port for something that runs here.",
        discussion: """
            TARGET is 22, host:port or [::1]:22.
            Ports that are attacked within a day need --allow, or --public.
            """
    )

    @Argument(help: "Where visitors are led.")
    var target: String

    @Option(help: "What to call the tunnel. Without it, tcp and its port.")
    var name: String?

    @Option(help: "The wanted public port. Without it, the one that the server keeps for this computer and target.")
    var port: UInt16?

    @Flag(name: .customLong("public"), help: "Open to everybody, also when the port is one that is attacked.")
    var isPublic = false

    @OptionGroup var proxyProtocol: ProxyProtocolOptions
    @OptionGroup var access: AccessOptions
    @OptionGroup var session: SessionOptions

    /// The tunnel that the flags describe.
    ///
    /// - Throws: `ErrorCode.riskyPort` for a port that should not be open to everybody.
    func order() throws -> TunnelOrder {
        let target = try TunnelTarget(parsing: target, scheme: .tcp)
        var order = TunnelOrder(kind: .tcp, target: target, name: name)
        if port == 0 { throw ValidationError("--port is from 1 to 65535") }
        order.port = port
        order.isPublic = isPublic
        try access.apply(to: &order)
        proxyProtocol.apply(to: &order)
        if let gate = TargetRules.riskyPortGate(target, isPublic: isPublic, allow: order.allow) { throw gate }
        return order
    }

    func run() async throws {
        let order = try order()
        try await TunnelRun(orders: [order], session: session).run()
    }
}
