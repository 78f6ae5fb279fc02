// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// What the fuzzer and the replay of its corpus feed to the search for paths.
enum PathDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "PathSignal": signal,
        "PathFinder": finder,
    ]

    static func signal(_ bytes: [UInt8]) {
        guard let signal = try? PathSignal.decode(bytes.span.bytes) else { return }
        let again = signal.bytes
        precondition(again.count <= PathSignal.byteLimit, "a signal stays within its limit")
        guard let read = try? PathSignal.decode(again.span.bytes) else { preconditionFailure("own signals are read") }
        precondition(read == signal, "a signal is read as it was written")
    }

    static func finder(_ bytes: [UInt8]) {
        var world = PathFuzzWorld(bytes)
        world.play()
    }
}

/// A finder whose surroundings the fuzzer plays: signals with any content, packets to any socket, ends of sockets, time.
struct PathFuzzWorld {
    private static let peer = PathPeerID(name: "peer", key: "SHA256:m")
    private static let server = IPEndpoint(.v4(0xCB00_710A), 3478)
    private static let stranger = IPEndpoint(.v4(0x0808_0808), 8000)
    private static let outputLimit = 60_000

    private var bytes: ArraySlice<UInt8>
    private var now = Instant.zero
    private var finder: PathFinder
    private var sockets: [SocketID] = []
    private var sent: [(id: SocketID, bytes: [UInt8], to: IPEndpoint)] = []
    private var nextAccepted = SocketID.acceptedStart
    private var outputCount = 0
    private var toStranger = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
        let choice = self.bytes.popFirst() ?? 0
        var configuration = PathConfiguration(
            ownID: PathPeerID(name: "own", key: choice & 1 == 0 ? "SHA256:a" : "SHA256:z"),
            policy: PathPolicy.allCases[Int(choice >> 1 & 3) % 3],
            server: PathServer(
                stun: [Self.server],
                stunTCP: [Self.server],
                turn: [TURNClientConfiguration(server: Self.server, username: "u", password: "p")]
            )
        )
        configuration.network.address = .v4(0xC0A8_0102)
        configuration.isQuiet = choice & 8 != 0
        finder = PathFinder(configuration, random: SeededGenerator(seed: UInt64(choice)))
        if choice & 16 == 0 { finder.connect(Self.peer, at: now) }
    }

    mutating func play() {
        perform()
        while let step = bytes.popFirst(), outputCount < Self.outputLimit {
            switch step & 7 {
            case 0, 1: signal()
            case 2:
                guard let socket = chosenSocket() else { break }
                let packets = take(64)
                if step & 8 == 0 || packets.isEmpty {
                    finder.handle(.received(socket, packets, from: endpoint()), at: now)
                } else {
                    let size = 1 + Int(step >> 4)
                    finder.handle(
                        .receivedBatch(socket, PacketBatch(bytes: packets, segmentSize: size), from: endpoint()),
                        at: now
                    )
                }
            case 3:
                guard let socket = chosenSocket(), let packet = sent.popLast() else { break }
                // What was sent comes back from where it went, or from elsewhere.
                finder.handle(.received(socket, packet.bytes, from: step & 8 == 0 ? packet.to : endpoint()), at: now)
            case 4:
                guard let socket = chosenSocket() else { break }
                finder.handle(.closed(socket, step & 8 == 0 ? .refused : .finished), at: now)
            case 5:
                now = now + .milliseconds(Int64(bytes.popFirst() ?? 0) * (step & 8 == 0 ? 1 : 100))
                finder.handle(.timer, at: now)
            case 6:
                guard let socket = chosenSocket() else { break }
                let accepted = SocketID(nextAccepted)
                nextAccepted += 1
                sockets.append(accepted)
                finder.handle(
                    .accepted(accepted, by: socket, local: endpoint(), remote: endpoint()),
                    at: now
                )
                finder.handle(.bytes(accepted, take(32)), at: now)
            default:
                if step & 8 == 0 {
                    _ = finder.send(PacketBatch(bytes: [1, 2, 3], segmentSize: 2), to: Self.peer, at: now)
                } else {
                    finder.disconnect(Self.peer, at: now)
                }
            }
            perform()
        }
        for _ in 0..<200 where outputCount < Self.outputLimit {
            guard let deadline = finder.nextDeadline else { break }
            now = max(now, deadline)
            finder.handle(.timer, at: now)
            perform()
        }
        // A peer's word aims few packets: 25 checks of the agent, openers and connections.
        precondition(toStranger <= 400, "nothing is aimed at a stranger")
    }

    private mutating func signal() {
        let count = Int(bytes.popFirst() ?? 0) * 4
        guard var signal = try? PathSignal.decode(take(count).span.bytes) else { return }
        if case .description(var description) = signal.content, !description.candidates.isEmpty,
            signal.revision & 1 == 0
        {
            description.candidates[0].endpoint = Self.stranger
            signal.content = .description(description)
        }
        finder.receive(signal, from: Self.peer, at: now)
    }

    private mutating func take(_ count: Int) -> [UInt8] {
        let part = Array(bytes.prefix(count))
        bytes = bytes.dropFirst(count)
        return part
    }

    private mutating func endpoint() -> IPEndpoint {
        switch (bytes.popFirst() ?? 0) & 3 {
        case 0: Self.server
        case 1: Self.stranger
        default: IPEndpoint(.v4(0xC000_0202), 4000)
        }
    }

    private mutating func chosenSocket() -> SocketID? {
        let number = Int(bytes.popFirst() ?? 0)
        return sockets.isEmpty ? nil : sockets[number % sockets.count]
    }

    private mutating func perform() {
        while let output = finder.nextOutput(), outputCount < Self.outputLimit {
            outputCount += 1
            switch output {
            case .open(let id, let kind):
                if sockets.count < 512 { sockets.append(id) }
                switch kind {
                case .udp(let local), .listener(let local):
                    finder.handle(
                        .opened(id, local: IPEndpoint(local.address, 1024 + UInt16(id.number % 60_000))),
                        at: now
                    )
                case .tcp(_, let remote), .tls(_, let remote, _):
                    if remote == Self.stranger { toStranger += 1 }
                    if remote != Self.server { finder.handle(.closed(id, .refused), at: now) }
                }
            case .send(let id, let bytes, let to, _):
                if to.address == Self.stranger.address { toStranger += 1 }
                if sent.count < 64 { sent.append((id, bytes, to)) }
            case .sendBatch(_, let batch, _), .offerBatch(_, let batch):
                precondition(batch.count <= PacketBatch.countLimit, "a batch has limits")
            case .write, .offer, .close, .request, .event: break
            }
        }
    }
}
