// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What the seven steps tell as they happen, in both languages.
enum SevenStepsWords {
    static func present(_ name: String) -> Text {
        Text("\(name) tells the server that it is there", zh: "\(name) 告知服务器自己在线")
    }

    static func server(_ name: String, _ local: IPEndpoint, _ server: IPEndpoint, isFirst: Bool) -> Text {
        isFirst
            ? Text(
                "\(name) connects from \(local) to the server \(server), asks for the other side, and listens on \(local)",
                zh: "\(name) 从 \(local) 连接服务器 \(server)，请求与对端通信，并在 \(local) 监听"
            )
            : Text(
                "\(name) connects from the same port, \(local), to the server \(server), and listens on it",
                zh: "\(name) 从同一端口 \(local) 连接服务器 \(server)，并在该端口监听"
            )
    }

    static func seen(_ name: String, _ peer: String, _ local: IPEndpoint, _ endpoint: IPEndpoint) -> Text {
        Text(
            "the server sees \(name)'s \(local) as \(endpoint), and tells \(peer)",
            zh: "服务器看到 \(name) 的 \(local) 为 \(endpoint)，并告知 \(peer)"
        )
    }

    static func connects(_ name: String, _ peer: String, _ local: IPEndpoint, _ endpoint: IPEndpoint) -> Text {
        Text(
            "\(name) connects from \(local) to \(peer) at \(endpoint)",
            zh: "\(name) 从 \(local) 向 \(peer) 的 \(endpoint) 发起连接"
        )
    }

    static func fourthTimedOut(_ name: String, isKept: Bool) -> Text {
        isKept
            ? Text(
                "no answer in time; \(name) keeps the socket, which its router now expects to go on",
                zh: "未及时得到应答；\(name) 保留该套接字，其路由器正等待它继续"
            )
            : Text(
                "no answer in time; \(name) closes the socket, but its router remembers the sequence number of its SYN",
                zh: "未及时得到应答；\(name) 关闭该套接字，但其路由器记住了该 SYN 的序列号"
            )
    }

    static func fourthRefused(_ name: String, _ end: SocketEnd) -> Text {
        switch end {
        case .refused, .reset: Text("\(name)'s connection is refused", zh: "\(name) 的连接被拒绝")
        case .timedOut: Text("\(name)'s connection gets no answer", zh: "\(name) 的连接没有应答")
        case .finished, .unreachable, .addressUnavailable, .denied, .malformed:
            Text("\(name)'s connection fails", zh: "\(name) 的连接失败")
        }
    }

    static let reachLiteral = Text(
        "taken literally, the steps reach 6 of the 16 pairs of NAT types through routers that track windows, as Linux does: B has"
            + " closed the socket of step 4, so that its listener answers step 7 with another sequence number, which B's router drops."
            + " With that socket kept they reach 13",
        zh: "若照字面执行，当路由器跟踪 TCP 窗口（如 Linux）时，16 种 NAT 组合中只有 6 种能打通：B 已关闭第 4 步的套接字，其监听套接字"
            + "以另一序列号应答第 7 步，被 B 的路由器丢弃。保留该套接字则为 13 种"
    )

    static let reachKept = Text(
        "with the socket of step 4 kept, the steps reach 13 of the 16 pairs of NAT types, but only after its time has passed; taken"
            + " literally they reach 6 through routers that track windows. Both sides connecting at once reach the same 13 in a round"
            + " trip and a half",
        zh: "保留第 4 步的套接字时，16 种 NAT 组合中有 13 种能打通，但须等其超时；照字面执行且路由器跟踪窗口时只有 6 种。"
            + "双方同时连接能打通同样的 13 种，只需一个半往返"
    )
}
