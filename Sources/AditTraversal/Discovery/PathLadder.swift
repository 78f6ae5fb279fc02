// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Looks at the way to the server router by router.
///
/// For each distance a fresh socket sends requests that die there. The router's ICMP error says who it is. The request also
/// leaves a trace in every NAT and firewall that it came through: when it was meant for the server's other address, and an
/// answer from there now gets in, then all boxes that filter lie nearer. The smallest distance at which that happens tells
/// where the outermost of them is, even when the routers are silent.
struct PathLadder: Sendable {
    /// How many routers away it looks.
    static let reach = 8
    /// How many routers away it looks for boxes that filter.
    static let boxReach = 5

    private struct Rung {
        var distance: Int
        var socket: SocketID
        var router: IPAddress?
        var isSilent = false
        var hasArrived = false
        var hasReturned = false
    }

    private var rungs: [Rung] = []

    init(
        through server: ProbeServer,
        address: IPAddress,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        let other = server.otherAddressAndPort
        for distance in 1...Self.reach {
            let socket = sockets.openUDP(address)
            rungs.append(Rung(distance: distance, socket: socket))
            let looksForBox = other != nil && distance <= Self.boxReach
            if looksForBox {
                sockets.ask(.opening, .v4, on: socket, to: server.endpoint, plan: .answered, now: now)
            }
            sockets.ask(
                .shortLived(distance: distance),
                .v4,
                on: socket,
                to: other ?? server.endpoint,
                timeToLive: UInt8(distance),
                plan: .shortLived,
                now: now
            )
            guard looksForBox, let other else { continue }
            sockets.ask(
                .comesBack(distance: distance),
                .v4,
                on: socket,
                to: server.endpoint,
                answerFrom: other,
                attributes: [.changeRequest(address: true, port: other.port != server.endpoint.port)],
                plan: .filtered,
                now: now
            )
        }
    }

    /// Takes an answer from where it was to come from.
    mutating func take(_ answer: ProbeAnswer, _ sockets: inout ProbeSockets) {
        guard let index = rungs.firstIndex(where: { $0.socket == answer.request.socket }),
            answer.message.kind == .success
        else { return }
        switch answer.request.purpose {
        case .shortLived: rungs[index].hasArrived = true
        case .comesBack: rungs[index].hasReturned = true
        default: break
        }
    }

    /// Takes an ICMP error.
    mutating func refused(_ id: SocketID, _ refusal: SocketRefusal, _ sockets: inout ProbeSockets) {
        guard refusal.kind == .timeExceeded, let index = rungs.firstIndex(where: { $0.socket == id }),
            rungs[index].router == nil
        else { return }
        rungs[index].router = refusal.reporter?.unmapped
        sockets.giveUp { request in
            guard case .shortLived = request.purpose else { return false }
            return request.socket == id
        }
    }

    /// The routers, nearest first, as far as they say who they are, until the first public one.
    var hops: [NATHop] {
        let arrival = rungs.first { $0.hasArrived }?.distance ?? Self.reach + 1
        var hops: [NATHop] = []
        for rung in rungs where rung.distance < arrival {
            hops.append(NATHop(distance: rung.distance, address: rung.router))
            if let router = rung.router, AddressRealm(router) == .public { return hops }
        }
        while let last = hops.last, last.address == nil { hops.removeLast() }
        return hops
    }

    /// How many routers away the outermost box that filters is; nil when that was not seen.
    ///
    /// A request that dies at a router has come through all boxes before it, but not through that router's own.
    var outermostBox: Int? {
        guard let nearest = rungs.first(where: { $0.hasReturned })?.distance, nearest > 1 else {
            return nil
        }
        return nearest - 1
    }
}
