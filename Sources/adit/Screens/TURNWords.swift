// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer

/// How the TURN of a server is written on screens.
enum TURNWords {
    /// Where it is.
    static func place(_ turn: ServerStatus.TURN) -> Text {
        let tls = turn.tlsPort.map { (", TLS \($0)/tcp", "，TLS \($0)/tcp") } ?? ("", "")
        return Text(
            "\(turn.port)/udp and tcp\(tls.0), relays on \(turn.ports)/udp",
            zh: "\(turn.port)/udp 和 tcp\(tls.1)，中继端口 \(turn.ports)/udp"
        )
    }

    /// What it did.
    static func figures(_ turn: ServerStatus.TURN) -> Text {
        let bytes = Figures.bytes(turn.bytesToPeers &+ turn.bytesToClients)
        let refused = turn.unauthorized + turn.forbidden + turn.overQuota
        return Text(
            "relays \(turn.allocations), devices \(turn.devices.count), relayed \(bytes), refused \(refused)",
            zh: "中继 \(turn.allocations)，设备 \(turn.devices.count)，已中继 \(bytes)，拒绝 \(refused)"
        )
    }
}
