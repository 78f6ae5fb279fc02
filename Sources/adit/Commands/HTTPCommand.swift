// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser

/// `adit http TARGET`, also `adit TARGET`
struct HTTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "http",
        abstract: "A web address for something that runs here.",
        discussion: """
            TARGET is 3000, localhost:3000, http://host:port, https://host:port, h2c://host:port or [::1]:3000.
            `adit 3000` is the same as `adit http 3000`.
            """
    )

    @Argument(help: "Where visitors are led.")
    var target: String

    @Option(help: "The wanted name. Without it, the one that the server keeps for this computer and target.")
    var name: String?

    @Option(help: ArgumentHelp("A domain of your own, also *.example.com; may be repeated.", valueName: "name"))
    var domain: [String] = []

    @OptionGroup var passwords: PasswordOptions

    @Option(
        name: .customLong("request-rate"),
        help: ArgumentHelp("Requests of one address, such as 10/s or 300/m.", valueName: "rate")
    )
    var requestRate: String?

    @Option(
        name: .customLong("host-header"),
        help: ArgumentHelp(
            "The Host header that the app sees: auto (its own when it rejects the public one), keep, or a value.",
            valueName: "auto|keep|value"
        )
    )
    var hostHeader = "auto"

    @Flag(
        name: .customLong("http2"),
        help: "The app speaks HTTP/2 alone, as with h2c://. Calls of gRPC reach any app in HTTP/2."
    )
    var http2 = false

    @OptionGroup var access: AccessOptions
    @OptionGroup var session: SessionOptions

    /// The tunnel that the flags describe.
    func order() throws -> TunnelOrder {
        let place = TunnelTarget.http2Place(target)
        let target = try TunnelTarget(parsing: place ?? target, scheme: .http)
        var order = TunnelOrder(kind: .http, target: target, name: name)
        order.speaksHTTP2 = http2 || place != nil
        guard !order.speaksHTTP2 || target.scheme == .http else {
            throw ValidationError("--http2 is for apps without TLS; use adit tls for HTTP/2 inside an app's own TLS")
        }
        order.publicName = name
        order.domains = domain
        order.auth = try passwords.passwords()
        switch hostHeader {
        case "auto": order.hostHeader = .automatic
        case "keep": order.hostHeader = .keep
        case let value:
            guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
                throw ValidationError("--host-header takes auto, keep, or a host such as localhost:3000")
            }
            order.hostHeader = .value(value)
        }
        try access.apply(to: &order)
        order.limits.requestRate = try AccessOptions.rate(requestRate, "--request-rate")
        return order
    }

    func run() async throws {
        let order = try order()
        try await TunnelRun(orders: [order], session: session).run()
    }
}
