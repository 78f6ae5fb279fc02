// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// A machine whose outputs the test chooses; it reports every input.
private struct Puppet: SocketMachine {
    enum Event: Sendable, Equatable {
        case saw(SocketInput)
    }

    var outputs: [SocketOutput<Event>]
    var deadlines: [Instant] = []

    init(_ outputs: [SocketOutput<Event>]) {
        self.outputs = outputs
    }

    mutating func handle(_ input: SocketInput, at now: Instant) {
        if input == .timer { deadlines.removeAll { $0 <= now } }
        outputs.append(.event(.saw(input)))
    }

    mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    var nextDeadline: Instant? { deadlines.min() }
}

/// Machines on simulated hosts.
@Suite struct MachineTests {
    private let udp = SocketID(1)
    private let any = endpoint("0.0.0.0:0")

    private func play(
        _ outputs: [SocketOutput<Puppet.Event>],
        prepare: (Lab, LabHost, LabHost) throws -> Void = { _, _, _ in },
        check: (Lab, LabMachine<Puppet>, [SocketInput]) throws -> Void
    ) throws {
        try Lab.play(seed: 1) { lab in
            let link = lab.link(latency: .milliseconds(1))
            let host = lab.host("host")
            let peer = lab.host("peer")
            host.attach(to: link, "10.0.0.1/24")
            peer.attach(to: link, "10.0.0.2/24")
            try prepare(lab, host, peer)
            let inputs = Box<[SocketInput]>([])
            let runner = host.run(Puppet(outputs)) { event in
                if case .saw(let input) = event { inputs.value.append(input) }
            }
            try lab.run(for: .seconds(5))
            try check(lab, runner, inputs.value)
        }
    }

    @Test func aSocketIsOpenedWithAPortAndReceives() throws {
        try play([.open(udp, .udp(local: any)), .send(udp, [1], to: endpoint("10.0.0.2:9"), timeToLive: nil)]) {
            _,
            _,
            peer in
            let echo = try #require(peer.openUDP(port: 9))
            echo.onDatagram = { [unowned echo] bytes, sender in echo.send(bytes + [2], to: sender) }
        } check: { _, _, inputs in
            try #require(inputs.count == 2)
            guard case .opened(udp, let local) = inputs[0] else { return #expect(Bool(false), "\(inputs)") }
            #expect(local.address.isUnspecified && (32_768...60_999).contains(local.port))
            #expect(inputs[1] == .received(udp, [1, 2], from: endpoint("10.0.0.2:9")))
        }
    }

    @Test func aTakenPortAndAForeignAddressAreUnavailable() throws {
        try play([
            .open(udp, .udp(local: endpoint("0.0.0.0:7"))), .open(SocketID(2), .udp(local: endpoint("10.0.0.9:0"))),
            .open(SocketID(3), .tcp(local: endpoint("10.0.0.9:0"), remote: endpoint("10.0.0.2:1"))),
            .open(SocketID(4), .tcp(local: any, remote: endpoint("99.0.0.2:1"))),
        ]) { _, host, _ in
            _ = host.openUDP(port: 7)
        } check: { _, _, inputs in
            #expect(
                inputs == [
                    .closed(udp, .addressUnavailable), .closed(SocketID(2), .addressUnavailable),
                    .closed(SocketID(3), .addressUnavailable), .closed(SocketID(4), .unreachable),
                ]
            )
        }
    }

