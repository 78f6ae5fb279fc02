// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads the keys that begin with `turn`.
enum TURNReader {
    static func read(_ top: ScopeReader) -> TURNConfiguration {
        var turn = TURNConfiguration()
        turn.isOn = top.boolean("turn") ?? turn.isOn
        if let text = ports(top), let entry = top.entry("turnPorts") {
            if let ports = TURNConfiguration.ports(text) {
                turn.ports = ports
            } else {
                let shown = SourceText.printable(text)
                top.wrong(
                    entry,
                    Text("\"\(shown)\" is not a range of ports from 1024", zh: "\"\(shown)\" 不是 1024 以上的端口范围"),
                    hint: Text("such as 49152-65535", zh: "如 49152-65535")
                )
            }
        }
        turn.allowsPrivatePeers = top.boolean("turnAllowPrivatePeers") ?? turn.allowsPrivatePeers
        turn.allowedPeers = blocks(top, "turnAllowedPeers")
        turn.refusedPeers = blocks(top, "turnRefusedPeers")
        turn.maximumAllocations =
            top.integer("turnMaxAllocations", in: TURNConfiguration.allocations) ?? turn.maximumAllocations
        turn.maximumAllocationsPerDevice =
            top.integer("turnMaxAllocationsPerDevice", in: TURNConfiguration.allocations)
            ?? turn.maximumAllocationsPerDevice
        turn.bandwidthPerDevice = AditSharedReader.bandwidth(top, "turnBandwidthPerDevice")
        turn.packetsPerDevice =
            top.integer("turnPacketsPerDevice", in: TURNConfiguration.packets) ?? turn.packetsPerDevice
        if let secret = top.string("turnSecret"), let entry = top.entry("turnSecret") {
            if (TURNConfiguration.shortestSecret...1024).contains(secret.utf8.count) {
                turn.secret = secret
            } else {
                top.wrong(
                    entry,
                    Text("turnSecret needs 16 to 1024 bytes", zh: "turnSecret 需要 16 到 1024 字节"),
                    hint: Text("write a long random text, or leave the key out", zh: "请写一段长的随机文本，或删去此键")
                )
            }
        }
        return turn
    }

    /// One port may stand there as a number.
    private static func ports(_ top: ScopeReader) -> String? {
        guard let entry = top.entry("turnPorts") else { return nil }
        if case .integer(let number) = entry.node.value { return String(number) }
        return top.string("turnPorts")
    }

    private static func blocks(_ top: ScopeReader, _ key: String) -> [CIDR] {
        var blocks: [CIDR] = []
        for (text, position) in top.items(key) ?? [] {
            if let block = CIDR(text) {
                blocks.append(block)
            } else {
                let shown = SourceText.printable(text)
                top.context.add(
                    Text(
                        "\"\(shown)\" is not an address or a block such as 203.0.113.0/24",
                        zh: "\"\(shown)\" 不是地址或网段（如 203.0.113.0/24）"
                    ),
                    at: position,
                    key: key
                )
            }
        }
        return blocks
    }
}
