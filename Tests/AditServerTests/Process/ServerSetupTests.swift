// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import Testing

struct ServerSetupTests {
    @Test func aServerThatWasNeverSetUpGivesNamesUnderLocalhost() {
        let setup = ServerSetup(ServerConfiguration())
        #expect(setup.relaysSessions && setup.turn != nil)
        #expect(setup.domain == "localhost")
        #expect(setup.token == nil)
        #expect(setup.publicPorts.description == "20000-20999")
    }

    @Test func whoRelaysNothingDoesSoNeitherByTURNNorThroughSessions() {
        var file = ServerConfiguration()
        file.relay = false
        let setup = ServerSetup(file)
        #expect(!setup.relaysSessions && setup.turn == nil && setup.stun != nil)
        #expect(ServerSetup(FRPServerConfiguration(), token: "x").relaysSessions)
    }

    @Test func theFileGoesBeforeWhatInitSettled() {
        var file = ServerConfiguration()
        let settled = ServerSettings(domain: "old.example", publicHost: "203.0.113.7")
        #expect(ServerSetup(file, settings: settled).domain == "old.example")
        #expect(ServerSetup(file, settings: settled).publicHost == "203.0.113.7")
        file.domain = "New.example"
        #expect(ServerSetup(file, settings: settled).domain == "new.example")
        // A server that was set up without a domain has none: its web tunnels get ports.
        #expect(ServerSetup(ServerConfiguration(), settings: ServerSettings(publicHost: "203.0.113.7")).domain == nil)
    }

    @Test func anEmptyTokenIsNoTokenExceptInTheRoleOfFrps() {
        var file = ServerConfiguration()
        file.token = ""
        #expect(ServerSetup(file).token == nil)
        let frps = ServerSetup(FRPServerConfiguration(), token: "")
        #expect(frps.token == "")
        #expect(frps.allowsEmptyToken)
        #expect(!ServerSetup(FRPServerConfiguration(), token: "secret").allowsEmptyToken)
    }

    @Test func anAddressThatCannotBeReadNeverMeansEveryAddress() {
        var file = FRPServerConfiguration()
        #expect(ServerSetup(file, token: "x").listen.isUnspecified)
        file.bindAddr = "not an address"
        file.proxyBindAddr = "neither"
        #expect(ServerSetup(file, token: "x").listen.isLoopback)
        #expect(ServerSetup(file, token: "x").tunnelListen.isLoopback)
        #expect(ServerSetup.address("") == .v4(0))
        #expect(ServerSetup.address("localhost")?.isLoopback == true)
        #expect(ServerSetup.address("example.com") == nil)
    }

    @Test func domainsAreStoredInOneSpelling() {
        #expect(ServerSettings.domain(reading: "Tunnel.Example.COM.") == "tunnel.example.com")
        for text in ["", "*.example.com", "http://example.com", "example.com:80", "203.0.113.7", "::1", "a b"] {
            #expect(ServerSettings.domain(reading: text) == nil, "\(text)")
        }
    }
}
