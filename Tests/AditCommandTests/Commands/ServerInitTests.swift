// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

@testable import adit

@Suite("adit server init")
struct ServerInitTests {
    @Test("The lines for the firewall name every port that the server opens")
    func firewall() {
        #expect(
            ServerInitCommand.firewallLines(ServerConfiguration()) == [
                "TCP  7000 8080 8443 3478 3479 5349 20000-20999", "UDP  3478 3479 49152-65535 20000-20999",
            ]
        )
    }

    @Test("Relays' ports are named where there are relays")
    func relays() {
        var file = ServerConfiguration()
        file.turn.ports = 50000...50099
        #expect(ServerInitCommand.firewallLines(file)[1] == "UDP  3478 3479 50000-50099 20000-20999")
        file.turn.isOn = false
        #expect(ServerInitCommand.firewallLines(file)[1] == "UDP  3478 3479 20000-20999")
    }

    @Test("A port is named once, and STUN not where it is off")
    func shared() {
        var file = ServerConfiguration()
        file.sessionPort = 443
        file.httpsPort = 443
        file.httpPort = 80
        file.stun.isOn = false
        #expect(ServerInitCommand.firewallLines(file) == ["TCP  443 80 20000-20999", "UDP  20000-20999"])
    }
}
