// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// What stands between a port here and the internet, in words.
package enum PortMapProblem {
    /// No router gives a port.
    package static func error(_ reason: PortMappingUnavailability, port: UInt16) -> AditError {
        switch reason {
        case .noRouter:
            return AditError(
                .routerSilent,
                Text("this computer has no router to ask", zh: "本机没有可以询问的路由器"),
                why: [Text("there is no default route over IPv4", zh: "没有 IPv4 默认路由")],
                fix: Text("connect to a network, then try again", zh: "连接网络后重试")
            )
        case .noAnswer(let router):
            return AditError(
                .routerSilent,
                Text("the router \(router) opens no ports by itself", zh: "路由器 \(router) 不会自动开放端口"),
                why: [
                    Text(
                        "asked by PCP, NAT-PMP and UPnP for 4 s, and nothing answered",
                        zh: "用 PCP、NAT-PMP 和 UPnP 询问了 4 秒，没有任何回应"
                    )
                ],
                fix: Text(
                    "turn on UPnP or NAT-PMP in the router's settings (http://\(router)), or use a tunnel:  adit tcp \(port)",
                    zh: "在路由器设置（http://\(router)）里打开 UPnP 或 NAT-PMP，或使用隧道：  adit tcp \(port)"
                )
            )
        case .refused(let wish, let refusals):
            return refused(wish, refusals, port: port)
        }
    }

    private static func refused(_ wish: PortMappingWish, _ refusals: [PortMappingRefusal], port: UInt16) -> AditError {
        let wanted = wish.externalPort ?? wish.internalPort
        let isTaken = refusals.contains { $0.reason == .portTaken }
        return AditError(
            .routerRefused,
            Text(
                "the router does not give \(wish.transportName) port \(wanted)",
                zh: "路由器不开放 \(wish.transportName) 端口 \(wanted)"
            ),
            why: refusals.map { refusal in
                let words = words(refusal.reason)
                let name = refusal.protocol.name
                return Text("\(name): \(words.english)", zh: "\(name)：\(words.chinese)")
            },
            fix: isTaken && wish.isExact
                ? Text("let the router choose:  adit map \(port)", zh: "让路由器选择端口：  adit map \(port)")
                : Text(
                    "allow this computer to open ports in the router's settings, or use a tunnel:  adit tcp \(port)",
                    zh: "在路由器设置里允许本机开放端口，或使用隧道：  adit tcp \(port)"
                )
        )
    }

    private static func words(_ reason: PortMappingRefusal.Reason) -> Text {
        switch reason {
        case .notAuthorized: Text("not allowed by the router's settings", zh: "路由器设置不允许")
        case .noResources: Text("the router has no more ports to give", zh: "路由器没有更多端口可用")
        case .portTaken: Text("the port belongs to another device", zh: "该端口属于另一台设备")
        case .notConnected: Text("the router is not connected to the internet", zh: "路由器未连接互联网")
        case .addressMismatch: Text("another NAT stands before the router", zh: "本机与路由器之间还有一层 NAT")
        case .unsupported: Text("the router cannot do this", zh: "路由器不支持")
        case .noAnswer: Text("the router stopped answering", zh: "路由器停止回应")
        case .malformed: Text("the router's answer makes no sense", zh: "路由器的回应无法理解")
        case .failed(let code): Text("error \(code)", zh: "错误 \(code)")
        }
    }

    /// The router opened the port, and the internet does not end at the router.
    package static func error(_ double: PortMappingDoubleNAT, port: UInt16) -> AditError {
        var why: [Text]
        switch double.evidence {
        case .carrierAddress:
            why = [
                Text(
                    "the router's own address is \(double.external), one that the carrier shares among customers (CGN)",
                    zh: "路由器自己的地址是 \(double.external)，这是运营商让多个客户共用的地址（CGN）"
                )
            ]
        case .privateAddress:
            why = [
                Text(
                    "the router's own address is \(double.external), a private one: another router stands before it",
                    zh: "路由器自己的地址是 \(double.external)，属于内网地址：它前面还有一台路由器"
                )
            ]
        case .otherAddress:
            why = [
                Text(
                    "the router says that its address is \(double.external)",
                    zh: "路由器说自己的地址是 \(double.external)"
                )
            ]
        }
        if let seen = double.seen {
            why.append(Text("servers see this network as \(seen)", zh: "服务器看到的本网络地址是 \(seen)"))
        }
        let fix =
            double.evidence == .carrierAddress
            ? Text(
                "ask the carrier for a public address, or use a tunnel:  adit tcp \(port)",
                zh: "向运营商申请公网地址，或使用隧道：  adit tcp \(port)"
            )
            : Text(
                "open the port in the outer router too, or set one of the two to bridge mode, or use a tunnel:  adit tcp \(port)",
                zh: "在外层路由器也开放该端口，或把其中一台改为桥接模式，或使用隧道：  adit tcp \(port)"
            )
        return AditError(
            .doubleNAT,
            Text("two NATs: a port of this router is not on the internet", zh: "两层 NAT：这台路由器的端口不在互联网上"),
            why: why,
            fix: fix
        )
    }
}
