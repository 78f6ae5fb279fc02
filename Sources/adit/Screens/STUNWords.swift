// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer

/// How the STUN of a server is written on screens.
enum STUNWords {
    /// Where it is answered.
    static func place(_ stun: ServerStatus.STUN) -> Text {
        var parts = [Text("\(stun.port)/udp and tcp", zh: "\(stun.port)/udp 和 tcp")]
        if let port = stun.alternatePort { parts.append(Text("second port \(port)", zh: "第二端口 \(port)")) }
        for address in stun.alternateAddresses.map({ Foreign.clean($0) }) {
            parts.append(Text("second address \(address)", zh: "第二地址 \(address)"))
        }
        if let port = stun.tlsPort { parts.append(Text("TLS \(port)/tcp", zh: "TLS \(port)/tcp")) }
        return Text(
            parts.map(\.english).joined(separator: ", "),
            zh: parts.map(\.chinese).joined(separator: "，")
        )
    }
}
