// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOCore

/// Takes visitors' TLS connections and decides by server name where they go.
///
/// A name of a tls tunnel is led to its device byte for byte: the server has no key for it. A name that one of the
/// server's certificates covers ends here and goes on through the reverse proxy. For every other name there is an alert.
final class SecureEntrance: Sendable {
    /// What is spoken inside TLS that ends here, the preferred one first (RFC 7301).
    static let protocols = ["h2", "http/1.1"]
    /// How many connections without a finished handshake there may be, together and from one address.
    private static let strangers = (total: 4096, fromOneAddress: 512)

    private let table: TunnelTable
    private let certificates: CertificateStore
    private let listeners: TunnelListeners
    private let names: HTTPFrontEnd
    private let servesPlain: Bool
    private let ownHosts: Set<String>
    private let patience: TimeAmount
    private let gate: AcceptGate
    private let log: Logger

    /// Makes an entrance.
    ///
    /// - Parameters:
    ///   - servesPlain: whether requests without TLS are served as well, because both share a port.
    ///   - ownHosts: the names of this machine, by which sessions come to a port that they share with visitors.
    ///   - patience: how long a client may take to say what it wants, and then for its handshake.
    init(
        table: TunnelTable,
        certificates: CertificateStore,
        listeners: TunnelListeners,
        names: HTTPFrontEnd,
        servesPlain: Bool,
        ownHosts: Set<String>,
        patience: TimeAmount,
        log: Logger
    ) {
        self.table = table
        self.certificates = certificates
        self.listeners = listeners
        self.names = names
        self.servesPlain = servesPlain
        self.ownHosts = ownHosts
        self.patience = patience
        self.log = log
        gate = AcceptGate(maximumTotal: Self.strangers.total, maximumPerAddress: Self.strangers.fromOneAddress)
    }

    /// Prepares an accepted connection; to be called as the child channel initializer of the listening socket.
    func initialize(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            guard let stranger = Stranger(channel, gate) else { return channel.close(promise: nil) }
            let reader = ClientHelloHandler(patience: patience) { found, handler in
                switch found {
                case .success(let hello): self.serve(hello, channel, behind: handler, stranger)
                case .failure(.notHandshake(offset: 0)): self.servePlain(channel, stranger)
                case .failure(let fault): self.refuse(channel, .decodeError, fault.description)
                }
            }
            try channel.pipeline.syncOperations.addHandler(reader)
        }
    }

    // MARK: A port shared with sessions

    /// What the acceptor of sessions needs to leave visitors to this entrance.
    var visitors: TLSVisitors {
        TLSVisitors { hello in
            self.claims(hello)
        } serve: { hello, channel, handler in
            guard let stranger = Stranger(channel, self.gate) else { return .drop }
            return self.serve(hello, channel, behind: handler, stranger)
        }
    }

    /// Whether a connection is a visitor's: it asks for a name that somebody has, or it offers to speak HTTP.
    private func claims(_ hello: ClientHello) -> Bool {
        if hello.protocols.contains(where: { $0 == "h2" || $0.hasPrefix("http/") }) { return true }
        guard case .name(let host) = Self.name(hello.serverName), !ownHosts.contains(host.text) else { return false }
        return table.tlsRoute(host).isKnown
    }

    // MARK: Where a connection goes

    private enum ServerName {
        case none
        case name(HostName)
        case invalid
    }

    /// The name in the spelling of routes. An address is no name (RFC 6066 section 3) and counts as none.
    private static func name(_ text: String?) -> ServerName {
        guard let text, IPAddress(text) == nil else { return .none }
        guard
            !text.utf8.contains(where: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "[") }
            ),
            let host = HostName(text)
        else { return .invalid }
        return .name(host)
    }

    private func serve(
        _ hello: ClientHello,
        _ channel: any Channel,
        behind handler: ClientHelloHandler,
        _ stranger: Stranger
    ) -> ClientHelloHandler.Decision {
        do {
            switch Self.name(hello.serverName) {
            case .invalid: return refuse(channel, .unrecognizedName, "the server name is not valid")
            case .none:
                guard let certificate = certificates.standard else {
                    return refuse(channel, .unrecognizedName, "no server name")
                }
                return try end(channel, certificate, behind: handler, stranger) { [certificates] host in
                    IPAddress(host) != nil || HostName(host).map { certificates.certificate(for: $0) != nil } ?? false
                }
            case .name(let host):
                let route = table.tlsRoute(host)
                let certificate = certificates.certificate(for: host)
                if let tunnel = route.tunnel, route.isExact || !route.hasExactWebName || certificate == nil {
                    return try pass(channel, to: tunnel, behind: handler, stranger)
                }
                guard let certificate else {
                    return refuse(channel, .unrecognizedName, "nothing is served as \(host)")
                }
                return try end(channel, certificate, behind: handler, stranger) { $0 == host.text }
            }
        } catch {
            return refuse(channel, .internalError, "\(error)")
        }
    }

    /// Leads the connection to the device as it is.
    private func pass(
        _ channel: any Channel,
        to tunnel: OpenTunnel,
        behind handler: ClientHelloHandler,
        _ stranger: Stranger
    ) throws -> ClientHelloHandler.Decision {
        try channel.pipeline.syncOperations.addHandler(EarlyDataHandler(), position: .after(handler))
        stranger.leave()
        listeners.carry(channel, tunnel)
        return .serve
    }

    /// Ends TLS here and leaves the rest to the reverse proxy.
    private func end(
        _ channel: any Channel,
        _ certificate: VisitorCertificate,
        behind handler: ClientHelloHandler,
        _ stranger: Stranger,
        mayName: @escaping @Sendable (String) -> Bool
    ) throws -> ClientHelloHandler.Decision {
        let handshake = HandshakeHandler(patience: patience) { [names] negotiated, channel in
            stranger.leave()
            if negotiated == "h2" { return names.initializeHTTP2(channel, mayName: mayName) }
            return names.initialize(channel, visitor: nil, isSecure: true, mayName: mayName)
        }
        try channel.pipeline.syncOperations.addHandlers(
            certificate.makeHandlers() + [handshake],
            position: .after(handler)
        )
        return .serve
    }

    /// Serves a request without TLS where both share a port; elsewhere the reverse proxy would hide the mistake.
    private func servePlain(_ channel: any Channel, _ stranger: Stranger) -> ClientHelloHandler.Decision {
        guard servesPlain else { return .drop }
        stranger.leave()
        names.initialize(channel).whenFailure { _ in channel.close(promise: nil) }
        return .serve
    }

    private func refuse(_ channel: any Channel, _ alert: TLSAlert, _ reason: String) -> ClientHelloHandler.Decision {
        log.debug(
            "a TLS visitor was refused: \(LineLogHandler.printable(reason))",
            metadata: ["remote": "\(channel.remoteEndpoint.map(\.description) ?? "-")"]
        )
        return .refuse(alert)
    }
}

/// A connection that has not proved to be worth anything yet, counted until it has or is gone; lives on its event loop.
private final class Stranger {
    private let gate: AcceptGate
    private let address: IPAddress?
    private var isCounted = true

    /// Counts a connection in; nil when there are too many.
    init?(_ channel: any Channel, _ gate: AcceptGate) {
        self.gate = gate
        address = channel.remoteEndpoint?.address
        guard gate.enter(address) else { return nil }
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in leave() }
    }

    func leave() {
        guard isCounted else { return }
        isCounted = false
        gate.leave(address)
    }
}
