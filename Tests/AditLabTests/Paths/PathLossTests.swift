// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Paths although packets are lost")
struct PathLossTests {
    @Test(
        "A relayed path is not taken for a direct one before the peer has told of it",
        arguments: ["adm/adf/keep", "adm", "adm/adf/block", "apdm/adf/keep", "apdm/adf/random", "apdm/adf/block"]
    )
    func relayedAtFirst(a: String) throws {
        let scenario = try PathScenario(a, "eim/apdf/block").losing(0.05)
        let outcome = try PathPlay(scenario).run(seed: LabSeed(3))
        #expect(outcome.kind != .none, "\(outcome.sentences.map(\.english))")
        #expect(outcome.isAgreed)
    }

    @Test("A NAT may give the peer a port on which others have a service", arguments: ["adm", "adm/apdf/random"])
    func unlikelyPort(b: String) throws {
        // With this seed B's router gives it CoAP's port towards A.
        let outcome = try PathPlay(try PathScenario("adm/eif/keep", b).losing(0.05)).run(seed: LabSeed(151))
        #expect(outcome.kind == .direct(.udp), "\(outcome.sentences.map(\.english))")
        #expect(outcome.sides[.a]?.report?.remoteEndpoint?.port == 5683)
    }
}
