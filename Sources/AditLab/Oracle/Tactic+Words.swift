// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension Tactic {
    /// The tactic in plain words.
    package var words: Text {
        switch self {
        case .localNetwork: Text("addresses of the common network", zh: "使用共同网络内的地址")
        case .plain: Text("plain punch, both send at the same time", zh: "普通打洞，双方同时发送")
        case .prediction(let window): Text("port prediction, \(window) ports in a row", zh: "端口预测，连续 \(window) 个端口")
        case .sequenceWindow(let sockets):
            Text("port prediction on both sides, \(sockets) sockets each", zh: "双方端口预测，各 \(sockets) 个套接字")
        case .birthday(let sockets, let probes):
            Text("birthday with \(sockets) open ports and \(probes) tries", zh: "生日攻击，\(sockets) 个端口、\(probes) 次尝试")
        case .mutualBirthday(let sockets):
            Text("birthday in two small blocks, \(sockets) ports each", zh: "两个小端口块内的生日攻击，各 \(sockets) 个端口")
        case .sequenceAgainstRandom(let sockets):
            Text("prediction against \(sockets) ports of a small block", zh: "端口预测对小端口块中的 \(sockets) 个端口")
        case .portMapping: Text("a port mapping", zh: "端口映射")
        case .relay: Text("relayed by a server", zh: "经服务器中继")
        }
    }

    /// A short word that programs read.
    package var word: String {
        switch self {
        case .localNetwork: "local-network"
        case .plain: "plain"
        case .prediction: "prediction"
        case .sequenceWindow: "sequence-window"
        case .birthday: "birthday"
        case .mutualBirthday: "mutual-birthday"
        case .sequenceAgainstRandom: "sequence-against-random"
        case .portMapping: "port-mapping"
        case .relay: "relay"
        }
    }
}

extension Outlook {
    /// The outlook in plain words.
    package var words: Text {
        switch self {
        case .certain: Text("certain", zh: "必成")
        case .chance(let probability):
            Text("\(Self.percent(probability)) % likely", zh: "成功率 \(Self.percent(probability)) %")
        case .timing: Text("depends", zh: "视情况而定")
        case .never: Text("impossible", zh: "不可能")
        }
    }

    /// A short word that programs read.
    package var word: String {
        switch self {
        case .certain: "certain"
        case .chance: "likely"
        case .timing: "depends"
        case .never: "impossible"
        }
    }

    private static func percent(_ probability: Double) -> String {
        let whole = (probability * 100).rounded()
        // Neither end is claimed by rounding alone.
        if whole >= 100 { return "> 99" }
        if whole <= 0, probability > 0 { return "< 1" }
        return String(Int(whole))
    }
}
