// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// A discovery in a world that the fuzzer plays: every byte decides what happens next to its sockets.
///
/// It must come to its end in a bounded number of steps and packets, with every socket closed, whatever happens.
struct DiscoveryWorld {
    private static let server = IPEndpoint(.v4(0xCB00_710A), 3478)
    private static let alternate = IPEndpoint(.v4(0xCB00_710B), 3479)
    private static let serverV6 = IPEndpoint(.v6(high: 0x2001_0DB8_0113_0000, low: 0x10), 3478)
    private static let stepLimit = 20_000

    private var machine: NATDiscovery
    private var bytes: ArraySlice<UInt8>
    private var now = Instant.zero
    private var opening: [(id: SocketID, kind: SocketKind)] = []
    private var open: [SocketID: IPEndpoint] = [:]
    private var connections: Set<SocketID> = []
    private var sent: [(id: SocketID, bytes: [UInt8], to: IPEndpoint)] = []
    private var requests: [SocketID] = []
    private var report: NATReport?
    private var outputCount = 0
    private var nextAccepted = SocketID.acceptedStart

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
        let choice = self.bytes.popFirst() ?? 0
        let local = IPAddress.v4(0xC0A8_0102)
        let localV6 = IPAddress.v6(high: 0x2001_0DB8_0001_0000, low: 2)
        var configuration = NATDiscovery.Configuration(
            servers: [
                .init(name: "one", endpoint: Self.server),
                .init(name: "two", endpoint: IPEndpoint(.v4(0xC000_020A), 3478)),
                .init(name: "six", endpoint: Self.serverV6),
            ],
            webChecks: [.init(endpoint: Self.server, host: "check", path: "/", status: 204)],
            webEndpoints: [IPEndpoint(.v4(0xCB00_710A), 443)],
            network: LocalNetwork(
                interfaces: [
                    LocalInterface(name: "eth0", addresses: [local, localV6], isDefault: true),
                    LocalInterface(name: "eth1", addresses: [.v4(0x0A00_0002)]),
                ],
                address: choice & 1 == 0 ? local : nil,
                addressV6: choice & 2 == 0 ? localV6 : nil
            ),
            extent: choice & 4 == 0 ? .full : choice & 8 == 0 ? .withLifetime : .quick
        )
        if choice & 16 != 0 { configuration.servers.removeAll() }
        if choice & 32 != 0 { configuration.lifetimeWaits = [.zero, .seconds(-5), .seconds(1 << 40), .seconds(3)] }
        machine = NATDiscovery(configuration, random: SeededGenerator(seed: UInt64(choice)))
    }

    private mutating func next() -> UInt8 { bytes.popFirst() ?? 0 }

    /// Plays it to the end.
    mutating func play() {
        hand(.timer)
        var steps = 0
        while !bytes.isEmpty, report == nil, steps < Self.stepLimit {
            steps += 1
            step()
        }
        // Nothing answers any more: it ends by its own clock.
        while report == nil {
            steps += 1
            precondition(steps < Self.stepLimit, "a discovery ends")
            guard let deadline = machine.nextDeadline else {
                preconditionFailure("a discovery that waits has a deadline")
            }
            now = max(now, deadline)
            hand(.timer)
        }
        precondition(machine.nextDeadline == nil, "one that has ended wants nothing")
        precondition(open.isEmpty && opening.isEmpty && requests.isEmpty, "one that has ended has no socket")
        guard let report else { return }
        precondition(report.hops.count <= 8 && report.servers.count <= 8, "a report is bounded")
        for advice in report.advice { precondition(!advice.text.english.isEmpty, "advice has words") }
        precondition(report.reach.count == NATPeer.allCases.count, "the table is whole")
    }

    private mutating func step() {
        switch next() % 12 {
        case 0, 1: openAll()
        case 2: if let (id, _) = opening.popLast() { hand(.closed(id, .denied)) }
        case 3, 4: answer(isKind: true)
        case 5: answer(isKind: false)
        case 6: pass(.milliseconds(Int(next())))
        case 7:
            if let id = someSocket() { hand(.received(id, (0..<next() % 64).map { _ in next() }, from: Self.server)) }
        case 8:
            guard let last = sent.last else { return }
            let kinds: [SocketRefusal.Kind] = [.timeExceeded, .portUnreachable, .tooBig(mtu: 0), .prohibited]
            let reporter: IPAddress? = next() & 1 == 0 ? .v4(UInt32(next()) << 24 | 1) : nil
            let refusal = SocketRefusal(kinds[Int(next()) % 4], destination: last.to, reporter: reporter)
            hand(.refused(someSocket() ?? last.id, refusal))
        case 9: stream()
        case 10:
            guard let id = requests.popLast() else { return }
            let fields = [SocketField("Location", String(repeating: "x\u{1B}", count: Int(next())))]
            hand(.response(id, SocketResponse(status: Int(next()) * 3, fields: fields, local: Self.server)))
        default:
            let address = IPAddress.v4(0xC0A8_0100 | UInt32(next() & 3))
            hand(.networkChanged(LocalNetwork(address: next() & 7 == 0 ? nil : address)))
        }
    }

    private mutating func someSocket() -> SocketID? {
        let ids = open.keys.sorted { $0.number < $1.number }
        return ids.isEmpty ? nil : ids[Int(next()) % ids.count]
    }

    private mutating func openAll() {
        let all = opening
        opening.removeAll()
        for (id, kind) in all {
            let port = UInt16(truncatingIfNeeded: 40_000 + id.number)
            switch kind {
            case .udp(let local), .listener(let local):
                let bound = IPEndpoint(local.address, local.port == 0 ? port : local.port)
                open[id] = bound
                hand(.opened(id, local: bound))
            case .tcp(let local, let remote), .tls(let local, let remote, _):
                let bound = IPEndpoint(local.address, local.port == 0 ? port : local.port)
                open[id] = bound
                connections.insert(id)
                hand(.connected(id, local: bound, remote: remote))
            }
        }
    }

    /// Answers one of the last requests, rightly or not.
    private mutating func answer(isKind: Bool) {
        guard !sent.isEmpty else { return }
        let index = sent.count - 1 - Int(next()) % min(sent.count, 64)
        let (id, request, to) = sent[index]
        guard let message = try? STUNMessage.decode(request.span.bytes), let local = open[id] else { return }
        let choice = next()
        var external = IPEndpoint(.v4(0xC633_6402), local.port)
        if choice & 1 != 0 { external.port = UInt16(truncatingIfNeeded: 20_000 + index) }
        if choice & 2 != 0 { external.address = .v4(UInt32(next()) << 24 | 7) }
        if case .v6 = local.address { external.address = choice & 4 == 0 ? local.address : .v6(high: 0, low: 1) }
        var response = STUNMessage(.success, transactionID: message.transactionID)
        response.attributes = [.xorMappedAddress(external)]
        if choice & 8 == 0 { response.attributes.append(.otherAddress(Self.alternate)) }
        if choice & 16 != 0 { response.attributes.append(.alternatePort(UInt16(next()))) }
        if choice & 32 != 0, !isKind { response = STUNMessage(.error, transactionID: message.transactionID) }
        var from = to
        if message.attributes.contains(where: { $0.type == STUNAttributeType.changeRequest }) {
            from = choice & 64 == 0 ? Self.alternate : IPEndpoint(to.address, Self.alternate.port)
        }
        if !isKind { from.port &+= UInt16(next()) }
        var answer: [UInt8] = []
        response.encode(into: &answer)
        hand(.received(id, answer, from: from))
    }

    private mutating func stream() {
        guard let id = someSocket() else { return }
        switch next() % 4 {
        case 0: hand(.bytes(id, (0..<next()).map { _ in next() }))
        case 1:
            open[id] = nil
            hand(.closed(id, [.reset, .refused, .timedOut, .unreachable][Int(next()) % 4]))
        case 2: if connections.contains(id) { hand(.closed(id, .finished)) }
        default:
            let accepted = SocketID(nextAccepted)
            nextAccepted += 1
            open[accepted] = Self.server
            connections.insert(accepted)
            hand(.accepted(accepted, by: id, local: Self.server, remote: Self.alternate))
        }
    }

    private mutating func pass(_ duration: Duration) {
        let end = now + duration
        var steps = 0
        while let deadline = machine.nextDeadline, deadline <= end {
            steps += 1
            precondition(steps < Self.stepLimit, "time passes")
            now = max(now, deadline)
            hand(.timer)
        }
        now = end
    }

    private mutating func hand(_ input: SocketInput) {
        machine.handle(input, at: now)
        while let output = machine.nextOutput() {
            outputCount += 1
            precondition(outputCount < 200_000, "outputs are bounded")
            switch output {
            case .open(let id, let kind):
                precondition(open[id] == nil && id.number < SocketID.acceptedStart, "an id is used once")
                opening.append((id, kind))
            case .send(let id, let bytes, let to, _):
                precondition(open[id] != nil, "only an open socket sends")
                sent.append((id, bytes, to))
                if sent.count > 256 { sent.removeFirst(128) }
            case .write(let id, let bytes):
                precondition(open[id] != nil, "only an open connection is written to")
                sent.append((id, bytes, Self.server))
            case .close(let id, _):
                let wasRequest = requests.contains(id)
                requests.removeAll { $0 == id }
                let wasOpening = opening.contains { $0.id == id }
                opening.removeAll { $0.id == id }
                precondition(
                    open.removeValue(forKey: id) != nil || wasOpening || wasRequest,
                    "only what is there is closed"
                )
            case .sendBatch, .offer, .offerBatch: preconditionFailure("what looks at a NAT sends no payload")
            case .request(let id, _): requests.append(id)
            case .event(.finished(let report)):
                precondition(self.report == nil, "there is one end")
                self.report = report
            case .event: break
            }
        }
    }
}
