// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// Answers STUN Binding requests (RFC 8489 section 6, RFC 5780 section 6, RFC 3489 for clients without the magic cookie).
///
/// It works on the bytes: a plain request is answered without making a `STUNMessage`. Over UDP, where a source can be
/// forged, a response holds what it must (the mapped address, or the error) and beyond that only as much as the request was
/// long, or as the source has on credit (`STUNLimits`). So nobody can make a flood larger by way of this server, and
/// clients of RFC 5780, whose requests are short, still get their answers.
package struct STUNResponder: Sendable {
    /// The longest response with PADDING, in bytes: enough to be cut into fragments.
    package static let paddedByteLimit = 2048

    /// What is announced and allowed; of what is changed later, addresses and ports alone count.
    package var configuration: STUNServerConfiguration
    /// What was done so far.
    package private(set) var counters = STUNCounters()

    private let software: [UInt8]
    private var limiter: STUNSourceLimiter?

    /// Makes a server.
    ///
    /// - Parameter seed: a random number that others do not know.
    package init(configuration: STUNServerConfiguration, seed: UInt64) {
        self.configuration = configuration
        software = Array((configuration.software ?? "").utf8.prefix(128))
        limiter = configuration.limits.map { STUNSourceLimiter($0, seed: seed) }
    }

    /// The response to a message; nil when there is none.
    package mutating func respond(
        to bytes: RawSpan,
        from source: IPEndpoint,
        at socket: STUNServerSocket,
        over transport: STUNTransport,
        now: Instant
    ) -> STUNReply? {
        var reply: [UInt8] = []
        let route = respond(to: bytes, from: source, at: socket, over: transport, now: now, into: &reply)
        return route.map { STUNReply(bytes: reply, route: $0) }
    }

    /// Writes the response to a message in place of what `reply` holds; nil when there is none.
    ///
    /// - Parameters:
    ///   - source: who sent it. An IPv4-mapped address is announced as the IPv4 address.
    ///   - socket: which of the server's sockets got it.
    package mutating func respond(
        to bytes: RawSpan,
        from source: IPEndpoint,
        at socket: STUNServerSocket,
        over transport: STUNTransport,
        now: Instant,
        into reply: inout [UInt8]
    ) -> STUNReplyRoute? {
        reply.removeAll(keepingCapacity: true)
        counters.received += 1
        // Nobody can be answered at port 0 (RFC 768).
        guard source.port != 0 || transport != .udp else {
            counters.malformed += 1
            return nil
        }
        let header: STUNRequest.Header
        switch STUNRequest.Header.read(bytes) {
        case .malformed:
            counters.malformed += 1
            return nil
        case .other:
            counters.ignored += 1
            return nil
        case .bindingRequest(let found): header = found
        }
        var place: Int?
        let budget = transport == .udp && limiter != nil ? bytes.byteCount : Int.max
        var credit = 0
        if limiter != nil {
            guard let share = limiter?.admit(source.address, at: now) else {
                counters.limited += 1
                return nil
            }
            place = share.place
            if transport == .udp { credit = share.credit }
        }
        guard let request = try? STUNRequest(bytes, header: header) else {
            counters.malformed += 1
            return nil
        }
        var answer = STUNAnswer(request, from: source, at: socket, over: transport, to: configuration)
        answer.write(
            into: &reply,
            budget: budget,
            credit: credit,
            requestByteCount: bytes.byteCount,
            software: software
        )
        if answer.error == nil { counters.answered += 1 } else { counters.refused += 1 }
        if let place, transport == .udp, reply.count > bytes.byteCount {
            limiter?.charge(reply.count - bytes.byteCount, to: place, at: now)
        }
        return answer.route
    }
}
