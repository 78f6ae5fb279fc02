// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import ArgumentParser

/// The flags of a server that relays by TURN.
struct TURNFlags: ParsableArguments {
    @Flag(help: "No relays by TURN: devices without a direct path reach each other through their sessions.")
    var noTurn = false

    @Option(help: ArgumentHelp("The UDP ports of relays (49152-65535).", valueName: "first-last"))
    var turnPorts: String?

    @Flag(help: "Relay to peers with private addresses too.")
    var turnAllowPrivatePeers = false

    @Option(help: ArgumentHelp("Relay to peers in that block, whatever it is; may be repeated.", valueName: "block"))
    var turnAllowPeer: [String] = []

    @Option(help: ArgumentHelp("Never relay to peers in that block; may be repeated.", valueName: "block"))
    var turnRefusePeer: [String] = []

    @Option(help: "How many relays there may be (4096).")
    var turnMaxAllocations: Int?

    @Option(help: "How many relays one device may have (32).")
    var turnMaxAllocationsPerDevice: Int?

    @Option(help: "How much one device may have relayed in a second, such as 2MB.")
    var turnBandwidthPerDevice: String?

    @Option(help: "How many datagrams one device may have relayed in a second (100000).")
    var turnPacketsPerDevice: Int?

    /// The file with what the flags change.
    func apply(to file: ServerConfiguration) throws -> ServerConfiguration {
        var file = file
        if noTurn { file.turn.isOn = false }
        if let turnPorts {
            guard let ports = TURNConfiguration.ports(turnPorts) else {
                throw Self.misuse(
                    "--turn-ports",
                    turnPorts,
                    Text("ports from 1024, such as 49152-65535", zh: "1024 以上的端口，如 49152-65535")
                )
            }
            file.turn.ports = ports
        }
        if turnAllowPrivatePeers { file.turn.allowsPrivatePeers = true }
        file.turn.allowedPeers += try turnAllowPeer.map { try Self.block("--turn-allow-peer", $0) }
        file.turn.refusedPeers += try turnRefusePeer.map { try Self.block("--turn-refuse-peer", $0) }
        let limits = TURNConfiguration.allocations
        if let number = turnMaxAllocations {
            file.turn.maximumAllocations = try Self.number("--turn-max-allocations", number, limits)
        }
        if let number = turnMaxAllocationsPerDevice {
            let flag = "--turn-max-allocations-per-device"
            file.turn.maximumAllocationsPerDevice = try Self.number(flag, number, limits)
        }
        if let text = turnBandwidthPerDevice {
            guard let bandwidth = Bandwidth(text) else {
                throw Self.misuse(
                    "--turn-bandwidth-per-device",
                    text,
                    Text("a bandwidth such as 2MB or 500KB", zh: "带宽（如 2MB、500KB）")
                )
            }
            file.turn.bandwidthPerDevice = bandwidth
        }
        if let number = turnPacketsPerDevice {
            file.turn.packetsPerDevice = try Self.number("--turn-packets-per-device", number, TURNConfiguration.packets)
        }
        return file
    }

    private static func block(_ flag: String, _ text: String) throws -> CIDR {
        if let block = CIDR(text) { return block }
        throw misuse(flag, text, Text("an address or a block such as 10.0.0.0/8", zh: "地址或网段（如 10.0.0.0/8）"))
    }

    private static func number(_ flag: String, _ number: Int, _ range: ClosedRange<Int>) throws -> Int {
        if range.contains(number) { return number }
        throw misuse(
            flag,
            String(number),
            Text(
                "a number between \(range.lowerBound) and \(range.upperBound)",
                zh: "\(range.lowerBound) 到 \(range.upperBound) 之间的数"
            )
        )
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
