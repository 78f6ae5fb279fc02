// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditWire

/// Why a yamux session ended other than by agreement.
package enum YamuxFailure: Error, Sendable, Equatable {
    /// The peer sent something that is not a yamux header.
    case malformedHeader(YamuxHeaderError)
    /// The peer used a stream id that is not its own to use, or one that nobody opened.
    case invalidStreamID(UInt32)
    /// The peer opened a stream that is already open.
    case duplicateStream(UInt32)
    /// The peer sent more on a stream than its window allows.
    case windowExceeded(UInt32)
    /// The peer sent data on a stream after it had ended it.
    case dataAfterEnd(UInt32)
    /// The peer's window updates for a stream add up to more than 32 bits.
    case windowOverflow(UInt32)
    /// The peer makes this end answer and does not take the answers.
    case repliesNotTaken
    /// The peer said go-away with an error code: 1 protocol error, 2 internal error.
    case refusedByPeer(code: UInt32)
    /// The peer left a ping unanswered and sent nothing else.
    case peerUnresponsive
}
