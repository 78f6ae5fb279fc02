// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit expose TARGET`
struct ExposeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "expose",
        abstract: "A private service, for your other devices alone.",
        discussion: """
            TARGET is ssh, 22, host:port or [::1]:22; rdp, vnc, smb and other words stand for their ports.
            Nothing is opened to the internet. Other devices reach it:  adit ssh NAME   adit connect NAME/SERVICE
            """
    )

    @Argument(help: "Where visitors are led.")
    var target: String

    @Option(help: "What other devices call it. Without it, ssh or tcp-8080 by the port.")
    var name: String?

    @Flag(help: "The service is one of UDP.")
    var udp = false

    @Option(
        help: ArgumentHelp(
            "Only these devices; may be repeated. Without it, every device of the server.",
            valueName: "device"
        )
    )
    var allow: [String] = []

    @Option(
        name: .customLong("target-allow"),
        help: ArgumentHelp("Let this host be the target although it is refused by default.", valueName: "host")
    )
    var targetAllow: [String] = []

    @OptionGroup var idle: ServiceIdleOptions
    @OptionGroup var secret: SecretOptions
    @OptionGroup var session: SessionOptions

    /// The service that the flags describe.
    func order(environment: [String: String] = ProcessFacts.environment()) throws -> ServiceOrder {
        let target = try ServiceOrder.target(parsing: target)
        var order = ServiceOrder(kind: udp ? .udp : .tcp, target: target, name: name)
        guard ServiceOrder.isTypable(order.name) else {
            throw ValidationError("--name has letters, digits, dots, hyphens and underscores, at most 64")
        }
        order.allow = try Self.devices(allow)
        order.targetAllow = Set(targetAllow.map { $0.lowercased() })
        order.secret = try secret.secret(environment: environment)
        order.idleTimeout = try idle.timeout()
        if order.idleTimeout != nil, !udp { throw ValidationError("--idle is for --udp") }
        return order
    }

    /// Names of devices, one or more in each word.
    static func devices(_ words: [String]) throws -> [String] {
        let names = words.flatMap { $0.split(separator: ",").map(String.init) }
        guard words.isEmpty || !names.isEmpty,
            names.allSatisfy({ (1...256).contains($0.utf8.count) && !$0.contains("/") })
        else { throw ValidationError("--allow takes names of devices, as  adit status  shows them there") }
        return names
    }

    func run() async throws {
        if session.paths.noPaths { throw ValidationError("a service is reached by a path; leave --no-paths away") }
        let order = try order()
        try await TunnelRun(orders: [], services: [order], session: session).run()
    }
}
