// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import Glibc
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProbeSocketTests {
    private static let families = [MachineBench.loopback, MachineBench.loopbackV6].filter(isThere)

    /// Whether this machine has the address.
    private static func isThere(_ endpoint: IPEndpoint) -> Bool {
        guard case .v6 = endpoint.address else { return true }
        let descriptor = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var place = RawAddress.loopbackV6
        return RawAddress.claim(descriptor, &place)
    }

    @Test(arguments: families)
    func `datagrams go to and fro`(_ place: IPEndpoint) async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: place))
        let (b, bLocal) = try await bench.open(.udp(local: place))
        #expect(aLocal.port != 0 && aLocal.address == place.address && aLocal != bLocal)

        bench.perform(.send(a, [1, 2, 3], to: bLocal, timeToLive: nil))
        #expect(await bench.next() == .received(b, [1, 2, 3], from: aLocal))
        bench.perform(.send(b, [], to: aLocal, timeToLive: 1))
        #expect(await bench.next() == .received(a, [], from: bLocal))
        #expect(try await bench.end() == [])
    }

    @Test(arguments: families)
    func `a closed port is a refusal that names it and does not end the socket`(_ place: IPEndpoint) async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: place))
        let (gone, goneLocal) = try await bench.open(.udp(local: place))
        let (other, otherLocal) = try await bench.open(.udp(local: place))
        bench.perform(.close(gone, isAbrupt: false))
        for round in 0..<5 {
            bench.perform(.send(a, [UInt8(round)], to: goneLocal, timeToLive: nil))
            let refusal = SocketRefusal(.portUnreachable, destination: goneLocal, reporter: place.address)
            #expect(await bench.next() == .refused(a, refusal))
            bench.perform(.send(a, [UInt8(round)], to: otherLocal, timeToLive: nil))
            #expect(await bench.next() == .received(other, [UInt8(round)], from: aLocal))
        }
        #expect(try await bench.end() == [])
    }

    @Test func `a burst to several closed ports is a refusal for each`() async throws {
        let bench = await MachineBench()
        let (a, _) = try await bench.open(.udp(local: IPEndpoint(.v4(0), 0)))
        var gone: [IPEndpoint] = []
        for _ in 0..<4 {
            let (id, local) = try await bench.open(.udp(local: MachineBench.loopback))
            gone.append(local)
            bench.perform(.close(id, isAbrupt: false))
        }
        for destination in gone { bench.perform(.send(a, [7], to: destination, timeToLive: nil)) }
        var refused: [IPEndpoint] = []
        for _ in gone {
            guard case .refused(a, let refusal)? = await bench.next() else { throw MachineBench.Unexpected() }
            #expect(refusal.kind == .portUnreachable)
            refused.append(refusal.destination)
        }
        #expect(Set(refused) == Set(gone))
    }

    @Test func `the time to live is set for one datagram alone`() async throws {
        let bench = await MachineBench()
        let receiver = try TimeToLiveReceiver()
        let (a, _) = try await bench.open(.udp(local: MachineBench.loopback))
        let destination = IPEndpoint(MachineBench.loopback.address, receiver.port)
        var seen: [Int32] = []
        for timeToLive: UInt8? in [nil, 3, 255, nil] {
            bench.perform(.send(a, [1], to: destination, timeToLive: timeToLive))
            seen.append(receiver.receive())
        }
        #expect(seen[1] == 3 && seen[2] == 255)
        #expect(seen[0] == seen[3] && seen[0] > 3)
    }

    @Test func `an address of somebody else cannot be bound, and a way that is not there refuses`() async throws {
        let bench = await MachineBench()
        let foreign = bench.newID()
        bench.perform(.open(foreign, .udp(local: IPEndpoint(.v4(0xCB00_7101), 0))))
        #expect(await bench.next() == .closed(foreign, .addressUnavailable))

        let (a, _) = try await bench.open(.udp(local: MachineBench.loopback))
        let wrongFamily = IPEndpoint(.v6(high: 0, low: 1), 9)
        bench.perform(.send(a, [1], to: wrongFamily, timeToLive: nil))
        let refusal = SocketRefusal(.hostUnreachable, destination: wrongFamily, reporter: nil)
        #expect(await bench.next() == .refused(a, refusal))
        bench.perform(.send(a, [UInt8](repeating: 0, count: 65_530), to: foreignPort, timeToLive: nil))
        #expect(
            await bench.next() == .refused(a, SocketRefusal(.tooBig(mtu: 0), destination: foreignPort, reporter: nil))
        )
    }

    @Test func `256 sockets are opened and closed at once, and each receives`() async throws {
        let bench = await MachineBench()
        let (sender, _) = try await bench.open(.udp(local: MachineBench.loopback))
        let ids = (0..<256).map { _ in bench.newID() }
        bench.driver.update { machine in
            machine.outputs += ids.map { .open($0, .udp(local: MachineBench.loopback)) }
        }
        var places: [SocketID: IPEndpoint] = [:]
        while places.count < ids.count {
            guard case .opened(let id, let local)? = await bench.next() else { throw MachineBench.Unexpected() }
            places[id] = local
        }
        #expect(Set(places.values).count == ids.count)
        for local in places.values { bench.perform(.send(sender, [1], to: local, timeToLive: nil)) }
        var silent = Set(ids)
        while !silent.isEmpty {
            guard case .received(let id, [1], _)? = await bench.next() else { throw MachineBench.Unexpected() }
            silent.remove(id)
        }
        bench.driver.update { machine in machine.outputs += ids.map { .close($0, isAbrupt: false) } }
        #expect(try await bench.driver.openCount().get() == 1)
        #expect(try await bench.end() == [])
    }

    @Test func `a burst comes whole and in order, whatever the sizes`() async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let (b, bLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let sizes = (0..<100).map { ($0 * 37) % 1400 } + [16 * 1024, 16 * 1024 + 1, 0]
        bench.driver.update { machine in
            machine.outputs += sizes.map {
                .send(a, [UInt8](repeating: UInt8($0 % 251), count: $0), to: bLocal, timeToLive: nil)
            }
        }
        for size in sizes {
            let bytes = [UInt8](repeating: UInt8(size % 251), count: min(size, 16 * 1024))
            #expect(await bench.next() == .received(b, bytes, from: aLocal))
        }
        #expect(try await bench.end() == [])
    }

    @Test func `after much at once what follows comes too, and a refusal`() async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let (b, bLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let (gone, goneLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        bench.perform(.close(gone, isAbrupt: false))
        let large = [UInt8](repeating: 7, count: 16 * 1024)
        for round in 0..<3 {
            bench.driver.update { machine in
                machine.outputs += (0..<4).map { _ in .send(a, large, to: bLocal, timeToLive: nil) }
            }
            for _ in 0..<4 { #expect(await bench.next() == .received(b, large, from: aLocal)) }
            for number in 0..<UInt8(3) {
                bench.perform(.send(a, [UInt8(round), number], to: bLocal, timeToLive: nil))
                #expect(await bench.next() == .received(b, [UInt8(round), number], from: aLocal))
            }
            bench.perform(.send(b, [1], to: goneLocal, timeToLive: nil))
            let refusal = SocketRefusal(
                .portUnreachable,
                destination: goneLocal,
                reporter: MachineBench.loopback.address
            )
            #expect(await bench.next() == .refused(b, refusal))
        }
        #expect(try await bench.end() == [])
    }

    @Test func `a closed socket is named no more`() async throws {
        let bench = await MachineBench()
        let (a, aLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        let (b, bLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        // Both datagrams wait when the first is told; the machine then closes the socket.
        bench.driver.update { machine in
            machine.reaction = { input in
                if case .received(b, _, _) = input { [.close(b, isAbrupt: false)] } else { [] }
            }
        }
        bench.perform(.send(a, [1], to: bLocal, timeToLive: nil), .send(a, [2], to: bLocal, timeToLive: nil))
        #expect(await bench.next() == .received(b, [1], from: aLocal))
        // What comes after is not from the closed socket.
        let (c, cLocal) = try await bench.open(.udp(local: MachineBench.loopback))
        bench.perform(.send(a, [3], to: cLocal, timeToLive: nil))
        #expect(await bench.next() == .received(c, [3], from: aLocal))
        #expect(try await bench.end() == [])
    }

    @Test func `two machines on two loops do not disturb each other`() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let benches = [await MachineBench(on: group.next()), await MachineBench(on: group.next())]
        let sockets = [
            try await benches[0].open(.udp(local: MachineBench.loopback)),
            try await benches[1].open(.udp(local: MachineBench.loopback)),
        ]
        #expect(sockets[0].id == sockets[1].id)
        for round in 0..<20 {
            let bytes = [UInt8(round)]
            benches[0].perform(.send(sockets[0].id, bytes, to: sockets[1].local, timeToLive: nil))
            #expect(await benches[1].next() == .received(sockets[1].id, bytes, from: sockets[0].local))
            benches[1].perform(.send(sockets[1].id, bytes, to: sockets[0].local, timeToLive: nil))
            #expect(await benches[0].next() == .received(sockets[0].id, bytes, from: sockets[1].local))
        }
    }

    @Test func `a deadline is kept, also one that has passed`() async {
        let late = await MachineBench(ToldMachine(nextDeadline: .zero))
        #expect(await late.next() == .timer)
        let soon = await MachineBench(ToldMachine(nextDeadline: Clock.monotonic.now() + .milliseconds(20)))
        #expect(await soon.next() == .timer)
    }

    @Test func `after the end nothing is told and the ports are free`() async throws {
        let bench = await MachineBench()
        let (_, local) = try await bench.open(.udp(local: MachineBench.loopback))
        #expect(try await bench.end() == [])
        bench.perform(.open(bench.newID(), .udp(local: MachineBench.loopback)))
        #expect(await bench.next() == nil)

        let next = await MachineBench()
        #expect(try await next.open(.udp(local: local)).local == local)
    }

    private var foreignPort: IPEndpoint { IPEndpoint(MachineBench.loopback.address, 9) }
}

/// A socket that sees the time to live of what it receives (ip(7), IP_RECVTTL).
private struct TimeToLiveReceiver: ~Copyable {
    private let descriptor: Int32
    let port: UInt16

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var place = RawAddress.loopback
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_IP), IP_RECVTTL, &on, 4)
        let isBound = RawAddress.claim(descriptor, &place)
        port = UInt16(place[2]) << 8 | UInt16(place[3])
        if !isBound { throw MachineBench.Unexpected() }
    }

    /// Waits for a datagram; its time to live.
    func receive() -> Int32 {
        var payload = [UInt8](repeating: 0, count: 16)
        // cmsg(3): a length of eight bytes, level and type of four each, then the value.
        var control = [UInt8](repeating: 0, count: 64)
        return payload.withUnsafeMutableBytes { payload in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                return withUnsafeMutablePointer(to: &part) { part in
                    var header = msghdr()
                    header.msg_iov = part
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    guard recvmsg(descriptor, &header, 0) >= 0, header.msg_controllen >= 20 else { return -1 }
                    return control.loadUnaligned(fromByteOffset: 16, as: Int32.self)
                }
            }
        }
    }

    deinit {
        close(descriptor)
    }
}