    @Test func aClosedSocketIsNeverNamedAgain() throws {
        let target = endpoint("10.0.0.2:9")
        try play([
            .open(udp, .udp(local: any)), .open(SocketID(2), .udp(local: any)), .close(udp, isAbrupt: false),
            .send(SocketID(2), [1], to: target, timeToLive: nil),
        ]) { _, _, _ in
        } check: { _, _, inputs in
            try #require(inputs.count == 2, "\(inputs)")
            #expect(
                inputs[1]
                    == .refused(
                        SocketID(2),
                        SocketRefusal(.portUnreachable, destination: target, reporter: target.address)
                    )
            )
        }
    }

    @Test func aPortIsSharedByAListenerAndConnections() throws {
        let shared = endpoint("10.0.0.1:5000")
        try play([
            .open(SocketID(1), .listener(local: shared)),
            .open(SocketID(2), .tcp(local: shared, remote: endpoint("10.0.0.2:80"))),
            .open(SocketID(3), .tcp(local: shared, remote: endpoint("10.0.0.2:80"))),
            .open(SocketID(4), .tcp(local: shared, remote: endpoint("10.0.0.2:81"))),
            .write(SocketID(2), [1]),
        ]) { lab, _, peer in
            let listener = peer.listen(port: webPort)
            listener?.onAccept = { [unowned peer] connection in
                connection.onEvent = { [unowned connection] event in
                    guard case .bytes = event else { return }
                    connection.write([2])
                    connection.close()
                    _ = peer.connect(to: shared)
                }
            }
        } check: { _, _, inputs in
            #expect(inputs.contains(.opened(SocketID(1), local: shared)))
            #expect(inputs.contains(.closed(SocketID(3), .addressUnavailable)))
            #expect(inputs.contains(.closed(SocketID(4), .refused)))
            #expect(inputs.contains(.connected(SocketID(2), local: shared, remote: endpoint("10.0.0.2:80"))))
            #expect(inputs.contains(.bytes(SocketID(2), [2])))
            #expect(inputs.contains(.closed(SocketID(2), .finished)))
            let accepted = inputs.contains { input in
                if case .accepted(let id, by: SocketID(1), local: shared, remote: _) = input {
                    return id.number >= SocketID.acceptedStart
                }
                return false
            }
            #expect(accepted)
        }
    }

    @Test func aRequestIsAnsweredOverTCP() throws {
        let request = SocketRequest("GET", to: endpoint("10.0.0.2:8080"), host: "10.0.0.2", path: "/a?b")
        var missing = request
        missing.endpoint.port = 81
        var raw = request
        raw.endpoint.port = 82
        var large = request
        large.endpoint.port = 83
        large.responseLimit = 10
        var silent = request
        silent.endpoint.port = 84
        try play([
            .request(SocketID(1), request), .request(SocketID(2), missing), .request(SocketID(3), raw),
            .request(SocketID(4), large), .request(SocketID(5), silent),
        ]) { _, _, peer in
            peer.serve(port: 8080) { request in
                let text = "\(request.method) \(request.path) \(request.field("host") ?? "")"
                return .response(status: 200, fields: [SocketField("X", "y")], body: Array(text.utf8))
            }
            peer.serve(port: 82) { _ in .raw(Array("SSH-2.0-x\r\n\r\n".utf8)) }
            peer.serve(port: 83) { _ in .response(status: 200, fields: [], body: [UInt8](repeating: 1, count: 99)) }
            peer.serve(port: 84) { _ in .silence }
        } check: { _, _, inputs in
            let response = inputs.compactMap { input -> SocketResponse? in
                if case .response(SocketID(1), let response) = input { return response }
                return nil
            }
            #expect(response.first?.status == 200)
            #expect(response.first?.body == Array("GET /a?b 10.0.0.2:8080".utf8))
            #expect(response.first?.field("x") == "y")
            #expect(response.first?.local.address == IPAddress("10.0.0.1"))
            #expect(inputs.contains(.closed(SocketID(2), .refused)))
            #expect(inputs.contains(.closed(SocketID(3), .malformed)))
            #expect(inputs.contains(.closed(SocketID(4), .malformed)))
            #expect(inputs.count == 4)
        }
    }

    @Test func aSearchReachesEverybodyOnTheSegmentButNotBeyondARouter() throws {
        try Lab.play(seed: 1) { lab in
            let bench = Bench(lab, NATConfiguration(.endpointIndependent, .endpointIndependent))
            let heard = Box<[String]>([])
            for node in [bench.second, bench.box, bench.core, bench.server] as [LabHost] {
                try #require(node.openUDP(port: 1900)).onDatagram = { [name = node.name] _, _ in
                    heard.value.append(name)
                }
            }
            let socket = try #require(bench.inside.openUDP())
            socket.send([1], to: endpoint("239.255.255.250:1900"))
            try lab.run(for: .seconds(1))
            #expect(heard.value == ["second", "box"])
        }
    }

    @Test func anotherAddressIsToldToTheMachine() throws {
        try play([.open(udp, .udp(local: any))]) { lab, host, _ in
            lab.after(.seconds(1)) { [unowned host] in host.changeAddresses(["10.0.0.77/24"]) }
        } check: { _, _, inputs in
            guard case .networkChanged(let network) = inputs.last else { return #expect(Bool(false), "\(inputs)") }
            #expect(network.interfaces.first?.addresses == [endpoint("10.0.0.77:0").address])
        }
    }

    @Test func theTimerComesAtItsTimeAndAStoppedMachineHearsNothing() throws {
        try play([]) { _, _, _ in
        } check: { lab, runner, _ in
            runner.update { $0.deadlines = [lab.now + .seconds(3), lab.now + .seconds(9)] }
            let start = lab.now
            #expect(try lab.run(for: .seconds(5)) { runner.machine.deadlines.count == 1 })
            #expect(lab.now == start + .seconds(3))
            runner.stop()
            try lab.run(for: .seconds(60))
            #expect(runner.machine.deadlines.count == 1)
        }
    }

    @Test func aRunThatDoesNotEndNamesItsSeed() throws {
        let failure = try #require(throws: LabFailure.self) {
            try Lab.play(seed: 4711) { (lab: Lab) throws(LabFailure) in
                let link = lab.link(latency: .zero)
                let host = lab.host("host")
                let peer = lab.host("peer")
                host.attach(to: link, "10.0.0.1/24")
                peer.attach(to: link, "10.0.0.2/24")
                for node in [host, peer] {
                    let socket = node.openUDP(port: 7)
                    socket?.onDatagram = { [weak socket] bytes, sender in socket?.send(bytes, to: sender) }
                    socket?.send([1], to: endpoint("10.0.0.2:7"))
                }
                try lab.run(for: .seconds(1), budget: 10_000)
            }
        }
        #expect(failure.kind == .endless(events: 10_000))
        #expect("\(failure)".contains("seed 4711"))
    }
}
