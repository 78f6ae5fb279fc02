// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire

/// What people are told when no path to a device can be looked for.
package enum PathProblem {
    /// The server could not pass a signal on; nil when trying again is all there is to do.
    package static func unavailable(_ answer: AditPeerUnavailable, now: Int64) -> AditError? {
        let name = shown(answer.peer)
        switch answer.knownReason {
        case .unknown:
            return AditError(
                .deviceUnknown,
                Text("the server knows no device \"\(name)\"", zh: "服务器上没有名为 “\(name)” 的设备"),
                fix: Text("on the server:  adit server devices", zh: "在服务器上：  adit server devices")
            )
        case .offline:
            let since = answer.lastSeen > 0 && now > answer.lastSeen ? now - answer.lastSeen : nil
            return AditError(
                .deviceOffline,
                Text("\(name) is offline", zh: "\(name) 已离线"),
                why: since.map { [Text("last seen \(words($0).english) ago", zh: "\(words($0).chinese)前在线")] } ?? [],
                fix: Text("on \(name):  adit up", zh: "在 \(name) 上：  adit up")
            )
        case .off:
            return AditError(
                .pathsOff,
                Text("\(name) is online, and takes no part in finding paths", zh: "\(name) 在线，但不参与路径查找"),
                why: [
                    Text(
                        "its tunnels run with --no-paths, or its version does not know paths",
                        zh: "其隧道以 --no-paths 运行，或其版本不支持路径"
                    )
                ],
                fix: Text("on \(name):  adit up", zh: "在 \(name) 上：  adit up")
            )
        case .oneself: return oneself(name)
        case .runEnded, .busy, nil: return nil
        }
    }

    /// The name is this device's own.
    package static func oneself(_ name: String) -> AditError {
        AditError(
            .deviceUnknown,
            Text("\(shown(name)) is this device", zh: "\(shown(name)) 就是本设备"),
            fix: Text("name another one:  adit ping NAME", zh: "请指定其他设备：  adit ping 名称")
        )
    }

    /// The server does not pass signals on.
    package static let notOffered = AditError(
        .pathsOff,
        Text("the server passes nothing on between devices", zh: "服务器不在设备之间传递消息"),
        why: [Text("its version does not know paths", zh: "其版本不支持路径")],
        fix: Text("update Adit on the server", zh: "请升级服务器上的 Adit")
    )

    /// Another key than before speaks for a device.
    package static func keyChanged(_ name: String, known: KeyFingerprint, now: KeyFingerprint) -> AditError {
        AditError(
            .deviceKeyChanged,
            Text("\(shown(name))'s key is not the one that this device met", zh: "\(shown(name)) 的密钥与先前不同"),
            why: [
                Text(
                    "known \(known)   now \(now)",
                    zh: "已知 \(known)   现在 \(now)"
                )
            ],
            fix: Text(
                "compare it with  adit status  on \(shown(name)), then:  adit trust \(shown(name)) \(now)",
                zh: "与 \(shown(name)) 上  adit status  显示的指纹核对，然后：  adit trust \(shown(name)) \(now)"
            )
        )
    }

    /// The device did not answer although the server passes signals on to it.
    package static func silent(_ name: String) -> AditError {
        AditError(
            .deviceOffline,
            Text("\(shown(name)) does not answer", zh: "\(shown(name)) 没有应答"),
            fix: Text("on \(shown(name)):  adit status", zh: "在 \(shown(name)) 上：  adit status")
        )
    }

    /// A name without what a terminal could take for a command.
    private static func shown(_ name: String) -> String {
        let isSafe: (Unicode.Scalar) -> Bool = { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
            default: true
            }
        }
        return String(String.UnicodeScalarView(name.unicodeScalars.prefix(64).filter(isSafe)))
    }

    private static func words(_ seconds: Int64) -> Text {
        switch seconds {
        case ..<120: Text("\(seconds) s", zh: "\(seconds) 秒")
        case ..<7200: Text("\(seconds / 60) min", zh: "\(seconds / 60) 分钟")
        case ..<172_800: Text("\(seconds / 3600) h", zh: "\(seconds / 3600) 小时")
        default: Text("\(seconds / 86_400) days", zh: "\(seconds / 86_400) 天")
        }
    }
}
