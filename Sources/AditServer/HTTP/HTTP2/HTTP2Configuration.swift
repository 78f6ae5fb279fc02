// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP2

/// The settings of HTTP/2 (RFC 9113 section 6.5.2), made from the limits that HTTP/1.1 has too.
enum HTTP2Configuration {
    /// Of a visitor's connection.
    static func visitorConnection(_ limits: HTTPLimits) -> NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = connection(limits)
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.streamsPerConnection),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: limits.bytesInFlight),
        ]
        return configuration
    }

    /// Of a visitor's request.
    static func visitorStream(_ limits: HTTPLimits) -> NIOHTTP2Handler.StreamConfiguration {
        var configuration = stream(limits)
        // Callers who give calls up are common; each reset costs no more than a request does.
        configuration.streamResetFrameRateLimit.maximumCount = limits.resets
        configuration.streamResetFrameRateLimit.windowLength = limits.resetWindow
        return configuration
    }

    /// Of a connection to an app.
    static func appConnection(_ limits: HTTPLimits) -> NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = connection(limits)
        configuration.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: limits.bytesInFlight),
        ]
        // An app resets the rest of a request that it does not need.
        configuration.maximumConnectionGlitches = 100_000
        return configuration
    }

    /// Of a request to an app.
    static func appStream(_ limits: HTTPLimits) -> NIOHTTP2Handler.StreamConfiguration {
        var configuration = stream(limits)
        configuration.streamResetFrameRateLimit.maximumCount = 2_000
        configuration.streamResetFrameRateLimit.windowLength = .seconds(1)
        return configuration
    }

    private static func connection(_ limits: HTTPLimits) -> NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.targetWindowSize = 4 * limits.bytesInFlight
        configuration.maximumSequentialEmptyDataFrames = 256
        configuration.maximumBufferedControlFrames = 1_000
        configuration.maximumRecentlyResetStreams = 2 * limits.streamsPerConnection
        // Libraries of gRPC measure the path with a ping for each read (grpc-go: one for each round trip).
        configuration.controlFrameRateLimit.maximumCount = 1_000
        configuration.controlFrameRateLimit.windowLength = .seconds(1)
        return configuration
    }

    private static func stream(_ limits: HTTPLimits) -> NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = limits.bytesInFlight
        configuration.outboundBufferSizeHighWatermark = 64 * 1024
        configuration.outboundBufferSizeLowWatermark = 32 * 1024
        return configuration
    }
}
