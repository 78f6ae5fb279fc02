// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import ArgumentParser

/// How long silent visitors of UDP are remembered: a flag of tunnels with datagrams.
struct IdleOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Forget a visitor of UDP after this time without a packet. (60s)", valueName: "time"))
    var idle: String?

    /// Puts the flag into an order.
    func apply(to order: inout TunnelOrder) throws {
        guard let idle else { return }
        do {
            let time = try DurationText.parse(idle)
            guard time >= .seconds(1), time <= .seconds(86_400) else {
                throw ValidationError("--idle is from 1s to 1d")
            }
            order.idleTimeout = time
        } catch let error as AditError {
            throw ValidationError(error.what.in(ProcessFacts.style().language))
        }
    }
}

/// `adit udp TARGET`
struct UDPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "udp",
        abstract: "A public port of UDP for something that runs here.",
        discussion: "TARGET is 53, host:port or [::1]:53."
    )

    @Argument(help: "Where visitors are led.")
    var target: String

    @Option(help: "What to call the tunnel. Without it, udp and its port.")
    var name: String?

    @Option(help: "The wanted public port. Without it, the one that the server keeps for this computer and target.")
    var port: UInt16?

    @OptionGroup var idle: IdleOptions
    @OptionGroup var proxyProtocol: ProxyProtocolOptions
    @OptionGroup var access: AccessOptions
    @OptionGroup var session: SessionOptions

    /// The tunnel that the flags describe.
    func order() throws -> TunnelOrder {
        let target = try TunnelTarget(parsing: target, scheme: .tcp)
        var order = TunnelOrder(kind: .udp, target: target, name: name)
        if port == 0 { throw ValidationError("--port is from 1 to 65535") }
        order.port = port
        try access.apply(to: &order)
        try idle.apply(to: &order)
        proxyProtocol.apply(to: &order)
        if order.proxyProtocol == .v1 { throw ValidationError("--proxy-protocol v1 is for connections; use v2") }
        return order
    }

    func run() async throws {
        let order = try order()
        try await TunnelRun(orders: [order], session: session).run()
    }
}
