// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A connection that carries many streams, as its `StreamChannel`s see it; everything happens on its event loop.
protocol StreamCarrier: AnyObject {
    /// How many bytes a stream may send now.
    func sendWindow(of stream: StreamChannel) -> Int

    /// Puts a stream in the line of those that have something to send, each of which is then asked to `sendFrame`.
    func streamHasData(_ stream: StreamChannel)

    /// Adds bytes to those that `transmitData` is about to send.
    func append(payload: ByteBuffer)

    /// Sends what was appended, `count` bytes.
    func transmitData(_ count: Int, on stream: StreamChannel)

    /// Sends the end of a stream's data.
    func finish(_ stream: StreamChannel)

    /// Ends a stream of which everything was sent and read.
    func close(_ stream: StreamChannel)

    /// Breaks a stream off.
    func reset(_ stream: StreamChannel)

    /// Gives credit back to the peer: so many bytes of a stream were read.
    func consumed(_ count: Int, of stream: StreamChannel)

    /// Lets little of a stream be under way to this end.
    func keepShort(_ stream: StreamChannel)

    /// Adds a stream to the current round of reads, so that it is told when the round is over.
    func touch(_ stream: StreamChannel)

    /// Forgets a stream that has ended.
    func forget(_ stream: StreamChannel)
}
