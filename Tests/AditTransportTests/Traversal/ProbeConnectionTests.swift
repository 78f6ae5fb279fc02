// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import Glibc
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProbeConnectionTests {
    private static let place = MachineBench.loopback

    @Test func `connections from one port lead to several listeners, and a listener has that port too`() async throws {
        let bench = await MachineBench()
        let (own, ownLocal) = try await bench.open(.listener(local: Self.place))
        for _ in 0..<3 {
            let (listener, there) = try await bench.open(.listener(local: Self.place))
            let (id, _) = try await connect(bench, from: ownLocal, to: there, listener: listener)
            bench.perform(.write(id, [1, 2, 3]))
            guard case .bytes(let taken, let bytes)? = await bench.next() else { throw MachineBench.Unexpected() }
            #expect(bytes == [1, 2, 3] && taken.number >= SocketID.acceptedStart)
        }
        // And the listener still takes connections while those from its port are open.
        _ = try await connect(bench, from: Self.place, to: ownLocal, listener: own)
        #expect(try await bench.end() == [])
    }

    @Test func `many connections are dialled from one port at once, and one that nobody answers stays`() async throws {
        let bench = await MachineBench()
        let (_, ownLocal) = try await bench.open(.listener(local: Self.place))
        let silent = try FullListener()
        let waiting = bench.newID()
        bench.perform(.open(waiting, .tcp(local: ownLocal, remote: silent.endpoint)))
        var wanted: [SocketID: IPEndpoint] = [:]
        for _ in 0..<24 {
            let there = try await bench.open(.listener(local: Self.place)).local
            wanted[bench.newID()] = there
        }
        for (id, remote) in wanted { bench.perform(.open(id, .tcp(local: ownLocal, remote: remote))) }
        for _ in 0..<2 * wanted.count {
            switch await bench.next() {
            case .connected(let id, ownLocal, let remote)?: #expect(wanted.removeValue(forKey: id) == remote)
            case .accepted(_, _, _, ownLocal)?: break
            default: throw MachineBench.Unexpected()
            }
        }
        #expect(wanted.isEmpty)
        // Its SYN is sent again after a second, when there is room.
        silent.makeRoom()
        #expect(await bench.next() == .connected(waiting, local: ownLocal, remote: silent.endpoint))
        #expect(try await bench.end() == [])
    }

    @Test func `a second connection between the same ports is refused by the system`() async throws {
        let bench = await MachineBench()
        let (_, ownLocal) = try await bench.open(.listener(local: Self.place))
        let (listener, there) = try await bench.open(.listener(local: Self.place))
        _ = try await connect(bench, from: ownLocal, to: there, listener: listener)
        let again = bench.newID()
        bench.perform(.open(again, .tcp(local: ownLocal, remote: there)))
        #expect(await bench.next() == .closed(again, .addressUnavailable))
    }

    @Test func `nobody listens, another family, a foreign address`() async throws {
        let bench = await MachineBench()
        let (listener, gone) = try await bench.open(.listener(local: Self.place))
        bench.perform(.close(listener, isAbrupt: false))
        let cases: [(IPEndpoint, IPEndpoint, SocketEnd)] = [
            (Self.place, gone, .refused),
            (MachineBench.loopbackV6, gone, .addressUnavailable),
            (IPEndpoint(.v4(0xCB00_7101), 0), gone, .addressUnavailable),
        ]
        for (local, remote, end) in cases {
            let id = bench.newID()
            bench.perform(.open(id, .tcp(local: local, remote: remote)))
            #expect(await bench.next() == .closed(id, end))
        }
        let id = bench.newID()
        bench.perform(.open(id, .listener(local: IPEndpoint(.v4(0xCB00_7101), 0))))
        #expect(await bench.next() == .closed(id, .addressUnavailable))
    }

    @Test(arguments: [false, true])
    func `the other side sees an end or a reset`(_ isAbrupt: Bool) async throws {
        let bench = await MachineBench()
        let (listener, there) = try await bench.open(.listener(local: Self.place))
        let (id, accepted) = try await connect(bench, from: Self.place, to: there, listener: listener)
        bench.perform(.close(id, isAbrupt: isAbrupt))
        #expect(await bench.next() == .closed(accepted, isAbrupt ? .reset : .finished))
        #expect(try await bench.end() == [])
    }

    @Test func `a simultaneous open makes a connection`() async throws {
        let bench = await MachineBench()
        let (listener, local) = try await bench.open(.listener(local: Self.place))
        bench.perform(.close(listener, isAbrupt: false))
        // Where nobody listens, a socket's SYN to its own port crosses itself (RFC 9293 section 3.5, figure 8).
        let id = bench.newID()
        bench.perform(.open(id, .tcp(local: local, remote: local)))
        #expect(await bench.next() == .connected(id, local: local, remote: local))
        bench.perform(.write(id, [5]))
        #expect(await bench.next() == .bytes(id, [5]))
    }

    @Test func `a listener that is closed keeps its connections`() async throws {
        let bench = await MachineBench()
        let (listener, there) = try await bench.open(.listener(local: Self.place))
        let (id, accepted) = try await connect(bench, from: Self.place, to: there, listener: listener)
        bench.perform(.close(listener, isAbrupt: false), .write(accepted, [9]))
        #expect(await bench.next() == .bytes(id, [9]))
    }

    @Test func `the end of the driver ends its connections`() async throws {
        let server = await MachineBench()
        let client = await MachineBench()
        let (_, there) = try await server.open(.listener(local: Self.place))
        let id = client.newID()
        client.perform(.open(id, .tcp(local: Self.place, remote: there)))
        guard case .accepted(let accepted, _, _, _)? = await server.next() else { throw MachineBench.Unexpected() }
        _ = try await client.end()
        #expect(await server.next() == .closed(accepted, .finished))
    }

    @Test func `a connection given up while it is dialled is named no more`() async throws {
        let bench = await MachineBench()
        let (_, there) = try await bench.open(.listener(local: Self.place))
        let id = bench.newID()
        bench.perform(.open(id, .tcp(local: Self.place, remote: there)), .close(id, isAbrupt: true))
        let mark = bench.newID()
        bench.perform(.open(mark, .udp(local: Self.place)))
        // The listener may have got it before it was given up.
        var seen: [SocketInput] = []
        while let next = await bench.next() {
            if case .opened(mark, _) = next { break }
            seen.append(next)
        }
        seen += try await bench.end()
        #expect(!seen.contains { if case .connected(id, _, _) = $0 { true } else { false } })
    }

    /// Connects and waits until both ends are there.
    private func connect(
        _ bench: MachineBench,
        from local: IPEndpoint,
        to remote: IPEndpoint,
        listener: SocketID
    ) async throws -> (id: SocketID, accepted: SocketID) {
        let id = bench.newID()
        bench.perform(.open(id, .tcp(local: local, remote: remote)))
        var accepted: SocketID?
        for _ in 0..<2 {
            switch await bench.next() {
            case .connected(id, let here, remote)?: #expect(local.port == 0 || here == local)
            case .accepted(let new, by: listener, local: remote, _)?: accepted = new
            default: throw MachineBench.Unexpected()
            }
        }
        guard let accepted else { throw MachineBench.Unexpected() }
        return (id, accepted)
    }
}

/// A listener whose queue is full, so that the system does not answer further SYNs (listen(2)).
private final class FullListener {
    let endpoint: IPEndpoint
    private let descriptor: Int32
    private let filler: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = RawAddress.loopback
        guard RawAddress.claim(descriptor, &place), listen(descriptor, 0) == 0 else { throw MachineBench.Unexpected() }
        endpoint = IPEndpoint(MachineBench.loopback.address, UInt16(place[2]) << 8 | UInt16(place[3]))
        guard RawAddress.connect(filler, place) else { throw MachineBench.Unexpected() }
    }

    func makeRoom() {
        close(accept(descriptor, nil, nil))
    }

    deinit {
        close(filler)
        close(descriptor)
    }
}
