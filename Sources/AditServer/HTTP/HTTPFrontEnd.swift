// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
package import NIOCore
import NIOHTTP1

/// The reverse proxy for tunnels by name: takes visitor connections and answers them from the apps behind the routes.
package struct HTTPFrontEnd: Sendable {
    private let state: HTTPFrontEndState

    /// Makes a front end.
    ///
    /// - Parameters:
    ///   - unknownNamePage: an HTML page to show instead of Adit's own when no tunnel has the name.
    ///   - loopName: a token that only this server has, such as `adit-9k3f`; requests that come back with it in
    ///     CDN-Loop (RFC 8586) are refused. Nil neither writes nor checks the field.
    ///   - secureAuthority: host and port at which a host is served with TLS, for hosts whose visitors without TLS are
    ///     to be sent there; nil for the others. Nil sends nobody.
    ///   - ownNames: the server's own names, in the spelling of routes. With them `ServerCheck.path` is answered for
    ///     these, and for the address to which a visitor came, unless a tunnel has that name; nil answers it for none.
    package init(
        routes: any HTTPRouteTable,
        limits: HTTPLimits = HTTPLimits(),
        clock: HTTPWallClock = .system,
        unknownNamePage: [UInt8]? = nil,
        loopName: String? = nil,
        secureAuthority: (@Sendable (_ host: String) -> String?)? = nil,
        ownNames: Set<String>? = nil
    ) {
        state = HTTPFrontEndState(
            routes: routes,
            limits: limits,
            clock: clock,
            loopName: loopName.flatMap { HTTPField.isName($0) ? $0 : nil },
            page: unknownNamePage,
            secureAuthority: secureAuthority,
            ownNames: ownNames
        )
    }

    /// Installs the visitor pipeline on an accepted connection that carries bytes of HTTP.
    package func initialize(_ channel: any Channel) -> EventLoopFuture<Void> {
        initialize(channel, visitor: nil, isSecure: false)
    }

    /// Installs the visitor pipeline on an accepted connection.
    ///
    /// A connection above the limits, or one that comes while the front end drains, is closed.
    /// - Parameters:
    ///   - visitor: who is at the other end when that is not the channel's remote address.
    ///   - isSecure: whether the visitor's connection is encrypted.
    ///   - mayName: whether a request may name a host, in the spelling of routes; one that may not gets 421
    ///     (RFC 9110 section 15.5.20). Nil allows every host.
    package func initialize(
        _ channel: any Channel,
        visitor: IPEndpoint?,
        isSecure: Bool,
        mayName: (@Sendable (_ host: String) -> Bool)? = nil
    ) -> EventLoopFuture<Void> {
        let remote = visitor ?? channel.remoteAddress.flatMap(IPEndpoint.init) ?? IPEndpoint(.v4(0), 0)
        guard let place = state.reserve(remote.address) else { return channel.close() }
        let state = state
        return channel.eventLoop.atOnce {
            let port = channel.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? (isSecure ? 443 : 80)
            let decoding = HTTPDecodingHandler<HTTPRequestHead, HTTPResponseHead>(
                limits: state.limits,
                recognisesHTTP2: true
            )
            let connection = HTTPVisitorConnection(
                HTTPVisitor(remote, isSecure: isSecure, port: port, mayName: mayName),
                decoding: decoding,
                state: state,
                place: place
            )
            do {
                try channel.syncOptions?.setOption(.autoRead, value: false)
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
                // Finds visitors who vanished while nothing is sent, as on a WebSocket; only sockets have it.
                try? channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
                try channel.pipeline.syncOperations.addHandlers([decoding, connection])
            } catch {
                connection.releaseWithoutPipeline()
                throw error
            }
        }
    }

    /// Installs HTTP/2 on an accepted connection, one that chose `h2` in TLS (RFC 9113 section 3.2).
    ///
    /// A connection above the limits, or one that comes while the front end drains, is closed.
    /// - Parameters:
    ///   - visitor: who is at the other end when that is not the channel's remote address.
    ///   - isSecure: whether the visitor's connection is encrypted.
    ///   - mayName: whether a request may name a host, in the spelling of routes; one that may not gets 421
    ///     (RFC 9110 section 15.5.20). Nil allows every host.
    package func initializeHTTP2(
        _ channel: any Channel,
        visitor: IPEndpoint? = nil,
        isSecure: Bool = true,
        mayName: (@Sendable (_ host: String) -> Bool)? = nil
    ) -> EventLoopFuture<Void> {
        let remote = visitor ?? channel.remoteAddress.flatMap(IPEndpoint.init) ?? IPEndpoint(.v4(0), 0)
        guard let place = state.reserve(remote.address) else { return channel.close() }
        let state = state
        return channel.eventLoop.submit {
            let port = channel.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? (isSecure ? 443 : 80)
            let visitor = HTTPVisitor(remote, isSecure: isSecure, port: port, mayName: mayName)
            do {
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
                try? channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
                let connection = try HTTP2VisitorConnection.install(
                    on: channel,
                    visitor: visitor,
                    state: state,
                    place: place
                )
                connection.begin()
            } catch {
                state.release(place)
                throw error
            }
        }
    }

    /// What the front end has done and holds.
    package var counters: HTTPFrontEndCounters { state.counters }

    /// Replaces the HTML page for unknown names; nil brings Adit's own back.
    package func setUnknownNamePage(_ page: [UInt8]?) {
        state.unknownNamePage = page
    }

    /// Takes no new connection, and ends each one after the response that is on it.
    ///
    /// The future is kept when all connections have ended, those that left HTTP included; `closeAll` cuts the rest off.
    package func drain(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        state.drain(promise)
        return promise.futureResult
    }

    /// Closes every connection at once, and takes no new one.
    package func closeAll() {
        state.closeAll()
    }
}
