// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Why a session ended.
package enum SessionEnd: Error, Hashable, Sendable {
    /// The other side closed the connection.
    case peerClosed
    /// The connection broke, with the operating system's words.
    case connectionLost(String)
    /// Nothing was heard from the other side for too long.
    case silent
    /// A newer session of the same device took its place.
    case takenOver
    /// The server is about to stop.
    case draining
    /// This side ended it on purpose.
    case closed
    /// The device's right to be here ended while it was connected.
    case removed(AditError)
    /// The login was refused.
    case refused(AditError)
    /// The other side broke the protocol, in words for the log.
    case protocolBroken(String)

    /// What a person is told.
    package var error: AditError {
        switch self {
        case .peerClosed:
            AditError(.serverUnreachable, Text("The other side closed the connection", zh: "对方关闭了连接"))
        case .connectionLost(let detail):
            AditError(
                .serverUnreachable,
                Text("The connection broke", zh: "连接中断"),
                why: [Text(verbatim: detail)]
            )
        case .silent:
            AditError(.serverUnreachable, Text("The other side fell silent", zh: "对方没有响应"))
        case .takenOver:
            AditError(
                .takenOver,
                Text("A newer run on this device took the session over", zh: "这台设备上较新的运行接管了会话")
            )
        case .draining:
            AditError(.serverUnreachable, Text("The server is stopping", zh: "服务器正在停止"))
        case .closed:
            AditError(.serverUnreachable, Text("The session was closed", zh: "会话已关闭"))
        case .removed(let error), .refused(let error):
            error
        case .protocolBroken(let detail):
            AditError(
                .protocolBroken,
                Text("The other side broke the protocol", zh: "对方违反了协议"),
                why: [Text(verbatim: detail)]
            )
        }
    }
}
