// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

/// The TCP port that a router may open, and who comes through it.
@Suite struct PathDoorTests {
    private static let local = IPAddress.v4(0xC0A8_0102)
    private static let gateway = IPAddress.v4(0xC0A8_0101)

    private static func network(_ address: IPAddress, gateway: IPAddress) -> LocalNetwork {
        LocalNetwork(
            interfaces: [LocalInterface(name: "eth0", addresses: [address], isDefault: true)],
            gateway: gateway,
            address: address
        )
    }

    /// A finder whose sockets are open, its listener, and what it wanted.
    private static func opened() throws -> (PathFinder, SocketID, [PathEvent]) {
        var configuration = PathConfiguration(ownID: PathPeerID(name: "a", key: "a"))
        configuration.network = network(local, gateway: gateway)
        var finder = PathFinder(configuration, random: SeededGenerator(seed: 1))
        finder.connect(PathPeerID(name: "b", key: "b"), at: .zero)
        var door: SocketID?
        var events: [PathEvent] = []
        while let output = finder.nextOutput() {
            switch output {
            case .open(let id, .udp): finder.handle(.opened(id, local: IPEndpoint(local, 40_000)), at: .zero)
            case .open(let id, .listener):
                door = id
                finder.handle(.opened(id, local: IPEndpoint(local, 40_001)), at: .zero)
            case .event(let event): events.append(event)
            default: break
            }
        }
        return (finder, try #require(door), events)
    }

    private static func closed(_ finder: inout PathFinder) -> [SocketID] {
        var closed: [SocketID] = []
        while let output = finder.nextOutput() {
            if case .close(let id, _) = output { closed.append(id) }
        }
        return closed
    }

    private static func arrive(_ finder: inout PathFinder, _ number: UInt32, from: UInt32, by door: SocketID) {
        let remote = IPEndpoint(.v4(from), 50_000)
        let local = IPEndpoint(local, 40_001)
        finder.handle(.accepted(SocketID(number), by: door, local: local, remote: remote), at: .zero)
    }

    @Test func bothPortsAreWantedFromTheRouter() throws {
        let (_, _, events) = try Self.opened()
        #expect(events.contains(.wantsPort(40_000, .udp)))
        #expect(events.contains(.wantsPort(40_001, .tcp)))
    }

    @Test func whoDoesNotSayWhoItIsGoes() throws {
        var (finder, door, _) = try Self.opened()
        Self.arrive(&finder, 900, from: 0x0808_0808, by: door)
        #expect(Self.closed(&finder).isEmpty)
        finder.handle(.timer, at: .zero + .seconds(6))
        #expect(Self.closed(&finder) == [SocketID(900)])
    }

    @Test func whoSaysSomethingElseGoesAtOnce() throws {
        for bytes in [
            Array("GET / HTTP/1.1\r\n\r\n".utf8), [0, 4, 1, 2, 3, 4], [0, 0], [UInt8](repeating: 0, count: 700),
        ] {
            var (finder, door, _) = try Self.opened()
            Self.arrive(&finder, 900, from: 0x0808_0808, by: door)
            finder.handle(.bytes(SocketID(900), bytes), at: .zero)
            #expect(Self.closed(&finder) == [SocketID(900)])
        }
    }

    @Test func oneAddressGetsFourPlacesAndAllGetThirtyTwo() throws {
        var (finder, door, _) = try Self.opened()
        for number in 0..<10 { Self.arrive(&finder, 900 + UInt32(number), from: 0x0808_0808, by: door) }
        #expect(Self.closed(&finder).count == 6)
        for number in 0..<40 {
            Self.arrive(&finder, 1000 + UInt32(number), from: 0x0909_0909 + UInt32(number), by: door)
        }
        #expect(Self.closed(&finder).count == 12)
    }

    @Test func anotherNetworkIsToldAndItsRouterIsAskedAnew() throws {
        var (finder, door, _) = try Self.opened()
        // The same private address behind another router.
        finder.handle(.networkChanged(Self.network(Self.local, gateway: .v4(0xC0A8_01FE))), at: .zero + .seconds(1))
        var events: [PathEvent] = []
        var closed: [SocketID] = []
        while let output = finder.nextOutput() {
            switch output {
            case .open(let id, .udp): finder.handle(.opened(id, local: IPEndpoint(Self.local, 41_000)), at: .zero)
            case .open(let id, .listener): finder.handle(.opened(id, local: IPEndpoint(Self.local, 41_001)), at: .zero)
            case .close(let id, _): closed.append(id)
            case .event(let event): events.append(event)
            default: break
            }
        }
        #expect(closed.contains(door))
        let moved = events.firstIndex { if case .moved = $0 { true } else { false } }
        let wanted = events.firstIndex(of: .wantsPort(41_001, .tcp))
        #expect(try #require(moved) < (try #require(wanted)))
        #expect(events.contains(.wantsPort(41_000, .udp)))
    }
}
