// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What passed as datagrams, in words. Silence of UDP proves nothing, so nothing is said about health.
enum DatagramFigures {
    /// `no packet from outside yet; 0 in, 0 out`, or the figures with what was thrown away.
    static func words(datagramsIn: UInt64, datagramsOut: UInt64, drops: UInt64) -> Text {
        let lost = drops == 0 ? Text("", zh: "") : Text(", \(drops) dropped", zh: "，丢弃 \(drops)")
        guard datagramsIn > 0 else {
            return Text(
                "no packet from outside yet; 0 in, \(datagramsOut) out\(lost.english)",
                zh: "尚未收到外部数据包；收 0，发 \(datagramsOut)\(lost.chinese)"
            )
        }
        return Text(
            "\(datagramsIn) in, \(datagramsOut) out\(lost.english)",
            zh: "收 \(datagramsIn)，发 \(datagramsOut)\(lost.chinese)"
        )
    }
}
