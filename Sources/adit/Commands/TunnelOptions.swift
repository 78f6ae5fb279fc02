// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditWire
import ArgumentParser

/// Which server, and how to show what happens: flags of every command that opens tunnels.
struct SessionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server, without joining it.", valueName: "host:port"))
    var server: String?

    @Option(help: ArgumentHelp("The server's token, or an invite. Also read from $ADIT_TOKEN.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("The server's key, when no public authority vouches for it.", valueName: "SHA256:…"))
    var fingerprint: String?

    @Option(
        help: ArgumentHelp("The framing of the session. (v2, or what this server was joined with)", valueName: "v1|v2")
    )
    var wire: FRPWireVersion?

    @Flag(help: "One JSON object a line; the first one has the public address.")
    var json = false

    @Flag(help: "The address and errors, nothing else.")
    var quiet = false

    @Flag(name: .customLong("url-only"), help: "The address alone on standard output; keeps running.")
    var urlOnly = false

    @Flag(help: "Try once; exit code 3 when the server cannot be reached.")
    var once = false

    @OptionGroup var paths: PathFlags

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
        var choice = try ServerChoice.choose(
            server: server,
            token: token ?? fromEnvironment,
            fingerprint: fingerprint,
            home: home
        )
        if let wire { choice.wireVersion = wire }
        return choice
    }
}

/// Who may come in, and for how long: flags of a single tunnel.
struct AccessOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only visitors from there; may be repeated.", valueName: "CIDR"))
    var allow: [String] = []

    @Option(help: ArgumentHelp("Close after this time, such as 30m, 2h, 1d.", valueName: "time"))
    var expires: String?

    @Option(
        name: .customLong("max-connections"),
        help: ArgumentHelp("At most so many visitors' connections at once.", valueName: "number")
    )
    var maxConnections: Int?

    @Option(
        name: .customLong("connection-rate"),
        help: ArgumentHelp("New connections of one address, such as 10/s or 300/m.", valueName: "rate")
    )
    var connectionRate: String?

    @Option(help: ArgumentHelp("Bytes a second in each direction, such as 2MB or 500KB.", valueName: "size"))
    var bandwidth: String?

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
        if let maxConnections {
            guard (1...TunnelLimits.maximumConnections).contains(maxConnections) else {
                throw ValidationError("--max-connections is from 1 to \(TunnelLimits.maximumConnections)")
            }
            order.limits.maxConnections = maxConnections
        }
        order.limits.connectionRate = try Self.rate(connectionRate, "--connection-rate")
        if let bandwidth {
            guard let value = Bandwidth(bandwidth) else {
                throw ValidationError("--bandwidth takes bytes a second such as 2MB or 500KB, not \"\(bandwidth)\"")
            }
            order.limits.bandwidth = value
        }
        order.targetAllow = Set(targetAllow.map { $0.lowercased() })
    }

    /// A rate of a flag.
    static func rate(_ text: String?, _ flag: String) throws -> Rate? {
        guard let text else { return nil }
        guard let rate = Rate(text) else {
            throw ValidationError("\(flag) takes a rate such as 10/s, 300/m or 1000/h, not \"\(text)\"")
        }
        return rate
    }
}

/// Telling the target who its visitor is: a flag of tunnels whose bytes say nothing about that themselves.
struct ProxyProtocolOptions: ParsableArguments {
    @Option(
        name: .customLong("proxy-protocol"),
        help: ArgumentHelp("Send the visitor's address to the target first, as HAProxy does.", valueName: "v1|v2")
    )
    var version: ProxyProtocolVersion?

    /// Puts the flag into an order.
    func apply(to order: inout TunnelOrder) {
        order.proxyProtocol = version
    }
}

extension ProxyProtocolVersion: ExpressibleByArgument {}
extension FRPWireVersion: ExpressibleByArgument {}

/// Passwords of visitors, from flags, a file or the environment: a flag can be read by everybody who is on this machine.
struct PasswordOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Visitors need this password; may be repeated.", valueName: "user:password"))
    var auth: [String] = []

    @Option(
        name: .customLong("auth-file"),
        help: ArgumentHelp(
            "A file with a user:password in each line. $ADIT_AUTH is read as one such line.",
            valueName: "file"
        )
    )
    var authFile: String?

    /// Every `user:password` that was given.
    func passwords(environment: [String: String] = ProcessFacts.environment()) throws -> [String] {
        var passwords = auth
        for pair in auth where !Self.isPair(pair) { throw ValidationError("--auth takes user:password") }
        if let pair = environment["ADIT_AUTH"], !pair.isEmpty {
            guard Self.isPair(pair) else { throw ValidationError("$ADIT_AUTH holds user:password") }
            passwords.append(pair)
        }
        if let authFile {
            let lines = String(decoding: try TextFile.bytes(at: authFile), as: UTF8.self)
                .split(omittingEmptySubsequences: false) { $0.isNewline }
            var count = 0
            for (index, line) in lines.enumerated() where !line.isEmpty && !line.hasPrefix("#") {
                guard Self.isPair(String(line)) else {
                    // The line is not shown: it is likely to be a secret.
                    throw ValidationError("\(authFile):\(index + 1) is not user:password")
                }
                passwords.append(String(line))
                count += 1
            }
            // A file without a password must not open the tunnel to everybody.
            guard count > 0 else { throw ValidationError("\(authFile) has no user:password") }
        }
        return passwords
    }

    private static func isPair(_ text: String) -> Bool {
        text.contains(":") && !text.hasPrefix(":") && !text.hasSuffix(":")
            && text.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
    }
}
