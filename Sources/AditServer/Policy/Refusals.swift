// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTunnel

/// What people are told when a login or a tunnel is refused, with the facts that were measured.
enum Refusal {
    static func invite(_ admission: Admission, now: UnixTime) -> AditError? {
        let fix = Text(
            "ask for a new one; on the server:  adit server invite",
            zh: "请索取新的邀请；在服务器上运行：adit server invite"
        )
        switch admission {
        case .member: return nil
        case .unknown:
            return AditError(
                .notJoined,
                Text("this computer has not joined the server", zh: "这台电脑还没有加入该服务器"),
                fix: Text(
                    "adit join INVITE      (on the server:  adit server invite)",
                    zh: "adit join 邀请      （在服务器上：adit server invite）"
                )
            )
        case .removed(let time):
            return AditError(
                .deviceRemoved,
                Text("the server's owner removed this device", zh: "服务器所有者已移除这台设备"),
                why: [Text("\(ago(now - time).english) ago", zh: "\(ago(now - time).chinese)前")],
                fix: fix
            )
        case .inviteUsed(let device, let time, let uses):
            let shown = LineLogHandler.printable(device)
            let age = ago(now - time)
            return AditError(
                .inviteUsed,
                uses == 1
                    ? Text("this invite was already used", zh: "该邀请已被使用")
                    : Text("this invite was already used \(uses) times, its limit", zh: "该邀请已用满 \(uses) 次"),
                why: [Text("\(age.english) ago by \"\(shown)\"", zh: "\(age.chinese)前由 \"\(shown)\" 使用")],
                fix: fix
            )
        case .inviteExpired(let time):
            let age = ago(now - time)
            return AditError(
                .inviteExpired,
                Text("this invite has expired", zh: "该邀请已过期"),
                why: [Text("\(age.english) ago", zh: "\(age.chinese)前")],
                fix: fix
            )
        case .inviteWrong:
            return AditError(
                .inviteWrong,
                Text("this invite was not made by this server", zh: "该邀请不是此服务器发出的"),
                fix: fix
            )
        case .full(let limit):
            return AditError(
                .limitReached,
                Text("the server has \(limit) devices, its limit", zh: "服务器已有 \(limit) 台设备，达到上限"),
                fix: Text(
                    "on the server:  adit server devices remove NAME",
                    zh: "在服务器上：adit server devices remove 名称"
                )
            )
        }
    }

    static let tokenWrong = AditError(
        .tokenRefused,
        Text("the server does not accept this token", zh: "服务器不接受该令牌"),
        fix: Text("compare it with  token  in the server's configuration", zh: "请与服务器配置中的 token 核对")
    )

    static let userInvalid = AditError(
        .nameInvalid,
        Text(
            "the user of an frp client has at most 128 bytes and no control characters",
            zh: "frp 客户端的 user 最多 128 字节，且不含控制字符"
        ),
        fix: Text("choose another  user", zh: "请更换 user")
    )

    /// What became of a private proxy's name; nil when it was given.
    static func privateName(_ claim: PrivateProxies<ServerSession>.Claim, _ name: String) -> AditError? {
        let shown = LineLogHandler.printable(String(name.prefix(64)))
        switch claim {
        case .granted: return nil
        case .taken:
            return AditError(
                .proxyExists,
                Text("proxy [\(shown)] already exists", zh: "代理 [\(shown)] 已存在"),
                why: [Text("another client of this server has it", zh: "此服务器的另一个客户端正在使用该名称")],
                fix: Text("choose another  name  or  user", zh: "请更换 name 或 user")
            )
        case .full:
            return AditError(
                .limitReached,
                Text("the server has as many private proxies as it takes", zh: "服务器的私有代理数量已达上限")
            )
        case .invalid:
            return AditError(
                .nameInvalid,
                Text(
                    "user and name of a private proxy have at most 64 bytes together",
                    zh: "私有代理的 user 与 name 合计最多 64 字节"
                ),
                fix: Text("choose a shorter  name", zh: "请缩短 name")
            )
        }
    }

    static func onlyPrivate(_ kind: String) -> AditError {
        let shown = LineLogHandler.printable(String(kind.prefix(32)))
        return AditError(
            .kindUnavailable,
            Text("a guest has private proxies alone, and no \"\(shown)\"", zh: "访客会话只能使用私有代理，不能使用 \"\(shown)\"")
        )
    }

    static let noToken = AditError(
        .tokenRefused,
        Text("this server has no token, so frp clients cannot log in", zh: "此服务器没有令牌，frp 客户端无法登录"),
        fix: Text("start the server with  --token SECRET", zh: "请用 --token 密钥 启动服务器")
    )

