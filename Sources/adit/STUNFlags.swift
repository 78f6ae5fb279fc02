// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import ArgumentParser

/// The flags of a server that answers STUN.
struct STUNFlags: ParsableArguments {
    @Flag(help: "Answer no STUN.")
    var noStun = false

    @Option(help: "The port of STUN, UDP and TCP (3478).")
    var stunPort: UInt16?

    @Option(help: "The port of STUN with TLS (5349).")
    var stunTLSPort: UInt16?

    @Option(help: "The second port of STUN (the one after --stun-port).")
    var stunAlternatePort: UInt16?

    @Option(
        help: ArgumentHelp(
            "An address for STUN, or PUBLIC/OWN behind a one-to-one NAT; may be repeated, two of a family at most.",
            valueName: "address"
        )
    )
    var stunAddress: [String] = []

    @Option(help: "How many STUN requests one address may send in a second (100).")
    var stunRate: Int?

    /// The file with what the flags change.
    func apply(to file: ServerConfiguration) throws -> ServerConfiguration {
        var file = file
        if noStun { file.stun.isOn = false }
        if let stunPort { file.stun.port = stunPort }
        if let stunTLSPort { file.stun.tlsPort = stunTLSPort }
        if let stunAlternatePort { file.stun.alternatePort = stunAlternatePort }
        if !stunAddress.isEmpty {
            file.stun.addresses = try stunAddress.map { text in
                if let address = STUNConfiguration.Address(text) { return address }
                throw Self.misuse(
                    "--stun-address",
                    text,
                    Text("an IP address, or PUBLIC/OWN", zh: "IP 地址，或 公网地址/本机地址")
                )
            }
            if let fault = STUNConfiguration.fault(of: file.stun.addresses) { throw AditError(.usage, fault) }
        }
        if let stunRate {
            guard STUNConfiguration.rates.contains(stunRate) else {
                throw Self.misuse(
                    "--stun-rate",
                    String(stunRate),
                    Text("a number between 1 and 1000000", zh: "1 到 1000000 之间的数")
                )
            }
            file.stun.rate = stunRate
        }
        if let port = file.stun.alternatePort, port != 0, port == file.stun.port {
            throw AditError(
                .usage,
                Text("both ports of STUN are \(port)", zh: "STUN 的两个端口都是 \(port)"),
                fix: Text("give another  --stun-alternate-port", zh: "请给出另一个 --stun-alternate-port")
            )
        }
        return file
    }

    private static func misuse(_ flag: String, _ value: String, _ wanted: Text) -> AditError {
        let shown = Foreign.clean(value, limit: 80)
        return AditError(
            .usage,
            Text(
                "\(flag) needs \(wanted.english), not \"\(shown)\"",
                zh: "\(flag) 需要\(wanted.chinese)，而不是 \"\(shown)\""
            )
        )
    }
}
