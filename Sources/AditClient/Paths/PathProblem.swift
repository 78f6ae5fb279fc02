// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire
import Glibc

/// What people are told when no path to a device can be looked for.
package enum PathProblem {
    /// The server could not pass a signal on; nil when trying again is all there is to do.
    ///
    /// - Parameter local: the time of day, or the day, of Unix seconds as people here write it.
    package static func unavailable(
        _ answer: AditPeerUnavailable,
        now: Int64,
        local: (Int64) -> (time: String, day: String) = localTime
    ) -> AditError? {
        let name = shown(answer.peer)
        switch answer.knownReason {
        case .unknown:
            return AditError(
                .deviceUnknown,
                Text("the server knows no device \"\(name)\"", zh: "服务器上没有名为 “\(name)” 的设备"),
                fix: Text("on the server:  adit server devices", zh: "在服务器上：  adit server devices")
            )
        case .offline:
            let age = answer.lastSeen > 0 && now >= answer.lastSeen ? now - answer.lastSeen : nil
            let since = age.map { age in
                let moment = local(answer.lastSeen)
                let (start, ago) = (age < 86_400 ? moment.time : moment.day, words(age))
                return Text(
                    " has been offline since \(start) (\(ago.english) ago)",
                    zh: "自 \(start) 起已离线（\(ago.chinese)前）"
                )
            }
            return AditError(
                .deviceOffline,
                Text("\(name)\(since?.english ?? " is offline")", zh: "\(name) \(since?.chinese ?? "已离线")"),
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
        case .noService: return noService(name, answer.service)
        case .runEnded, .busy, .noStreams, nil: return nil
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

    /// The device is there, and no process of it has the service.
    package static func noService(_ name: String, _ service: String) -> AditError {
        let (device, service) = (shown(name), shown(service))
        return AditError(
            .serviceUnknown,
            Text(
                "\(device) is online, and has no service \"\(service)\" for others",
                zh: "\(device) 在线，但没有向其他设备开放服务 “\(service)”"
            ),
            fix: Text("on \(device):  adit expose \(service)", zh: "在 \(device) 上：  adit expose \(service)")
        )
    }

    /// There are as many paths as a process may have.
    package static let tooMany = AditError(
        .limitReached,
        Text("there are too many paths already", zh: "路径数量已达上限")
    )

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

    /// The time of day and the day in this computer's time zone.
    package static func localTime(_ seconds: Int64) -> (time: String, day: String) {
        var (moment, parts) = (time_t(seconds), tm())
        guard unsafe localtime_r(&moment, &parts) != nil else { return ("?", "?") }
        func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return (
            "\(digits(parts.tm_hour)):\(digits(parts.tm_min))",
            "\(parts.tm_year + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
        )
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
