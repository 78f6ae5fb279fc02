// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// How a TCP socket is set up whose bytes are relayed.
package enum RelaySocket {
    /// How much one read takes: little from a peer that says little, much from one that sends much.
    package static var receiveBuffers: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 256 * 1024)
    }

    /// How much may wait in front of the socket before its partner is not read any more.
    private static var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
        .init(low: 128 * 1024, high: 256 * 1024)
    }

    /// Sets the options, on the event loop: options given to a bootstrap take a chain of futures for each connection.
    package static func prepare(_ channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        // A socket that was closed meanwhile takes no options and says so when it is used.
        try? options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try? options.setOption(.recvAllocator, value: receiveBuffers)
        try? options.setOption(.writeBufferWaterMark, value: waterMark)
        try? options.setOption(.allowRemoteHalfClosure, value: true)
    }
}
