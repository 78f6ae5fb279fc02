// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire
import Testing

@Suite struct TURNClientTests {
    private static let peer = IPEndpoint(.v4(0xC000_0263), 5000)

    private static func allocation(_ events: [TURNClientEvent]) -> (relayed: IPEndpoint, mapped: IPEndpoint)? {
        for event in events {
            if case .allocated(let relayed, let mapped) = event { return (relayed, mapped) }
        }
        return nil
    }

    @Test(arguments: [STUNTransport.udp, .tcp, .tls])
    func aClientAllocatesAndTalksToAPeer(transport: STUNTransport) throws {
        var world = TURNWorld()
        let client = world.add("desk", transport)
        world.tell(client, .start)
        world.run(for: .milliseconds(39))
        #expect(world.clients[client].events.isEmpty)
        world.run(for: .milliseconds(1))
        // Two round trips: the first fetches realm and nonce.
        let allocation = try #require(Self.allocation(world.takeEvents(client)))
        #expect(allocation.mapped == world.clients[client].tuple.client)
        #expect(allocation.relayed.address == TURNWorld.server.address)

        world.tell(client, .send([1, 2, 3], to: Self.peer))
        world.run(for: .milliseconds(20))
        // The permission and the datagram went together.
        #expect(world.sent.map(\.bytes) == [[1, 2, 3]])
        #expect(world.sent.first?.to == Self.peer)
        #expect(world.takeEvents(client) == [.permitted(Self.peer.address)])
        world.peerSends([4, 5], from: Self.peer, to: client)
        world.run(for: .milliseconds(20))
        #expect(world.takeEvents(client) == [.data(PacketBatch([4, 5]), from: Self.peer)])

        world.tell(client, .bind(Self.peer))
        world.run(for: .milliseconds(20))
        #expect(world.takeEvents(client) == [.bound(Self.peer)])
        world.tell(client, .send([6], to: Self.peer))
        world.peerSends([7], from: Self.peer, to: client)
        world.peerSends([8], from: IPEndpoint(Self.peer.address, 9), to: client)
        world.peerSends([9], from: IPEndpoint(.v4(0xC000_0264), 9), to: client)
        world.run(for: .milliseconds(20))
        #expect(world.sent.last?.bytes == [6])
        // From the same address without the channel; from another address not at all.
        let other = IPEndpoint(Self.peer.address, 9)
        #expect(
            world.takeEvents(client) == [
                .data(PacketBatch([7]), from: Self.peer), .data(PacketBatch([8]), from: other),
            ]
        )
        #expect(world.relay.counters.dropped == 1)

