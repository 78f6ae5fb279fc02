// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import NIOConcurrencyHelpers
package import NIOCore
package import NIOPosix

/// Opens connections to one server, wherever it is at the moment.
///
/// The name is resolved before every try. All its addresses are tried with staggered starts, IPv6 and IPv4 in turn
/// (RFC 8305), and the first that answers wins. When the name does not resolve, the address that worked last is tried.
package final class Dialer: Sendable {
    /// What is dialled.
    package let target: HostPort
    private let timeout: TimeAmount
    private let resolver: (any Resolver & Sendable)?
    private let lastGood = NIOLockedValueBox<SocketAddress?>(nil)

    /// Makes a dialer.
    ///
    /// - Parameters:
    ///   - timeout: for one try with all its addresses.
    ///   - resolver: finds the addresses of the name; nil for the operating system's resolver.
    package init(target: HostPort, timeout: Duration = .seconds(10), resolver: (any Resolver & Sendable)? = nil) {
        self.target = target
        self.resolver = resolver
        self.timeout = .nanoseconds(timeout.wholeNanoseconds)
    }

    /// Opens a connection on an event loop.
    ///
    /// - Throws: in the future, `DialFailure` with what became of each address.
    package func connect(
        on eventLoop: any EventLoop,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let makeBootstrap = { @Sendable [timeout, resolver] in
            ClientBootstrap(group: eventLoop)
                .connectTimeout(timeout)
                .resolver(resolver)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer(initializer)
        }
        return makeBootstrap().connect(host: target.host, port: Int(target.port))
            .flatMapErrorWithEventLoop { [target, lastGood] error, eventLoop in
                let failure = DialFailure(error, target: target)
                guard failure.attempts.isEmpty, let address = lastGood.withLockedValue({ $0 }),
                    let endpoint = IPEndpoint(address)
                else { return eventLoop.makeFailedFuture(failure) }
                return makeBootstrap().connect(to: address).flatMapErrorThrowing { error in
                    throw DialFailure(target: target, address: endpoint, error, nameError: failure.nameError)
                }
            }
            .map { [lastGood] channel in
                lastGood.withLockedValue { $0 = channel.remoteAddress }
                return channel
            }
    }
}
