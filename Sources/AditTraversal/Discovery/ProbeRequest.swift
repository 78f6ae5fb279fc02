// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// The two families of addresses.
enum AddressFamily: UInt8, Sendable, Hashable, CaseIterable {
    case v4
    case v6

    init(_ address: IPAddress) {
        self =
            switch address {
            case .v4: .v4
            case .v6: .v6
            }
    }
}

/// The two questions about filtering (RFC 5780 section 4.4).
enum FilteringTest: UInt8, Sendable, Hashable, CaseIterable {
    /// Does an answer from another address arrive? The endpoint-independent filter lets it in.
    case address
    /// Does an answer from another port of the same address arrive? The address-dependent filter lets it in.
    case port
}

/// What a Binding request is to find out.
enum ProbePurpose: Sendable, Hashable {
    /// Whether a server answers, and what it offers; the number of the server.
    case server(Int)
    /// As what a target sees one of the sockets of a burst.
    case mapping(target: Int)
    /// Opens the way for the answers to a filtering test.
    case opening
    /// Whether the answer to a CHANGE-REQUEST arrives at a socket that has spoken to nobody else.
    case filtering(FilteringTest)
    /// Whether it arrives where nothing filters it, at a socket that has spoken to every target.
    case control(FilteringTest)
    /// A request that dies on the way, and leaves its trace in the routers before that.
    case shortLived(distance: Int)
    /// Whether an answer comes in through the trace of the short-lived one.
    case comesBack(distance: Int)
    /// As what the first socket of the hairpin test, or the second, is seen.
    case hairpin(Int)
    /// Whether a server answers through a further interface.
    case interface(Int)
    /// Whether a server still sees the same external endpoint at the end.
    case recheck(Int)
    /// Opens a mapping whose life is measured.
    case lifetime(Int)
    /// Makes the server write to a mapping that has been silent.
    case revival(Int)
    /// Keeps a mapping in use, to see whether it ends nevertheless.
    case aging
}

/// How often a request is sent, and for how long its answer is awaited.
struct RetryPlan: Sendable {
    var tries: Int
    var interval: Duration
    /// How long to wait after the last try.
    var patience: Duration = .milliseconds(500)

    /// Until a server answers for the first time.
    static let search = RetryPlan(
        tries: 12,
        interval: .milliseconds(150),
        patience: .milliseconds(250)
    )
    /// For what is answered through every NAT.
    static let answered = RetryPlan(tries: 9, interval: .milliseconds(140))
    /// For what a filter may keep away: with a tenth of the packets lost in each direction, 1 - (1 - 0.81)^10 still arrive
    /// in at least one of the tries, so that less than one test in ten million is misread.
    static let filtered = RetryPlan(tries: 10, interval: .milliseconds(110))
    /// For packets that are to die on the way.
    static let shortLived = RetryPlan(
        tries: 4,
        interval: .milliseconds(160),
        patience: .milliseconds(300)
    )
}

/// A Binding request, sent until it is answered or given up.
struct ProbeRequest: Sendable {
    var family: AddressFamily
    var purpose: ProbePurpose
    /// The socket that sends it.
    var socket: SocketID
    /// The socket at which the answer arrives: the same but for RESPONSE-PORT.
    var listener: SocketID
    var destination: IPEndpoint
    /// From whom the answer is to come.
    var source: IPEndpoint
    var bytes: [UInt8]
    var timeToLive: UInt8?
    var plan: RetryPlan
    /// Its place in the order in which requests were first sent.
    var order = 0
    var tries = 0
    var firstSent: Instant?
    /// When it is sent again or given up; nil while its socket is not open.
    var next: Instant?
}

/// The answer to a `ProbeRequest`.
struct ProbeAnswer: Sendable {
    var request: ProbeRequest
    var message: STUNMessage
    var from: IPEndpoint
    /// Where the socket that sent the request is bound.
    var local: IPEndpoint
    /// From the first try to the answer.
    var roundTrip: Duration
    /// Whether it came from where it was to come from.
    var isFromSource: Bool { from == request.source }
}
