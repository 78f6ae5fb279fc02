// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Who answers the commands that come through a state folder's socket.
package struct ServerCommands: Sendable {
    /// Answers a command to a server, on an event loop.
    package typealias Answer =
        @Sendable (ControlRequest, AditServer, any EventLoop) -> EventLoopFuture<ControlReply>

    /// Where the socket is.
    package var state: ServerState
    /// Answers one command.
    package var answer: Answer

    /// Makes what answers.
    package init(_ state: ServerState, answer: @escaping Answer) {
        self.state = state
        self.answer = answer
    }
}