    static let frpOff = AditError(
        .tokenRefused,
        Text("frp clients are switched off on this server", zh: "此服务器已关闭 frp 客户端接入"),
        fix: Text("set  allowFRP = true  in the server's configuration", zh: "在服务器配置中设置 allowFRP = true")
    )

    static let storeFailed = AditError(
        .state,
        Text("the server cannot read or write its database", zh: "服务器无法读写数据库"),
        fix: Text("on the server, look at the log and the free disk space", zh: "请在服务器上查看日志和磁盘剩余空间")
    )

    static func nameTaken(_ name: String, by holder: NameLease?, alternatives: [String]) -> AditError {
        let fix =
            alternatives.isEmpty
            ? Text("choose another with  --name", zh: "请用 --name 换一个")
            : Text(
                "free: \(alternatives.joined(separator: " · "))",
                zh: "可用：\(alternatives.joined(separator: " · "))"
            )
        guard let holder else {
            return AditError(.nameTaken, Text("\"\(name)\" is in use", zh: "\"\(name)\" 正在使用中"), fix: fix)
        }
        if holder.deviceRemoved != nil {
            return AditError(
                .nameReserved,
                Text(
                    "\"\(name)\" belonged to a removed device and is reserved",
                    zh: "\"\(name)\" 曾属于已移除的设备，目前保留"
                ),
                why: [Text("a name is kept for 90 days", zh: "名字保留 90 天")],
                fix: fix
            )
        }
        let device = LineLogHandler.printable(holder.deviceName)
        return AditError(
            .nameTaken,
            Text("\"\(name)\" belongs to \(device)", zh: "\"\(name)\" 属于 \(device)"),
            fix: fix
        )
    }

    static func portTaken(_ port: UInt16, by device: String?, nearest: [UInt16]) -> AditError {
        let free = nearest.map(String.init)
        let what =
            device.map {
                Text(
                    "public port \(port) is taken by \(LineLogHandler.printable($0))",
                    zh: "公网端口 \(port) 已被 \(LineLogHandler.printable($0)) 占用"
                )
            } ?? Text("public port \(port) is taken", zh: "公网端口 \(port) 已被占用")
        return AditError(
            .portTaken,
            what,
            fix: free.isEmpty
                ? nil
                : Text("free: \(free.joined(separator: ", "))", zh: "可用：\(free.joined(separator: "、"))")
        )
    }

    static func portOutside(_ port: UInt16, _ allowed: PortRangeList) -> AditError {
        AditError(
            .portOutsideRange,
            Text("public port \(port) is not one that this server gives out", zh: "公网端口 \(port) 不在此服务器的开放范围内"),
            why: [Text("it gives out \(allowed)", zh: "开放范围：\(allowed)")],
            fix: Text("ask for one of these, or for none to get any", zh: "请选择范围内的端口，或不指定端口")
        )
    }

    static func browserBlocked(_ port: UInt16) -> AditError {
        AditError(
            .portBlockedByBrowsers,
            Text("browsers refuse port \(port)", zh: "浏览器拒绝访问端口 \(port)"),
            fix: Text("ask for another port, or for none to get any", zh: "请换一个端口，或不指定端口")
        )
    }

    static func noFreePort(_ ranges: PortRangeList) -> AditError {
        AditError(
            .portTaken,
            Text("no public port of this server is free", zh: "此服务器没有空闲的公网端口"),
            why: [Text("it gives out \(ranges)", zh: "开放范围：\(ranges)")],
            fix: Text("close a tunnel, or widen  publicPorts  on the server", zh: "请关闭一条隧道，或在服务器上扩大 publicPorts")
        )
    }

    static let expired = AditError(
        .limitReached,
        Text("the tunnel's time is over", zh: "隧道已到期"),
        fix: Text("start it again, with a longer  --expires  if needed", zh: "请重新启动，需要时用更长的 --expires")
    )

    static let takenOver = AditError(
        .takenOver,
        Text("a newer run on this device took the tunnel over", zh: "这台设备上较新的运行接管了该隧道")
    )

    /// A length of time in its largest unit.
    static func ago(_ duration: Duration) -> Text {
        let seconds = max(0, duration.components.seconds)
        switch seconds {
        case ..<60: return Text("\(seconds) s", zh: "\(seconds) 秒")
        case ..<3600: return Text("\(seconds / 60) min", zh: "\(seconds / 60) 分钟")
        case ..<172_800: return Text("\(seconds / 3600) h", zh: "\(seconds / 3600) 小时")
        default: return Text("\(seconds / 86400) days", zh: "\(seconds / 86400) 天")
        }
    }
}
