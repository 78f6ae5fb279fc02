// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// What the fuzzer and the replay of its corpus feed to the machines of this room.
enum TraversalDecoders {
    static let all = [TURNDecoders.all, ICEDecoders.all, PunchDecoders.all, PathDecoders.all].reduce(own) {
        $0.merging($1) { $1 }
    }

    private static let own: [String: @Sendable ([UInt8]) -> Void] = [
        "STUNResponder": stunResponder,
        "NATDiscovery": natDiscovery,
    ]

    /// The first byte chooses what is asked for, every further one what happens next.
    static func natDiscovery(_ bytes: [UInt8]) {
        var world = DiscoveryWorld(bytes)
        world.play()
    }

    /// The first byte chooses the socket, the transport, the family and whether there are limits.
    static func stunResponder(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let request = Array(bytes.dropFirst())
        let isV6 = first & 8 != 0
        let limits = STUNLimits(responsesPerSecond: 1000, burst: 1000, creditPerMinute: 1, capacity: 4)
        var responder = STUNResponder(
            configuration: STUNServerConfiguration(
                v4: .init(primary: .v4(1), alternate: .v4(2)),
                v6: .init(primary: .v6(high: 1, low: 1), alternate: first & 16 != 0 ? nil : .v6(high: 1, low: 2)),
                alternatePort: first & 32 != 0 ? nil : 3479,
                software: "adit",
                limits: first & 64 != 0 ? nil : limits
            ),
            seed: 1
        )
        let source = IPEndpoint(isV6 ? .v6(high: 7, low: 7) : .v4(7), 7)
        let reply = responder.respond(
            to: request.span.bytes,
            from: source,
            at: STUNServerSocket(isAlternateAddress: first & 1 != 0, isAlternatePort: first & 2 != 0),
            over: first & 4 != 0 ? .tcp : .udp,
            now: .zero
        )
        guard let reply else { return }
        guard let message = try? STUNMessage.decode(reply.bytes.span.bytes) else {
            preconditionFailure("a response is a message")
        }
        precondition(message.kind == .success || message.kind == .error, "a response is a response")
        precondition(reply.route.destination.address == source.address, "a response goes to the sender")
        precondition(message.kind == .error || message.mappedEndpoint == source, "a response says the source")
        precondition(reply.bytes.count <= STUNResponder.paddedByteLimit + 256, "a response is bounded")
        guard first & (4 | 64) == 0 else { return }
        let least = message.kind == .error ? 36 : isV6 ? 44 : 32
        precondition(reply.bytes.count <= max(request.count, least), "a response is no longer than its request")
    }
}
