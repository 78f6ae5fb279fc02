// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import ArgumentParser
import Testing

@testable import adit

@Suite struct MapScreenTests {
    private let order = PortMapOrder(port: 25565, isTCP: false)
    private let time = ScreenTime(seconds: 1_700_000_000, clock: "14:02:11")

    private func mapping(
        _ verification: PortMappingVerification = .verified(by: IPEndpoint(.v4(0xC633_6407), 3479), isAlternate: true),
        double: PortMappingDoubleNAT? = nil,
        renewals: Int = 0
    ) -> PortMapping {
        PortMapping(
            wish: order.wishes[0],
            inside: IPEndpoint(.v4(0xC0A8_0102), 25565),
            external: IPEndpoint(.v4(0xCB00_7109), 25565),
            protocol: .pcp,
            router: .v4(0xC0A8_0101),
            lifetime: .seconds(7200),
            renewals: renewals,
            verification: verification,
            doubleNAT: double
        )
    }

    @Test func theFirstLineIsTheAddress() {
        var screen = MapScreen(order: order, style: ScreenStyle(), isJSON: false)
        let lines = screen.lines(.mapped(mapping()), at: time)
        #expect(lines.first == "203.0.113.9:25565 → localhost:25565  udp")
        #expect(lines[1] == "  ✓ verified from outside by 198.51.100.7:3479")
        #expect(lines[2] == "  router 192.168.1.1 by PCP, for 2 h and renewed, until Ctrl-C")
        #expect(screen.lines(.renewed(mapping(renewals: 1)), at: time).first?.contains("renewed for 2 h") == true)
        #expect(screen.end(nil, unconfirmed: [], at: time) == ["  14:02:11  ✓ closed again at the router"])
        #expect(screen.end(nil, unconfirmed: [mapping()], at: time).first?.contains("did not confirm") == true)
    }

    @Test func bothLanguagesAreSpoken() {
        var screen = MapScreen(order: order, style: ScreenStyle(language: .chinese), isJSON: false)
        let lines = screen.lines(.mapped(mapping(.notChecked(.portInUse))), at: time)
        #expect(lines[1] == "  ! 未验证：本机已有程序在使用该端口")
        for loss in [PortMappingLoss.expired, .routerRestarted, .takenAway, .networkChanged, .unreachable] {
            #expect(screen.lines(.lost(mapping(), loss), at: time).first?.contains("正在重新申请") == true)
        }
    }

    @Test func programsGetOneObjectALine() {
        var screen = MapScreen(order: order, style: ScreenStyle(), isJSON: true)
        let line = screen.lines(.mapped(mapping()), at: time).first ?? ""
        #expect(line.hasPrefix("{\"event\":\"mapped\",\"time\":1700000000,\"address\":\"203.0.113.9:25565\""))
        #expect(line.contains("\"verified\":true") && line.contains("\"verifiedBy\":\"198.51.100.7:3479\""))
        #expect(line.contains("\"protocol\":\"pcp\"") && line.contains("\"lifetimeSeconds\":7200"))
    }

    @Test func nothingToKeepIsAnEnd() {
        var screen = MapScreen(order: order, style: ScreenStyle(), isJSON: false)
        _ = screen.lines(.unavailable(.noAnswer(router: .v4(0xC0A8_0101))), at: time)
        #expect(screen.problem?.code == .routerSilent)
    }

    @Test func whatWasOpenIsWaitedFor() {
        var screen = MapScreen(order: order, style: ScreenStyle(), isJSON: false)
        _ = screen.lines(.mapped(mapping()), at: time)
        _ = screen.lines(.lost(mapping(), .expired), at: time)
        let lines = screen.lines(.unavailable(.noAnswer(router: .v4(0xC0A8_0101))), at: time)
        #expect(lines.first?.contains("ADIT-711") == true)
        #expect(screen.problem == nil)
    }

    @Test func oneOfTwoTransportsIsEnough() {
        let both = PortMapOrder(port: 25565)
        var screen = MapScreen(order: both, style: ScreenStyle(), isJSON: false)
        let refusal = PortMappingRefusal(.upnp, .notAuthorized)
        _ = screen.lines(.unavailable(.refused(both.wishes[1], [refusal])), at: time)
        #expect(screen.problem == nil)
        _ = screen.lines(.unavailable(.refused(both.wishes[0], [refusal])), at: time)
        #expect(screen.problem?.code == .routerRefused)
    }

    @Test func flagsBecomeAnOrder() throws {
        let command = try MapCommand.parse(["25565", "--udp", "--external", "25570", "--lifetime", "10m", "--exact"])
        let order = try command.order()
        #expect(
            order
                == PortMapOrder(
                    port: 25565,
                    isTCP: false,
                    external: 25570,
                    isExact: true,
                    lifetime: 600
                )
        )
        #expect(try MapCommand.parse(["25565"]).order().wishes.count == 2)
        #expect(throws: AditError.self) { try MapCommand.parse(["22"]).order() }
        #expect(try MapCommand.parse(["22", "--public"]).order().port == 22)
        for wrong in [["0"], ["1", "--lifetime", "3s"], ["1", "--lifetime", "2d"], ["1", "--external", "0"]] {
            #expect(throws: (any Error).self) { try MapCommand.parse(wrong).order() }
        }
        #expect(throws: (any Error).self) { try MapCommand.parse(["1", "--by", "igd"]) }
    }
}
