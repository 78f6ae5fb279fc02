// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What people are told when a private proxy of an frp client cannot be reached.
enum FRPPrivateProblem {
    /// What an answer means; nil stands for none at all.
    static func answered(_ answer: ServiceAnswer?, _ name: String, kind: ServiceKind) -> AditError {
        switch answer {
        case .refused:
            AditError(
                .serviceUnknown,
                Text("proxy [\(name)] does not let this visitor in", zh: "代理 [\(name)] 拒绝了此访问者"),
                why: [
                    Text(
                        "the secretKey differs, or allowUsers does not name this user",
                        zh: "secretKey 不一致，或 allowUsers 未包含此用户"
                    )
                ],
                fix: Text("compare  secretKey  and  allowUsers", zh: "请核对 secretKey 与 allowUsers")
            )
        case .targetRefuses, .targetUnreachable, .targetSilent:
            AditError(
                .serviceDown,
                Text(
                    "proxy [\(name)] is online, and its local service does not answer",
                    zh: "代理 [\(name)] 在线，但其本地服务没有应答"
                ),
                fix: Text("start the service, or correct  localIP  and  localPort", zh: "启动该服务，或改正 localIP 与 localPort")
            )
        case .busy:
            AditError(
                .limitReached,
                Text("proxy [\(name)] takes no more connections of this visitor", zh: "代理 [\(name)] 不再接受此访问者的更多连接"),
                fix: Text("close some, then try again", zh: "关闭一些连接后重试")
            )
        case .wrongKind:
            AditError(
                .serviceUnknown,
                kind == .tcp
                    ? Text("proxy [\(name)] is of type sudp", zh: "代理 [\(name)] 的类型是 sudp")
                    : Text("proxy [\(name)] is not of type sudp", zh: "代理 [\(name)] 的类型不是 sudp"),
                fix: Text("give the visitor the type of the proxy", zh: "visitor 的类型应与代理一致")
            )
        case .unsupportedVersion:
            AditError(
                .versionsApart,
                Text(
                    "the client with proxy [\(name)] runs another version of Adit",
                    zh: "代理 [\(name)] 所在客户端的 Adit 版本不兼容"
                ),
                fix: Text("update Adit at both ends", zh: "请升级两端的 Adit")
            )
        case .accepted, .proven, nil: ServiceProblem.lost(ServicePlace(device: "", service: name))
        }
    }

    /// No client of the server has a proxy of that name.
    static func nobodyHas(_ name: String) -> AditError {
        AditError(
            .serviceUnknown,
            Text("no client of this server has a private proxy [\(name)]", zh: "此服务器没有客户端提供私有代理 [\(name)]"),
            why: [Text("both ends have to be Adit, at the same server", zh: "两端都必须是 Adit，且连接同一台服务器")],
            fix: Text(
                "compare  serverName  and  serverUser  with the proxy's  name  and  user",
                zh: "请将 serverName、serverUser 与代理的 name、user 核对"
            )
        )
    }

    /// There was no connection in time.
    static func noConnection(_ name: String, why: AditError? = nil) -> AditError {
        AditError(
            .noPath,
            Text("no connection to proxy [\(name)]", zh: "没有到代理 [\(name)] 的连接"),
            why: why.map { [$0.what] } ?? [],
            fix: Text("is the client with this proxy running, and connected?", zh: "请确认提供该代理的客户端正在运行且已连接")
        )
    }

    /// The server takes no guests: a plain frps, or an older Adit.
    static func notServed(_ error: AditError) -> AditError {
        guard error.code == .versionsApart else { return error }
        return AditError(
            .versionsApart,
            Text(
                "private proxies and visitors need an Adit server, with Adit at both ends",
                zh: "私有代理与 visitor 需要 Adit 服务器，且两端均为 Adit"
            ),
            why: error.why.isEmpty ? [error.what] : error.why,
            fix: Text("use frpc for them, or run  adit server", zh: "请改用 frpc，或使用 adit server")
        )
    }
}
