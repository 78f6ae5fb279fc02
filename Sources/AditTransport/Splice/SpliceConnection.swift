// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One direction of a spliced connection: what is known about its two sockets, and what is on its way between them.
struct SpliceDirection {
    let source: CInt
    let sink: CInt
    /// Whether reading may give something; an edge of epoll says when it may again.
    var canRead = true
    /// Whether writing may take something.
    var canWrite = true
    /// Whether the end of data is on its way, so that a short read does not mean that the socket is empty.
    var isEnding = false
    /// Whether reads fill their buffer, which makes splicing worth while.
    var isBulk = false
    /// Whether the end of data was read.
    var hasEnded = false
    /// Whether it was passed on.
    var isFinished = false
    /// Bytes that the sink did not take yet, from `heldStart` on; they go before anything else.
    var held: [UInt8]
    var heldStart = 0
    var pipe: SplicePipe?
    var bytesInPipe = 0
    /// Bytes received from the source.
    var byteCount: Int64
    /// How many of them have been told to whoever counts.
    var toldCount: Int64 = 0

    init(source: CInt, sink: CInt, early: [UInt8]) {
        self.source = source
        self.sink = sink
        held = early
        byteCount = Int64(early.count)
    }
}

/// Two joined sockets.
///
/// Its maker hands it to a thread of the forwarder through a lane; from then on that thread alone touches it.
// Made on one thread and given away through a mutex before anybody else can see it; `let`s aside, only the lane's thread
// looks inside.
final class SpliceConnection: @unchecked Sendable {
    let first: CInt
    let second: CInt
    let onBytes: @Sendable (_ fromFirst: Int, _ fromSecond: Int) -> Void
    let onEnd: @Sendable (RelayOutcome) -> Void

    /// From the first socket to the second.
    var forward: SpliceDirection
    /// From the second socket to the first.
    var backward: SpliceDirection
    var hasFirstFailed = false
    var hasSecondFailed = false
    /// The side whose data ended first.
    var endedBy: RelayOutcome.Side?
    /// Its place in the table of its thread; nil before it is there and after its end.
    var slot: Int?
    var generation: UInt32 = 0
    var isQueued = false
    var isOver = false

    init(
        _ first: SpliceSocket,
        _ second: SpliceSocket,
        onBytes: @escaping @Sendable (Int, Int) -> Void,
        onEnd: @escaping @Sendable (RelayOutcome) -> Void
    ) {
        self.first = first.descriptor
        self.second = second.descriptor
        self.onBytes = onBytes
        self.onEnd = onEnd
        forward = SpliceDirection(source: first.descriptor, sink: second.descriptor, early: first.early)
        backward = SpliceDirection(source: second.descriptor, sink: first.descriptor, early: second.early)
    }
}
