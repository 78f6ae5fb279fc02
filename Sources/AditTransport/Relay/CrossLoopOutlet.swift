// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The way from one leg of a relay to the other on another event loop.
///
/// It lives on the first leg's loop. Bytes cross in batches, one for each round of reads, and the other leg
/// acknowledges them when its channel can take more; at most `maximumBytesInFlight` and one round are on their way.
final class CrossLoopOutlet: RelayOutlet {
    private let maximumBytesInFlight: Int
    private let eventLoop: any EventLoop
    private let remote: NIOLoopBound<RelayHandler>
    private let remoteLoop: any EventLoop
    private var leg: RelayHandler?
    private var batch: [ByteBuffer] = []
    private var bytesInFlight = 0

    init(
        from leg: RelayHandler,
        on eventLoop: any EventLoop,
        to remote: NIOLoopBound<RelayHandler>,
        on remoteLoop: any EventLoop,
        maximumBytesInFlight: Int
    ) {
        self.leg = leg
        self.eventLoop = eventLoop
        self.remote = remote
        self.remoteLoop = remoteLoop
        self.maximumBytesInFlight = maximumBytesInFlight
    }

    var isReady: Bool { bytesInFlight < maximumBytesInFlight }

    func put(_ buffer: ByteBuffer) {
        bytesInFlight += buffer.readableBytes
        batch.append(buffer)
    }

    func putFlush() {
        guard !batch.isEmpty else { return }
        let buffers = batch
        batch.removeAll(keepingCapacity: true)
        let sender = NIOLoopBound(self, eventLoop: eventLoop)
        let senderLoop = eventLoop
        remoteLoop.execute { [remote] in
            let leg = remote.value
            var count = 0
            for buffer in buffers {
                count += buffer.readableBytes
                leg.put(buffer)
            }
            leg.putFlush()
            let total = count
            leg.whenReady {
                senderLoop.execute { sender.value.acknowledge(total) }
            }
        }
    }

    func putEnd() {
        remoteLoop.execute { [remote] in remote.value.putEnd() }
    }

    func putAbort(_ cause: RelayLegResult.Cause) {
        remoteLoop.execute { [remote] in remote.value.putAbort(cause) }
        leg = nil
    }

    private func acknowledge(_ count: Int) {
        bytesInFlight -= count
        leg?.resumeReading()
    }
}
