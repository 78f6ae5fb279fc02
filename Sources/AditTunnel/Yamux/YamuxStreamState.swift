// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What a yamux session knows about one stream: numbers only, never its bytes.
struct YamuxStreamState: Sendable {
    enum Phase: Sendable {
        /// Opened here; the open has not been sent, because too many are unacknowledged.
        case waiting
        /// Opened here and sent; the peer has not answered.
        case opening
        /// Opened by the peer; nobody here has accepted it.
        case unaccepted
        /// Known to both ends.
        case established
    }

    var phase: Phase
    /// Bytes that this end may still send.
    var sendWindow: UInt32 = YamuxConfiguration.initialWindow
    /// Bytes that the peer may still send.
    var receiveWindow: UInt32 = YamuxConfiguration.initialWindow
    /// The receive window that this end means to keep up.
    var windowLimit: UInt32
    /// Bytes received or announced and not yet consumed.
    var bufferedBytes: UInt32 = 0
    /// When the last credit was granted, from which the speed of the reader is judged.
    var lastGrant: Instant
    /// The window follows the reader's speed.
    var isKeptShort = false
    /// The peer has not been told that the stream is known here; the next frame tells it.
    var owesAcknowledgement = false
    /// This end has sent, or means to send, its end of data.
    var isLocalEnded = false
    /// The peer has sent its end of data.
    var isRemoteEnded = false
    /// The end of data comes with the payload that is arriving.
    var endsAfterPayload = false
    /// Nobody here reads the stream any more.
    var isDetached = false

    /// The credit that brings the peer's window back to the limit.
    var missingCredit: UInt32 {
        let held = UInt64(receiveWindow) + UInt64(bufferedBytes)
        return held >= UInt64(windowLimit) ? 0 : windowLimit - UInt32(held)
    }

    /// How far the receive window is above the initial one.
    var grownWindow: Int { max(0, Int(windowLimit) - Int(YamuxConfiguration.initialWindow)) }

    /// The flag for the next frame of the stream, which pays what is owed.
    mutating func takeAcknowledgement() -> YamuxHeader.Flags {
        guard owesAcknowledgement else { return [] }
        owesAcknowledgement = false
        return .acknowledge
    }

    /// Whether nothing more can happen on the stream.
    var isOver: Bool { isLocalEnded && isRemoteEnded && (isDetached || bufferedBytes == 0) }
}
