// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// What people are told when a service of another device cannot be reached.
package enum ServiceProblem {
    /// What an answer means; nil stands for none at all.
    package static func answered(_ answer: ServiceAnswer?, _ place: ServicePlace, kind: ServiceKind) -> AditError {
        if place.device.isEmpty { return FRPPrivateProblem.answered(answer, place.service, kind: kind) }
        let device = place.device
        switch answer {
        case .refused:
            return AditError(
                .serviceUnknown,
                Text(
                    "\(device) has no service \"\(place.service)\" for this device",
                    zh: "\(device) 没有供本设备使用的服务 “\(place.service)”"
                ),
                why: [
                    Text(
                        "it is not there, or its list does not name this device, or the secret is another",
                        zh: "服务不存在，或其允许列表中没有本设备，或密钥不符"
                    )
                ],
                fix: Text("on \(device):  adit status", zh: "在 \(device) 上：  adit status")
            )
        case .targetRefuses: return down(place)
        case .targetUnreachable:
            return AditError(
                .serviceDown,
                Text(
                    "\(device) is online, but cannot reach what \(place) leads to",
                    zh: "\(device) 在线，但无法到达 \(place) 的目标"
                ),
                fix: Text("on \(device):  adit status", zh: "在 \(device) 上：  adit status")
            )
        case .targetSilent:
            return AditError(
                .serviceDown,
                Text(
                    "\(device) is online, but what \(place) leads to does not answer",
                    zh: "\(device) 在线，但 \(place) 的目标没有应答"
                ),
                fix: Text(
                    "is that machine on, and in the same network as \(device)?",
                    zh: "那台机器是否开机，且与 \(device) 在同一网络？"
                )
            )
        case .busy:
            return AditError(
                .limitReached,
                Text("\(device) takes no more connections of this device", zh: "\(device) 不再接受本设备的更多连接"),
                fix: Text("close some, then try again", zh: "关闭一些连接后重试")
            )
        case .wrongKind: return wrongKind(place, asked: kind)
        case .unsupportedVersion:
            return AditError(
                .versionsApart,
                Text(
                    "\(device) runs another version of Adit, which does not understand this one",
                    zh: "\(device) 的 Adit 版本与本机不兼容"
                ),
                fix: Text("update Adit on both devices", zh: "请升级两台设备上的 Adit")
            )
        case .accepted, .proven, nil: return lost(place)
        }
    }

    private static func down(_ place: ServicePlace) -> AditError {
        let device = place.device
        guard place.service == "ssh" else {
            return AditError(
                .serviceDown,
                Text(
                    "\(device) is online, but nothing listens where \(place) leads",
                    zh: "\(device) 在线，但 \(place) 的目标没有程序监听"
                ),
                fix: Text("start the program on \(device)", zh: "在 \(device) 上启动该程序")
            )
        }
        return AditError(
            .serviceDown,
            Text("\(device) is online, but its SSH server is not running", zh: "\(device) 在线，但其 SSH 服务没有运行"),
            fix: Text(
                "on \(device):  sudo systemctl enable --now ssh",
                zh: "在 \(device) 上：  sudo systemctl enable --now ssh"
            )
        )
    }

    private static func wrongKind(_ place: ServicePlace, asked: ServiceKind) -> AditError {
        switch asked {
        case .tcp:
            AditError(
                .serviceUnknown,
                Text("\(place) is a service of UDP", zh: "\(place) 是 UDP 服务"),
                fix: Text(verbatim: "adit connect \(place) --udp")
            )
        case .udp:
            AditError(
                .serviceUnknown,
                Text("\(place) is a service of TCP", zh: "\(place) 是 TCP 服务"),
                fix: Text(verbatim: "adit connect \(place)")
            )
        }
    }

    /// Where a service leads nobody answers, as its own device sees it.
    package static func target(_ failure: TargetFailure, _ target: String) -> AditError {
        if case .forbidden(let error) = failure { return error }
        let why: Text? =
            switch failure {
            case .refused: Text("the connection was refused", zh: "连接被拒绝")
            case .timedOut: Text("there was no answer in time", zh: "没有及时应答")
            case .unresolved(let words), .tls(let words), .other(let words): Text(verbatim: words)
            case .forbidden: nil
            }
        return AditError(
            .nothingListens,
            Text("nothing answers at \(target)", zh: "\(target) 没有应答"),
            why: why.map { [$0] } ?? [],
            fix: Text("start the program, or correct the target", zh: "启动程序，或改正目标")
        )
    }

    /// There was no connection to a device in time.
    package static func noConnection(_ device: String) -> AditError {
        AditError(
            .noPath,
            Text("no connection to \(device)", zh: "没有到 \(device) 的连接"),
            fix: Text("why:  adit ping \(device)", zh: "查看原因：  adit ping \(device)")
        )
    }

    /// There was no connection to the device of a service in time.
    static func noConnection(to place: ServicePlace) -> AditError {
        place.device.isEmpty ? FRPPrivateProblem.noConnection(place.service) : noConnection(place.device)
    }

    /// The connection to the device of a service broke.
    static func lost(_ place: ServicePlace) -> AditError {
        AditError(
            .noPath,
            Text("the connection to \(place.owner) broke", zh: "到 \(place.owner) 的连接已中断"),
            fix: Text("try again", zh: "请重试")
        )
    }

    /// There was no direct path in time.
    static func noDirectPath(_ place: ServicePlace) -> AditError {
        AditError(
            .noPath,
            Text("no direct path to \(place.owner) in time", zh: "未能及时建立到 \(place.owner) 的直连路径"),
            why: [Text("it is looked for on; a later connection may find it", zh: "仍在继续查找，之后的连接可能成功")],
            fix: Text("name another visitor in  fallbackTo", zh: "请在 fallbackTo 中指定备用 visitor")
        )
    }

    /// The other end said yes, and did not show that it knows the secret.
    static func unproven(_ place: ServicePlace) -> AditError {
        AditError(
            .serviceUnproven,
            Text("whoever answers for \(place) does not know its secret", zh: "应答 \(place) 的一方不知道其密钥"),
            why: [Text("nothing was sent to it", zh: "未向其发送任何数据")],
            fix: Text("compare the secret at both ends; is it the right server?", zh: "请核对两端的密钥，并确认服务器正确")
        )
    }

    /// More wait for a device, or visit it, than there is room for.
    package static func tooManyWait(_ place: ServicePlace) -> AditError {
        AditError(
            .limitReached,
            Text("too many connections to \(place) at once", zh: "到 \(place) 的并发连接过多"),
            fix: Text("close some, then try again", zh: "关闭一些连接后重试")
        )
    }

    /// No request can be made for the service.
    static func broken(_ place: ServicePlace) -> AditError {
        AditError(
            .protocolBroken,
            Text("the secret of \(place) cannot be proven on this connection", zh: "无法在此连接上证明 \(place) 的密钥")
        )
    }

    /// The local port cannot be used.
    static func cannotListen(_ endpoint: IPEndpoint, _ error: any Error) -> AditError {
        if let error = error as? AditError { return error }
        return AditError(
            .cannotListen,
            Text("cannot listen at \(endpoint)", zh: "无法监听 \(endpoint)"),
            why: [Text(verbatim: "\(error)")],
            fix: Text("name another port, or none for a free one", zh: "换一个端口，或不写端口以自动选择")
        )
    }
}
