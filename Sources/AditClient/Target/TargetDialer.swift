// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
package import NIOCore
import NIOPosix
import NIOSSL

/// Why a target could not be reached.
package enum TargetFailure: Error, Sendable, Equatable {
    /// The rules forbid it.
    case forbidden(AditError)
    /// The name has no address, with the system's words.
    case unresolved(String)
    /// Every address refused the connection: nothing listens.
    case refused
    /// No address answered in time.
    case timedOut
    /// TLS to the target failed, with words for the log.
    case tls(String)
    /// Another failure, with the system's words.
    case other(String)
}

/// Opens connections to targets, judging every address before a packet is sent to it.
package struct TargetDialer: Sendable {
    private let timeout: TimeAmount
    private let secureLoopback: NIOSSLContext?
    private let secure: NIOSSLContext?

    /// Makes a dialer; `timeout` is for each address and for the handshake of an https target.
    package init(timeout: TimeAmount = .seconds(10)) {
        self.timeout = timeout
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        secure = try? NIOSSLContext(configuration: configuration)
        // A development server's certificate is made by itself, and the bytes do not leave this machine.
        configuration.certificateVerification = .none
        secureLoopback = try? NIOSSLContext(configuration: configuration)
    }

    /// Connects to the target; the channel holds an `EarlyDataHandler` and carries what the target speaks in clear.
    ///
    /// The future fails with a `TargetFailure`.
    package func connect(
        _ target: TunnelTarget,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        open(target, allowed: allowed, on: loop, isSecure: target.scheme == .https) { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(EarlyDataHandler()) }
        }
    }

    /// Connects with or without TLS and with handlers of the caller's.
    func open(
        _ target: TunnelTarget,
        allowed: Set<String>,
        on loop: any EventLoop,
        isSecure: Bool,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        guard let literal = Self.literalAddresses(of: target) else {
            return permittedAddresses(of: target, allowed: allowed, on: loop).flatMap { addresses in
                attempt(addresses[...], target, isSecure, on: loop, last: .unresolved(target.host), initializer)
            }
        }
        do throws(TargetFailure) {
            let addresses = try Self.permitted(literal, of: target, allowed: allowed)
            return attempt(addresses[...], target, isSecure, on: loop, last: .unresolved(target.host), initializer)
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    /// The addresses of the target to which a tunnel may lead; fails with a `TargetFailure`.
    func permittedAddresses(
        of target: TunnelTarget,
        allowed: Set<String>,
        on loop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        let found: EventLoopFuture<[SocketAddress]>
        if let literal = Self.literalAddresses(of: target) {
            found = loop.makeSucceededFuture(literal)
        } else {
            found = NameLookup.addresses(of: target.host, port: target.port, on: loop).flatMapErrorThrowing { error in
                throw TargetFailure.unresolved(String(describing: error))
            }
        }
        return found.flatMapThrowing { try Self.permitted($0, of: target, allowed: allowed) }
    }

    private static func permitted(
        _ addresses: [SocketAddress],
        of target: TunnelTarget,
        allowed: Set<String>
    ) throws(TargetFailure) -> [SocketAddress] {
        var permitted: [SocketAddress] = []
        var refusal: AditError?
        for address in addresses {
            guard let plain = IPEndpoint(address)?.address else { continue }
            if let error = TargetRules.refusal(of: plain, target: target, isAllowed: allowed.contains(target.host)) {
                refusal = error
            } else {
                permitted.append(address)
            }
        }
        if let refusal, permitted.isEmpty { throw .forbidden(refusal) }
        return permitted
    }

    private func attempt(
        _ addresses: ArraySlice<SocketAddress>,
        _ target: TunnelTarget,
        _ isSecure: Bool,
        on loop: any EventLoop,
        last: TargetFailure,
        _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        guard let address = addresses.first else { return loop.makeFailedFuture(last) }
        return connect(address, target, isSecure, on: loop, initializer).flatMapError { error in
            let telling = Self.moreTelling(last, Self.failure(error))
            return attempt(addresses.dropFirst(), target, isSecure, on: loop, last: telling, initializer)
        }
    }

    private func connect(
        _ address: SocketAddress,
        _ target: TunnelTarget,
        _ isSecure: Bool,
        on loop: any EventLoop,
        _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let context = target.isLoopback ? secureLoopback : secure
        return ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                RelaySocket.prepare(channel)
                try? channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
                guard isSecure else { return initializer(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    guard let context else { throw TargetFailure.tls("this system offers no TLS") }
                    let name = IPAddress(target.host) == nil ? target.host : nil
                    let handler = try NIOSSLClientHandler(context: context, serverHostname: name)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }.flatMap { initializer(channel) }
            }
            .connect(to: address)
            .map { $0 as any Channel }
    }

    /// The addresses of a target that need no resolver; nil for a name.
    private static func literalAddresses(of target: TunnelTarget) -> [SocketAddress]? {
        let port = Int(target.port)
        if target.host == "localhost" || target.host.hasSuffix(".localhost") {
            return try? ["127.0.0.1", "::1"].map { try SocketAddress(ipAddress: $0, port: port) }
        }
        return (try? SocketAddress(ipAddress: target.host, port: port)).map { [$0] }
    }

    /// Which of two addresses' failures says more of the target: one that did not answer, then one that refused. That this machine
    /// has nothing of a family says the least. The later one where both say as much.
    static func moreTelling(_ first: TargetFailure, _ second: TargetFailure) -> TargetFailure {
        func weight(_ failure: TargetFailure) -> Int {
            switch failure {
            case .unresolved: 0
            case .other: 1
            case .forbidden, .refused, .tls: 2
            case .timedOut: 3
            }
        }
        return weight(first) > weight(second) ? first : second
    }

    static func failure(_ error: any Error) -> TargetFailure {
        if let failure = error as? TargetFailure { return failure }
        if let error = error as? ChannelError, case .connectTimeout = error { return .timedOut }
        if let error = error as? IOError {
            switch error.errnoCode {
            case ECONNREFUSED: return .refused
            case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH: return .timedOut
            default: return .other(error.description)
            }
        }
        if error is NIOSSLError || error is BoringSSLError { return .tls(String(describing: error)) }
        return .other(String(describing: error))
    }
}
