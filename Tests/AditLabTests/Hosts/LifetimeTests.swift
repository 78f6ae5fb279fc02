// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What is left of a lab.
@Suite struct LifetimeTests {
    @Test func aLabThatWasPlayedIsGoneWithAllThatReferredToEachOther() throws {
        weak var lab: Lab?
        weak var node: LabHost?
        try Lab.play(seed: 1) { played in
            let bench = Bench(played, NATConfiguration(.endpointIndependent, .addressAndPortDependent))
            let socket = try #require(bench.inside.openUDP())
            // Closures of a scenario refer to all of it.
            socket.onDatagram = { _, _ in socket.send([UInt8(bench.lab.eventCount & 1)], to: endpoint("1.2.3.4:5")) }
            let listener = try #require(bench.server.listen(port: webPort))
            listener.onAccept = { connection in
                connection.onEvent = { _ in connection.write([bench.box.index == 0 ? 1 : 2]) }
            }
            let connection = try bench.inside.connect(to: endpoint("203.0.113.10:80")).get()
            connection.onEvent = { _ in connection.write([1]) }
            bench.server.serve(port: 81) { _ in .response(status: bench.core.index, fields: [], body: []) }
            played.after(.seconds(100)) { socket.close() }
            try played.run(for: .seconds(1))
            lab = played
            node = bench.box
        }
        #expect(lab == nil)
        #expect(node == nil)
    }
}
