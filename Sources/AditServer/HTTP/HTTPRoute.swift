// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire
package import NIOCore

/// A tunnel of HTTP as the reverse proxy sees it: who may come, what is changed, and how to reach the app behind it.
package struct HTTPRoute: Sendable {
    /// Whether the device behind the tunnel is there.
    package enum State: Sendable, Equatable {
        case online
        /// The device left at this time; nil when that is not known.
        case offline(since: UnixTime?)
    }

    /// A number that is another one each time the tunnel is opened anew, so that a kept connection to the app of an
    /// earlier owner of the name is never used again.
    package var id: UInt64
    /// The name that pages show.
    package var tunnelName: String
    /// The name under which requests are reported to the device.
    package var proxyName: String
    /// The device's name.
    package var deviceName: String
    /// What the device forwards to, such as `http://localhost:3000`, for pages.
    package var target: String
    /// Who may come in, each `user:password`; everybody when empty.
    package var auth: [String]
    /// The blocks of addresses that may come in; every address when empty.
    package var allow: [CIDR]
    /// Whether the app speaks HTTP/2 alone; otherwise it gets HTTP/2 for gRPC and HTTP/1.1 for the rest.
    package var speaksHTTP2: Bool
    /// What the app gets as Host; nil for the visitor's own, byte for byte.
    package var hostHeaderRewrite: String?
    /// Whether the device is there.
    package var state: State
    /// Opens a connection to the app for a visitor; raw bytes, on any event loop.
    package var open: @Sendable (_ visitor: IPEndpoint, _ loop: any EventLoop) -> EventLoopFuture<any Channel>
    /// Takes the report of each finished request.
    package var report: @Sendable (AditRequestReport) -> Void
    /// Counts a request that may come in; nil when it may be answered, else when the visitor should try again.
    package var admitRequest: @Sendable (_ visitor: IPEndpoint) -> Duration?
    /// Hears of each visitor who was turned away before `open`.
    package var refused: @Sendable (_ visitor: IPEndpoint, _ reason: VisitorRefusal) -> Void

    /// Fields set on each request, whatever the visitor sent.
    let requestFields: [HTTPField]
    /// Fields set on each response, whatever the app sent.
    let responseFields: [HTTPField]

    /// Makes a route.
    ///
    /// Of `requestHeaders` and `responseHeaders`, those that are not header fields (RFC 9110 section 5) or that frame and
    /// route messages are left out.
    package init(
        id: UInt64 = 0,
        tunnelName: String,
        proxyName: String? = nil,
        deviceName: String,
        target: String,
        auth: [String] = [],
        allow: [CIDR] = [],
        speaksHTTP2: Bool = false,
        hostHeaderRewrite: String? = nil,
        requestHeaders: [String: String] = [:],
        responseHeaders: [String: String] = [:],
        state: State = .online,
        open: @escaping @Sendable (_ visitor: IPEndpoint, _ loop: any EventLoop) -> EventLoopFuture<any Channel>,
        report: @escaping @Sendable (AditRequestReport) -> Void = { _ in },
        admitRequest: @escaping @Sendable (_ visitor: IPEndpoint) -> Duration? = { _ in nil },
        refused: @escaping @Sendable (_ visitor: IPEndpoint, _ reason: VisitorRefusal) -> Void = { _, _ in }
    ) {
        self.id = id
        self.tunnelName = tunnelName
        self.proxyName = proxyName ?? tunnelName
        self.deviceName = deviceName
        self.target = target
        self.auth = auth
        self.allow = allow
        self.speaksHTTP2 = speaksHTTP2
        self.hostHeaderRewrite = hostHeaderRewrite.flatMap { $0.isEmpty || !HTTPField.isValue($0) ? nil : $0 }
        self.state = state
        self.open = open
        self.report = report
        self.admitRequest = admitRequest
        self.refused = refused
        requestFields = HTTPField.settable(requestHeaders)
        responseFields = HTTPField.settable(responseHeaders)
    }
}

/// What the table says about a request.
package enum HTTPRouteLookup: Sendable {
    case found(HTTPRoute)
    /// No tunnel has the name.
    case unknownName
}

/// Finds the tunnel of a request; called on every event loop that serves visitors.
package protocol HTTPRouteTable: Sendable {
    /// The tunnel of a request.
    ///
    /// - Parameters:
    ///   - host: in lower case, without port and trailing dot, an IPv6 address without brackets; empty when an
    ///     HTTP/1.0 request names none.
    ///   - path: the path as the visitor sent it, without its query.
    ///   - user: the user of HTTP Basic authentication, if any.
    func route(host: String, path: String, user: String?) -> HTTPRouteLookup
}