        world.tell(client, .release)
        world.run(for: .milliseconds(20))
        #expect(world.takeEvents(client) == [.released])
        #expect(world.relay.allocationCount == 0)
        #expect(world.open.isEmpty)
        #expect(world.relay.devices.isEmpty)
    }

    @Test func aNonceFromTheLoginSavesARoundTrip() {
        var world = TURNWorld()
        let here = TURNWorld.tuple(0).client.address
        let nonce = world.relay.nonce(for: TURNWorld.credentials("desk").username, from: here, at: world.now)
        let client = world.add { configuration in
            configuration.realm = "adit"
            configuration.nonce = nonce
        }
        world.tell(client, .start)
        world.run(for: .milliseconds(20))
        #expect(Self.allocation(world.takeEvents(client)) != nil)
        #expect(world.clients[client].transmitted == 1)
        // It is the user's, where the login came from: a forged source does not get what is relayed for it.
        let away = world.add { configuration in
            configuration.realm = "adit"
            configuration.nonce = nonce
        }
        world.tell(away, .start)
        world.run(for: .milliseconds(20))
        #expect(Self.allocation(world.takeEvents(away)) == nil)
        world.run(for: .milliseconds(20))
        #expect(Self.allocation(world.takeEvents(away)) != nil)
        // Nobody else can use it.
        let other = world.add("other") { configuration in
            configuration.realm = "adit"
            configuration.nonce = nonce
        }
        world.tell(other, .start)
        world.run(for: .milliseconds(20))
        #expect(Self.allocation(world.takeEvents(other)) == nil)
        world.run(for: .milliseconds(20))
        #expect(Self.allocation(world.takeEvents(other)) != nil)
    }

    @Test(arguments: 1...6)
    func aDayPassesOverALossyNetwork(seed: UInt64) {
        var world = TURNWorld(seed: seed)
        world.loss = 0.2
        let client = world.add()
        world.tell(client, .start)
        world.run(for: .seconds(40))
        #expect(Self.allocation(world.takeEvents(client)) != nil)
        world.tell(client, .permit(Self.peer.address))
        world.tell(client, .bind(Self.peer))
        world.run(for: .seconds(40))
        #expect(Set(world.takeEvents(client).map { "\($0)" }).count == 2)
        // Nonces become stale each hour, permissions end after five minutes, channels after ten.
        for _ in 0..<96 {
            world.run(for: .seconds(899))
            let count = world.sent.count
            world.loss = 0
            world.tell(client, .send([1], to: Self.peer))
            world.peerSends([2], from: Self.peer, to: client)
            world.run(for: .seconds(1))
            world.loss = 0.2
            #expect(world.sent.count == count + 1)
            #expect(world.takeEvents(client) == [.data(PacketBatch([2]), from: Self.peer)])
        }
        #expect(world.relay.allocationCount == 1)
    }

    @Test func aSilentServerIsGivenUp() {
        var world = TURNWorld()
        let client = world.add()
        world.clients[client].isCut = true
        world.tell(client, .start)
        world.run(for: .seconds(60))
        #expect(world.takeEvents(client) == [.failed(.timedOut)])
        #expect(world.clients[client].transmitted == 7)
        #expect(world.clients[client].machine.nextDeadline == nil)
    }

    @Test func anAllocationThatTheServerForgotIsLost() {
        var world = TURNWorld()
        let client = world.allocated()
        _ = world.takeEvents(client)
        world.relay.release(device: "desk", at: world.now)
        world.drainRelay()
        world.run(for: .seconds(600))
        #expect(world.takeEvents(client) == [.lost(.mismatch)])
        #expect(world.clients[client].machine.relayed == nil)
    }

    @Test func whatIsVerifiedIsRefreshedOrLostAtOnce() {
        var world = TURNWorld()
        let client = world.allocated()
        _ = world.takeEvents(client)
        world.tell(client, .verify)
        world.tell(client, .verify)
        world.run(for: .milliseconds(20))
        #expect(world.takeEvents(client).isEmpty)
        world.relay.release(device: "desk", at: world.now)
        world.drainRelay()
        world.tell(client, .verify)
        world.run(for: .milliseconds(20))
        #expect(world.takeEvents(client) == [.lost(.mismatch)])
    }

    @Test(arguments: [(STUNTransport.udp, Duration.milliseconds(5500)), (.tcp, .milliseconds(2500))])
    func whatNobodyVerifiesIsLostSoon(transport: STUNTransport, patience: Duration) {
        var world = TURNWorld()
        let client = world.allocated("desk", transport)
        _ = world.takeEvents(client)
        world.clients[client].isCut = true
        world.tell(client, .verify)
        world.run(for: patience - .milliseconds(1))
        #expect(world.takeEvents(client).isEmpty)
        world.run(for: .milliseconds(1))
        #expect(world.takeEvents(client) == [.lost(.timedOut)])
    }

    @Test func aServerThatSendsSomethingElseIsThere() {
        var world = TURNWorld()
        let client = world.allocated("desk", .tcp)
        world.tell(client, .permit(Self.peer.address))
        world.run(for: .milliseconds(20))
        _ = world.takeEvents(client)
        world.clients[client].isCut = true
        world.tell(client, .verify)
        world.run(for: .seconds(1))
        world.clients[client].isCut = false
        world.peerSends([1], from: Self.peer, to: client)
        world.run(for: .seconds(5))
        #expect(world.takeEvents(client) == [.data(PacketBatch([1]), from: Self.peer)])
        #expect(world.clients[client].machine.relayed != nil)
    }

    @Test func aConnectionThatEndsTakesTheAllocationAlong() {
        var world = TURNWorld()
        let client = world.allocated("desk", .tcp)
        _ = world.takeEvents(client)
        world.relay.disconnected(world.clients[client].tuple, at: world.now)
        world.drainRelay()
        #expect(world.relay.allocationCount == 0)
        world.tell(client, .disconnected)
        #expect(world.takeEvents(client) == [.lost(.disconnected)])
    }

    @Test func aWrongPasswordEndsAfterTwoAnswers() {
        var world = TURNWorld()
        let client = world.add { $0.password = "wrong" }
        world.tell(client, .start)
        world.run(for: .seconds(1))
        #expect(world.takeEvents(client) == [.failed(.unauthorized)])
        #expect(world.clients[client].transmitted == 2)
        #expect(world.relay.counters.unauthorized == 1)
    }

    @Test func whatAnEarlierRunLeftOnThePortIsGivenBack() {
        var world = TURNWorld()
        let first = world.allocated()
        let second = world.add()
        world.clients[second].tuple = world.clients[first].tuple
        world.clients.remove(at: first)
        world.tell(0, .start)
        world.run(for: .seconds(1))
        #expect(Self.allocation(world.takeEvents(0)) != nil)
        #expect(world.relay.allocationCount == 1)
        #expect(world.closed.count == 1)
    }

    @Test func quotaAndPolicyAndFullServersAreNamed() {
        var world = TURNWorld { configuration in
            configuration.deviceAllocationLimit = 1
            configuration.allocationLimit = 2
        }
        _ = world.allocated("desk")
        let second = world.allocated("desk")
        #expect(world.takeEvents(second) == [.failed(.quota)])
        let third = world.allocated("other")
        world.tell(third, .permit(.v4(0x7F00_0001)))
        world.run(for: .seconds(1))
        #expect(world.takeEvents(third).last == .notPermitted(.v4(0x7F00_0001), .forbidden))
        let fourth = world.allocated("third")
        #expect(world.takeEvents(fourth) == [.failed(.capacity)])
        world.refusesToOpen = true
        world.relay.configuration.allocationLimit = 9
        let fifth = world.allocated("fourth")
        #expect(world.takeEvents(fifth) == [.failed(.capacity)])
        let sixth = world.add("fifth") { $0.family = .v6 }
        world.tell(sixth, .start)
        world.run(for: .seconds(1))
        #expect(world.takeEvents(sixth) == [.failed(.family)])
        #expect(world.relay.allocationCount == 2)
        #expect(world.relay.devices.count == 2)
    }

    @Test func newCredentialsKeepTheAllocation() {
        var world = TURNWorld()
        let client = world.allocated()
        _ = world.takeEvents(client)
        let fresh = TURNWorld.credentials("desk", lasting: 200_000)
        world.tell(
            client,
            .credentials(username: fresh.username, password: fresh.password, realm: nil, nonce: nil)
        )
        world.run(for: .seconds(3600))
        #expect(world.takeEvents(client).isEmpty)
        #expect(world.relay.allocationCount == 1)
        // Another device's do not: 441.
        let other = TURNWorld.credentials("other", lasting: 200_000)
        world.tell(
            client,
            .credentials(username: other.username, password: other.password, realm: nil, nonce: nil)
        )
        world.run(for: .seconds(3600))
        #expect(world.takeEvents(client) == [.lost(.unauthorized)])
    }

    @Test func twoAllocationsOfOneServerTalkInside() {
        // The relays' own address may be private: what goes from one to the other never leaves.
        var world = TURNWorld { $0.relayAddresses = [.v4(0x0A00_0001), TURNWorld.server.address] }
        let left = world.allocated("left")
        let right = world.allocated("right", .tcp)
        guard let leftEnd = world.clients[left].machine.relayed, let rightEnd = world.clients[right].machine.relayed
        else {
            Issue.record("no allocation")
            return
        }
        _ = world.takeEvents(left)
        _ = world.takeEvents(right)
        world.tell(left, .send([1], to: rightEnd))
        world.run(for: .seconds(1))
        #expect(world.takeEvents(right).isEmpty)
        world.tell(right, .permit(leftEnd.address))
        world.run(for: .seconds(1))
        world.tell(left, .send([2], to: rightEnd))
        world.tell(right, .send([3, 4], to: leftEnd))
        world.run(for: .seconds(1))
        #expect(world.takeEvents(right) == [.permitted(leftEnd.address), .data(PacketBatch([2]), from: leftEnd)])
        #expect(world.takeEvents(left) == [.permitted(rightEnd.address), .data(PacketBatch([3, 4]), from: rightEnd)])
        for (client, peer) in [(left, rightEnd), (right, leftEnd)] { world.tell(client, .bind(peer)) }
        world.run(for: .seconds(1))
        world.tell(left, .send([5, 6, 7], to: rightEnd))
        world.tell(right, .send([8], to: leftEnd))
        world.run(for: .seconds(1))
        #expect(world.takeEvents(right) == [.bound(leftEnd), .data(PacketBatch([5, 6, 7]), from: leftEnd)])
        #expect(world.takeEvents(left) == [.bound(rightEnd), .data(PacketBatch([8]), from: rightEnd)])
        #expect(world.sent.isEmpty)
        // A port of the server that is no relay is not reached, nor one that was closed.
        world.tell(left, .send([9], to: IPEndpoint(TURNWorld.server.address, 22)))
        world.tell(right, .release)
        world.run(for: .seconds(1))
        world.tell(left, .send([10], to: rightEnd))
        world.run(for: .seconds(1))
        #expect(world.sent.isEmpty)
    }

    @Test func forgedAnswersAreNotBelieved() throws {
        var world = TURNWorld()
        let client = world.add()
        world.clients[client].isCut = true
        world.clients[client].machine.handle(.start, at: world.now)
        guard case .transmit(let request)? = world.clients[client].machine.nextOutput() else {
            Issue.record("nothing was sent")
            return
        }
        let message = try STUNMessage.decode(request.span.bytes)
        let success = { (id: STUNTransactionID) -> [UInt8] in
            var bytes: [UInt8] = []
            STUNMessage(
                .success,
                .allocate,
                transactionID: id,
                attributes: [.xorRelayedAddress(Self.peer), .xorMappedAddress(Self.peer), .lifetime(600)]
            ).encode(into: &bytes)
            return bytes
        }
        // Without a key nobody can grant anything, with a guessed id not even refuse.
        world.tell(client, .received(success(message.transactionID)))
        world.tell(client, .received(success(STUNTransactionID(high: 1, low: 1))))
        world.tell(client, .received([0x40, 0x00, 0, 1, 5]))
        world.tell(client, .received(Array(success(message.transactionID).dropLast(3))))
        #expect(world.takeEvents(client).isEmpty)
        // A server that says it knows better algorithms, and then offers none, is not followed.
        var challenge: [UInt8] = []
        STUNMessage(
            .error,
            .allocate,
            transactionID: message.transactionID,
            attributes: [
                .errorCode(401, reason: ""), .realm("adit"), .nonce("obMatJos2gAAAt0000000000"),
            ]
        ).encode(into: &challenge)
        world.tell(client, .received(challenge))
        #expect(world.takeEvents(client) == [.failed(.unauthorized)])
    }

    @Test func aServerSendsItsClientsToAnother() throws {
        var world = TURNWorld()
        let client = world.add()
        world.clients[client].isCut = true
        var seen: Set<IPEndpoint> = []
        for round in 0..<5 {
            world.clients[client].machine.handle(.start, at: world.now)
            guard case .transmit(let request)? = world.clients[client].machine.nextOutput() else { break }
            let message = try STUNMessage.decode(request.span.bytes)
            var bytes: [UInt8] = []
            let other = IPEndpoint(.v4(0xCB00_7105), UInt16(4000 + round))
            STUNMessage(
                .error,
                .allocate,
                transactionID: message.transactionID,
                attributes: [.errorCode(300, reason: ""), .alternateServer(other)]
            ).encode(into: &bytes)
            world.tell(client, .received(bytes))
            for event in world.takeEvents(client) {
                if case .redirected(let endpoint) = event { seen.insert(endpoint) }
                if case .failed(.refused(300, _)) = event { #expect(round == 3) }
            }
        }
        #expect(seen.count == TURNClient.redirectionLimit)
    }

    @Test func memoryIsBounded() {
        var world = TURNWorld()
        let client = world.allocated()
        for number in 0..<2000 {
            world.tell(client, .permit(.v4(0xC600_0000 + UInt32(number))))
            world.tell(client, .bind(IPEndpoint(.v4(0xC600_0000 + UInt32(number % 300)), UInt16(number + 1))))
        }
        world.run(for: .seconds(60))
        let events = world.takeEvents(client)
        let refused = events.filter { if case .notPermitted(_, .tooMany) = $0 { true } else { false } }
        #expect(refused.count == 2000 - TURNClient.permissionLimit)
        #expect(events.filter { if case .bound = $0 { true } else { false } }.count == TURNClient.channelLimit)
        #expect(world.clients[client].machine.relayed != nil)
        // A connection that never ends a message.
        let stream = world.allocated("other", .tcp)
        _ = world.takeEvents(stream)
        world.tell(stream, .received([0x40, 0, 0xFF, 0xFF] + Array(repeating: 0, count: 1000)))
        world.tell(stream, .received(Array(repeating: 0xFF, count: 70_000)))
        #expect(world.takeEvents(stream) == [.lost(.malformed)])
    }

    @Test func icmpErrorsReachTheClient() throws {
        var world = TURNWorld()
        let client = world.allocated()
        world.tell(client, .send([1], to: Self.peer))
        world.run(for: .seconds(1))
        _ = world.takeEvents(client)
        let relay = try #require(world.open.keys.first)
        world.relay.refused(
            SocketRefusal(.tooBig(mtu: 1280), destination: Self.peer, reporter: nil),
            on: relay,
            at: world.now
        )
        world.relay.refused(
            SocketRefusal(.portUnreachable, destination: IPEndpoint(.v4(9), 9), reporter: nil),
            on: relay,
            at: world.now
        )
        world.drainRelay()
        world.run(for: .seconds(1))
        #expect(world.takeEvents(client) == [.refused(Self.peer, type: 3, code: 4, data: 1280)])
    }
}
