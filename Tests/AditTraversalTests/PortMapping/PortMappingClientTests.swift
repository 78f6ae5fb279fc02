// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@testable import AditTraversal

/// Answers in an order that only a slow, careless or hostile router gives.
@Suite struct PortMappingClientTests {
    private static let game = PortMappingWish(.udp, internalPort: 25565)
    private static let exact = PortMappingWish(.udp, internalPort: 25565, isExact: true)

    @Test func theEndRemovesNoPortThatIsAnothers() throws {
        var router = ScriptedRouter([Self.game], by: [.upnp])
        try router.describe()
        guard case .addPortMapping? = router.call else {
            Issue.record("no port was asked for")
            return
        }
        try router.answer(.fault(.conflictInMappingEntry))
        #expect(router.call == .getSpecificPortMappingEntry(.udp, externalPort: 25565))
        router.withdraw()
        try router.answer(
            .values([
                UPnPArgument("NewInternalClient", "192.168.1.77"), UPnPArgument("NewInternalPort", "25565"),
            ])
        )
        #expect(router.call == nil)
        #expect(router.events.last == .withdrawn(unconfirmed: []))
    }

    @Test func aPortThatWasOnItsWayWhenTheEndBeganIsRemoved() throws {
        var router = ScriptedRouter([Self.game], by: [.upnp])
        try router.describe()
        router.withdraw()
        try router.answer(.values([]))
        #expect(router.call == .deletePortMapping(.udp, externalPort: 25565))
        try router.answer(.values([]))
        #expect(router.events.last == .withdrawn(unconfirmed: []))
    }

    @Test func aRouterThatWantsEqualPortsAtARenewalIsNotAskedForEver() throws {
        let wish = PortMappingWish(.udp, internalPort: 25565, externalPort: 4242, lifetime: 600)
        var router = ScriptedRouter([wish], by: [.upnp])
        try router.describe()
        try router.answer(.values([]))
        var asked = 0
        for _ in 0..<320 {
            router.pass(.seconds(1))
            while let call = router.call, asked < 50 {
                switch call {
                case .addPortMapping:
                    asked += 1
                    try router.answer(.fault(.samePortValuesRequired))
                case .getExternalIPAddress:
                    let address = ScriptedRouter.outside.description
                    try router.answer(.values([UPnPArgument("NewExternalIPAddress", address)]))
                default: try router.answer(.values([]))
                }
            }
        }
        #expect(asked == 1)
    }

    @Test func theAnswerToARemovalDoesNotEndAPortOfAnotherProtocol() throws {
        var router = ScriptedRouter([Self.exact], by: [.pcp, .natPMP])
        for (socket, bytes) in router.datagrams() {
            if bytes[0] == 2 {
                router.answer(socket, PCPResponse(lifetime: 0, epoch: 100, body: .announce))
            } else {
                router.answer(socket, NATPMPResponse(epoch: 100, body: .externalAddress(ScriptedRouter.outside)))
            }
        }
        // PCP gives another port than the one that has to be; its removal is answered late.
        let (socket, asked) = try #require(router.datagrams().last)
        guard case .map(var map) = try PCPRequest.decode(asked.span.bytes).body else {
            Issue.record("PCP was not asked")
            return
        }
        map.externalPort = 4242
        map.externalAddress = ScriptedRouter.outside
        router.answer(socket, PCPResponse(lifetime: 7200, epoch: 100, body: .map(map)))
        let given = NATPMPResponse(
            epoch: 100,
            body: .map(.udp, internalPort: 25565, externalPort: 25565, lifetime: 7200)
        )
        router.answer(socket, given)
        map.externalPort = 0
        router.answer(socket, PCPResponse(lifetime: 0, epoch: 100, body: .map(map)))
        router.outputs = []
        router.withdraw()
        let farewell = router.datagrams().compactMap { try? NATPMPRequest.decode($0.bytes.span.bytes) }
        #expect(farewell == [.map(.udp, internalPort: 25565, externalPort: 0, lifetime: 0)])
    }

    @Test func aRouterWhoseClockJumpsCannotMakePortsComeAndGoWithoutEnd() throws {
        var router = ScriptedRouter([Self.game, PortMappingWish(.tcp, internalPort: 25565)], by: [.natPMP])
        var epoch: UInt32 = 1_000_000
        for _ in 0..<200 {
            for (socket, bytes) in router.datagrams() {
                epoch -= 1000
                switch try NATPMPRequest.decode(bytes.span.bytes) {
                case .externalAddress:
                    router.answer(socket, NATPMPResponse(epoch: epoch, body: .externalAddress(ScriptedRouter.outside)))
                case .map(let transport, let port, _, let lifetime):
                    let body = NATPMPResponse.Body.map(
                        transport,
                        internalPort: port,
                        externalPort: port,
                        lifetime: lifetime
                    )
                    router.answer(socket, NATPMPResponse(epoch: epoch, body: body))
                }
            }
            router.pass(.milliseconds(5))
        }
        #expect(router.lost.count <= 2)
    }

    @Test func aPortIsAskedForAgainOnlyWhenItsRemovalIsOver() {
        var control = PortControl(
            socket: SocketID(1),
            router: ScriptedRouter.control,
            isIPv6: false,
            local: ScriptedRouter.local
        )
        control.isOpen = true
        control.ask(.remove(lease: 0, .pcp), [1], tries: 2, at: .zero)
        control.ask(.map(lease: 0, .pcp), [2], tries: 2, at: .zero)
        control.ask(.map(lease: 1, .pcp), [3], tries: 2, at: .zero)
        let before = [control.due(at: .zero)?.send, control.due(at: .zero)?.send, control.due(at: .zero)?.send]
        #expect(before == [[1], [3], nil])
        let isOver = control.finish(.remove(lease: 0, .pcp))
        let after = control.due(at: .zero)?.send
        #expect(isOver && after == [2])
    }
}
