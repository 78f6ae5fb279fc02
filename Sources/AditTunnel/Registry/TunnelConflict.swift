// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Why a tunnel cannot be had.
package enum TunnelConflict: Error, Hashable, Sendable {
    /// The proxy name is held by another owner, or twice by one frp client.
    case proxyNameInUse(String)
    /// The port is held by someone else; with free ones that would do.
    case portTaken(PortKind, UInt16, alternatives: [UInt16])
    /// The host, or this route on it, is held by someone else; with free hosts that would do.
    case hostTaken(HostRoute, alternatives: [String])
    /// The owner holds as many tunnels as it may.
    case limitReached(Int)

    /// The sentence that frps answers in NewProxyResp.
    package var frpText: String {
        switch self {
        case .proxyNameInUse(let name): "proxy [\(name)] already exists"
        case .portTaken: "port already used"
        case .hostTaken: "router config conflict"
        case .limitReached: "exceed the max_ports_per_client"
        }
    }

    /// What a person is told.
    package var error: AditError {
        switch self {
        case .proxyNameInUse(let name):
            AditError(
                .nameTaken,
                Text("The tunnel name \(name) is in use", zh: "隧道名 \(name) 已被使用"),
                fix: Text("choose another name for the tunnel", zh: "请给隧道换一个名字")
            )
        case .portTaken(let kind, let port, let alternatives):
            AditError(
                .portTaken,
                Text("Port \(port)/\(kind.rawValue) is taken", zh: "端口 \(port)/\(kind.rawValue) 已被占用"),
                why: alternatives.isEmpty
                    ? [Text("no port of the server's range is free", zh: "服务器的端口范围内没有空闲端口")] : [],
                fix: alternatives.isEmpty
                    ? nil
                    : Text(
                        "use a free one: \(alternatives.map(String.init).joined(separator: ", "))",
                        zh: "可用的端口：\(alternatives.map(String.init).joined(separator: "、"))"
                    )
            )
        case .hostTaken(let route, let alternatives):
            AditError(
                .nameTaken,
                Text("The name \(route.host) belongs to another device", zh: "名字 \(route.host) 属于另一台设备"),
                fix: alternatives.isEmpty
                    ? Text("choose another name with --name", zh: "请用 --name 换一个名字")
                    : Text(
                        "choose a free one: \(alternatives.joined(separator: ", "))",
                        zh: "可用的名字：\(alternatives.joined(separator: "、"))"
                    )
            )
        case .limitReached(let limit):
            AditError(
                .limitReached,
                Text("This device already has \(limit) tunnels", zh: "这台设备已有 \(limit) 条隧道"),
                fix: Text("close a tunnel first", zh: "请先关闭一条隧道")
            )
        }
    }
}
