// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTraversal

/// Puts what came on a real socket before a ``STUNResponder``, and says from which address of this machine the answer
/// goes.
///
/// A socket that is bound to every address takes messages at addresses of which nothing was known before. Such an address
/// is announced as itself, and has no other.
struct STUNDesk: Sendable {
    /// Where a response goes, and from where.
    struct Route: Sendable, Equatable {
        /// To whom.
        var destination: IPEndpoint
        /// The address of this machine that it leaves from.
        var own: IPAddress
        /// Whether it leaves from the second port.
        var isAlternatePort: Bool
    }

    private let addresses: STUNAddresses
    private var responder: STUNResponder

    init(_ addresses: STUNAddresses, _ configuration: STUNServerConfiguration, seed: UInt64) {
        self.addresses = addresses
        responder = STUNResponder(configuration: configuration, seed: seed)
    }

    /// What was done so far.
    var counters: STUNCounters { responder.counters }

    /// Writes the response to a message in place of what `reply` holds; nil when there is none.
    ///
    /// - Parameters:
    ///   - own: the address of this machine that the message came to.
    ///   - isAlternatePort: whether it came to the second port.
    mutating func respond(
        to bytes: RawSpan,
        from source: IPEndpoint,
        at own: IPAddress,
        isAlternatePort: Bool,
        over transport: STUNTransport,
        now: Instant,
        into reply: inout [UInt8]
    ) -> Route? {
        let pair = addresses.pair(of: own)
        announce(pair?.announced ?? STUNServerConfiguration.Addresses(primary: own), like: own)
        let socket = STUNServerSocket(
            isAlternateAddress: pair.map { $0.alternate?.own == own } ?? false,
            isAlternatePort: isAlternatePort
        )
        let route = responder.respond(to: bytes, from: source, at: socket, over: transport, now: now, into: &reply)
        guard let route else { return nil }
        let leaving = route.socket.isAlternateAddress ? pair?.alternate?.own : pair?.primary.own
        return Route(
            destination: route.destination,
            own: leaving ?? own,
            isAlternatePort: route.socket.isAlternatePort
        )
    }

    /// The second address of this machine in the pair that `own` belongs to; nil when there is none.
    func address(besides own: IPAddress) -> IPAddress? {
        guard let pair = addresses.pair(of: own), let alternate = pair.alternate?.own else { return nil }
        return own == alternate ? pair.primary.own : alternate
    }

    private mutating func announce(_ announced: STUNServerConfiguration.Addresses, like own: IPAddress) {
        guard responder.configuration.addresses(like: own) != announced else { return }
        if own.isIPv4 { responder.configuration.v4 = announced } else { responder.configuration.v6 = announced }
    }
}
