// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What a punch tells as it happens, in both languages.
enum PunchWords {
    static func listens(_ name: String, _ local: IPEndpoint) -> Text {
        Text(
            "\(name) listens on \(local), and connects to the server from there",
            zh: "\(name) 在 \(local) 监听，并从该端口连接服务器"
        )
    }

    static func seen(_ name: String, _ local: IPEndpoint, _ endpoints: [IPEndpoint]) -> Text {
        guard !endpoints.isEmpty else { return Text("no server answers \(name)", zh: "没有服务器应答 \(name)") }
        var distinct: [String] = []
        for endpoint in endpoints where !distinct.contains(endpoint.description) {
            distinct.append(endpoint.description)
        }
        let list = distinct.joined(separator: ", ")
        return Text("the server sees \(name) (\(local)) as \(list)", zh: "服务器看到 \(name)（\(local)）为 \(list)")
    }

    static func connects(_ name: String, _ targets: [IPEndpoint]) -> Text {
        guard let first = targets.first else { return Text("\(name) waits for connections", zh: "\(name) 等待连接") }
        let others = Set(targets).count - 1
        guard others > 0 else { return Text("\(name) connects to \(first)", zh: "\(name) 连接 \(first)") }
        return Text("\(name) connects to \(first) and \(others) more", zh: "\(name) 连接 \(first) 等 \(others + 1) 个地址")
    }

    static func again(_ name: String, _ peer: String, _ target: IPEndpoint, _ end: SocketEnd) -> Text {
        switch end {
        case .refused, .reset:
            Text(
                "\(name)'s connection to \(target) is refused, and made again: \(peer)'s router answers for itself",
                zh: "\(name) 到 \(target) 的连接被拒绝，将重试：\(peer) 的路由器代为应答"
            )
        case .timedOut: Text("\(target) does not answer \(name), who connects again", zh: "\(target) 未应答，\(name) 重新连接")
        case .addressUnavailable:
            Text(
                "\(name)'s port has a connection to \(target) already, or cannot have one",
                zh: "\(name) 的端口已有到 \(target) 的连接，或无法建立"
            )
        case .finished, .unreachable, .denied, .malformed:
            Text("\(name)'s connection to \(target) fails, and is made again", zh: "\(name) 到 \(target) 的连接失败，将重试")
        }
    }

    static func established(_ name: String, _ peer: String, _ local: IPEndpoint, _ remote: IPEndpoint) -> Text {
        Text("\(name) is connected with \(remote)", zh: "\(name) 已与 \(remote) 连接")
    }
}
