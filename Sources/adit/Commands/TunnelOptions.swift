// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import ArgumentParser

/// Which server, and how to show what happens: flags of every command that opens tunnels.
struct SessionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server, without joining it.", valueName: "host:port"))
    var server: String?

    @Option(help: ArgumentHelp("The server's token, or an invite. Also read from $ADIT_TOKEN.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("The server's key, when no public authority vouches for it.", valueName: "SHA256:…"))
    var fingerprint: String?

    @Flag(help: "One JSON object a line; the first one has the public address.")
    var json = false

    @Flag(help: "The address and errors, nothing else.")
    var quiet = false

    @Flag(name: .customLong("url-only"), help: "The address alone on standard output; keeps running.")
    var urlOnly = false

    @Flag(help: "Try once; exit code 3 when the server cannot be reached.")
    var once = false

    /// The one way of showing that was asked for.
    func mode() throws -> ScreenMode {
        switch (json, quiet, urlOnly) {
        case (false, false, false): return .people
        case (true, false, false): return .json
        case (false, true, false): return .quiet
        case (false, false, true): return .addressOnly
        default: throw ValidationError("--json, --quiet and --url-only exclude each other")
        }
    }

    /// The server and what both sides show.
    func choice(home: DeviceHome) throws(AditError) -> ServerChoice {
        let fromEnvironment = server == nil ? nil : ProcessFacts.environment()["ADIT_TOKEN"]
        return try ServerChoice.choose(
            server: server,
            token: token ?? fromEnvironment,
            fingerprint: fingerprint,
            home: home
        )
    }
}

/// Who may come in, and for how long: flags of a single tunnel.
struct AccessOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only visitors from there; may be repeated.", valueName: "CIDR"))
    var allow: [String] = []

    @Option(help: ArgumentHelp("Close after this time, such as 30m, 2h, 1d.", valueName: "time"))
    var expires: String?

    @Option(
        name: .customLong("target-allow"),
        help: ArgumentHelp("Let this host be the target although it is refused by default.", valueName: "host")
    )
    var targetAllow: [String] = []

    /// Puts the flags into an order.
    func apply(to order: inout TunnelOrder) throws {
        order.allow = try allow.flatMap { $0.split(separator: ",") }.map { text in
            guard let block = CIDR(text) else {
                throw ValidationError("\"\(text)\" is not a block of addresses such as 203.0.113.0/24")
            }
            return block
        }
        if let expires {
            do {
                order.expiresIn = try DurationText.parse(expires)
            } catch {
                throw ValidationError(error.what.in(ProcessFacts.style().language))
            }
        }
        order.targetAllow = Set(targetAllow.map { $0.lowercased() })
    }
}
