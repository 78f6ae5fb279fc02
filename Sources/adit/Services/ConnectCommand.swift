// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit connect NAME/SERVICE [LOCAL-PORT]`
struct ConnectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "A local port that leads to a service of another device.",
        discussion: "The other device offers it:  adit expose TARGET"
    )

    @Argument(help: ArgumentHelp("The device and its service.", valueName: "name/service"))
    var place: String

    @Argument(help: ArgumentHelp("The port on this computer. Without it, a free one.", valueName: "local-port"))
    var port: UInt16?

    @Flag(help: "The service is one of UDP.")
    var udp = false

    @Flag(help: "Standard input and output in place of a port, for ssh's ProxyCommand.")
    var stdio = false

    @Flag(
        name: .customLong("show-path"),
        help: ArgumentHelp("With --stdio: one line about the path on standard error.", visibility: .hidden)
    )
    var showPath = false

    @OptionGroup var idle: ServiceIdleOptions
    @OptionGroup var secret: SecretOptions
    @OptionGroup var session: SessionOptions

    /// The visit that the flags describe.
    func order(environment: [String: String] = ProcessFacts.environment()) throws -> VisitOrder {
        guard let place = ServicePlace(place) else {
            throw ValidationError("\"\(place)\" is not NAME/SERVICE, such as desk/ssh")
        }
        var order = VisitOrder(place, kind: udp ? .udp : .tcp, port: port ?? 0)
        order.secret = try secret.secret(environment: environment)
        order.idleTimeout = try idle.timeout()
        if stdio, udp || port != nil {
            throw ValidationError("--stdio is one connection; leave --udp and the port away")
        }
        return order
    }

    func run() async throws {
        if session.paths.noPaths { throw ValidationError("a service is reached by a path; leave --no-paths away") }
        let order = try order()
        if stdio { return try await StandardStreamVisit(order: order, session: session, showsPath: showPath).run() }
        try await TunnelRun(orders: [], visits: [order], session: session).run()
    }
}
