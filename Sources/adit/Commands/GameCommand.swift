// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit game TARGET`
struct GameCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "game",
        abstract: "TCP and UDP on one public port, for a game server that runs here.",
        discussion: """
            TARGET is 25565, host:port or [::1]:25565.
            A game that is known to use one of both alone can have  adit tcp  or  adit udp.
            """
    )

    @Argument(help: "Where players are led.")
    var target: String

    @Option(help: "What to call the tunnel. Without it, game and its port.")
    var name: String?

    @Option(help: "The wanted public port. Without it, the one that the server keeps for this computer and target.")
    var port: UInt16?

    @Flag(name: .customLong("public"), help: "Open to everybody, also when the port is one that is attacked.")
    var isPublic = false

    @OptionGroup var idle: IdleOptions
    @OptionGroup var proxyProtocol: ProxyProtocolOptions
    @OptionGroup var access: AccessOptions
    @OptionGroup var session: SessionOptions

    /// The tunnel that the flags describe.
    ///
    /// - Throws: `ErrorCode.riskyPort` for a port that should not be open to everybody.
    func order() throws -> TunnelOrder {
        let target = try TunnelTarget(parsing: target, scheme: .tcp)
        var order = TunnelOrder(kind: .game, target: target, name: name)
        if port == 0 { throw ValidationError("--port is from 1 to 65535") }
        order.port = port
        order.isPublic = isPublic
        try access.apply(to: &order)
        try idle.apply(to: &order)
        proxyProtocol.apply(to: &order)
        if let gate = TargetRules.riskyPortGate(target, isPublic: isPublic, allow: order.allow) { throw gate }
        return order
    }

    /// What friends with Adit reach without the public port:  adit play NAME/PORT
    static func service(of order: TunnelOrder) -> ServiceOrder {
        var service = ServiceOrder(kind: .game, target: order.target)
        service.idleTimeout = order.idleTimeout
        service.targetAllow = order.targetAllow
        return service
    }

    func run() async throws {
        let order = try order()
        try await TunnelRun(orders: [order], services: [Self.service(of: order)], session: session).run()
    }
}
