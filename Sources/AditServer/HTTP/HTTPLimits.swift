// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The bounds of the reverse proxy: sizes in bytes, counts and times.
package struct HTTPLimits: Sendable {
    /// Header names and values of one message, the request target included.
    package var headerBytes = 64 * 1024
    /// Header fields of one message, trailers included.
    package var headerCount = 128
    /// The request target alone.
    package var targetBytes = 16 * 1024
    /// Visitor connections at the same time.
    package var connections = 20_000
    /// Visitor connections at the same time from one address, a /64 of IPv6; this machine's own are not counted.
    package var connectionsPerAddress = 2_000
    /// Those among them on which no whole head of a request has come yet.
    package var silentConnectionsPerAddress = 256
    /// Visitor connections at the same time whose latest request was for the same tunnel.
    package var connectionsPerTunnel = 2_000
    /// Bytes of a body on their way between visitor and app, each way.
    package var bytesInFlight = 256 * 1024
    /// Informational responses (RFC 9110 section 15.2) before the final one.
    package var informationalResponses = 16
    /// From the first byte of a request, or from the start of the connection, to the end of its header.
    package var requestHead: TimeAmount = .seconds(30)
    /// Between two requests; a connection to the app is kept for as long.
    package var idle: TimeAmount = .seconds(60)
    /// Without a byte of a request's body that the proxy is ready to take.
    package var requestBody: TimeAmount = .seconds(60)
    /// To get a connection to the app.
    package var open: TimeAmount = .seconds(15)
    /// From the last byte of the request that the app took to its response's header.
    package var responseHead: TimeAmount = .seconds(60)
    /// Without the visitor taking anything of a response that waits for it.
    package var visitorStall: TimeAmount = .minutes(5)
    /// Without a byte of the response to a visitor who has ended its own direction, which may mean that it left.
    package var halfClosed: TimeAmount = .seconds(60)
    /// For the visitor to read the last response and to close.
    package var linger: TimeAmount = .seconds(5)
    /// How old a kept connection to the app may be for a request that may not be repeated.
    package var reuseForUnsafe: TimeAmount = .seconds(3)

    /// Requests over HTTP/2 at the same time on one visitor connection.
    package var streamsPerConnection = 100
    /// Requests over HTTP/2 at the same time.
    package var streams = 20_000
    /// Requests over HTTP/2 that one visitor connection may give up in each `resetWindow`.
    package var resets = 400
    /// See `resets`.
    package var resetWindow: TimeAmount = .seconds(4)
    /// Frames of HTTP/2 without content that may come at once.
    package var idleFrames = 4_000
    /// By how many such frames the allowance grows each second.
    package var idleFramesPerSecond = 1_000
    /// By how many bytes sent the allowance grows by one frame.
    package var bytesPerIdleFrame = 512
    /// Without a byte from a visitor of HTTP/2 whose request is under way, after which a ping asks for one.
    package var presence: TimeAmount = .seconds(60)
    /// For the answer to that ping.
    package var presenceAnswer: TimeAmount = .seconds(20)

    /// Makes the limits of production.
    package init() {}
}
