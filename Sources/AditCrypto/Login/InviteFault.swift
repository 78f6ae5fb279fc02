// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Why a text is not an invite.
package enum InviteFault: Error, Sendable, Hashable {
    /// There is no text.
    case empty
    /// No slash divides address and code.
    case noSlash
    /// What stands before the slash is not `host` or `host:port`.
    case address(String)
    /// A character that the code cannot hold.
    case character(Character)
    /// The code has this many characters instead of 29.
    case codeLength(Int)
    /// The code is of a later version of Adit.
    case newerVersion

    /// The fault for a person.
    package var error: AditError {
        let what = Text("This is not a complete invite", zh: "这不是完整的邀请码")
        let again = Text(
            "copy the whole line that adit server invite printed: host/XXXX-XXXX-…",
            zh: "请完整复制 adit server invite 打印的那一行：host/XXXX-XXXX-…"
        )
        switch self {
        case .empty:
            return AditError(.inviteWrong, what, why: [Text("the text is empty", zh: "内容为空")], fix: again)
        case .noSlash:
            let why = Text("no / between the server and the code", zh: "服务器与代码之间没有 /")
            return AditError(.inviteWrong, what, why: [why], fix: again)
        case .address(let address):
            let why = Text("“\(address)” is not a host or host:port", zh: "“\(address)”不是 host 或 host:port")
            return AditError(.inviteWrong, what, why: [why], fix: again)
        case .character(let character):
            let why = Text("the code cannot contain “\(character)”", zh: "代码中不可能有“\(character)”")
            return AditError(.inviteWrong, what, why: [why], fix: again)
        case .codeLength(let count):
            let why = Text(
                "the code has \(count) characters, an invite has 29",
                zh: "代码有 \(count) 个字符，邀请码应为 29 个"
            )
            return AditError(.inviteWrong, what, why: [why], fix: again)
        case .newerVersion:
            return AditError(
                .versionsApart,
                Text("The invite is from a newer Adit", zh: "邀请码来自更新版本的 Adit"),
                why: [Text("its version bit is 1, this Adit reads 0", zh: "其版本位为 1，本程序只识别 0")],
                fix: Text("update adit on this computer", zh: "请更新本机的 adit")
            )
        }
    }
}
