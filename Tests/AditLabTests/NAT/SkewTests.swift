// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Two port-restricted sites that do not begin at the same time, as measured between kernels.
@Suite struct SkewTests {
    /// Both probe every 50 ms, the second one later by `skew`; whether both hear the other within three seconds.
    private func meet(_ unsolicited: NATBehavior.Unsolicited, skew: Duration, seed: UInt64) throws -> Bool {
        try Lab.play(seed: seed) { lab in
            let configuration = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
            let box = configuration.with { $0.unsolicited = unsolicited }
            let sites = TraversalTests.Sites(lab, [box, box])
            let heard = Box([false, false])
            for side in 0...1 {
                let socket = try #require(sites.hosts[side].openUDP(sites.inner[side]))
                // What comes from elsewhere than the known endpoint is answered too.
                socket.onDatagram = { [unowned socket] bytes, sender in
                    heard.value[side] = true
                    if bytes == [1] { socket.send([2], to: sender) }
                }
                for probe in 0..<60 {
                    lab.after((side == 1 ? skew : .zero) + .milliseconds(50 * probe)) { [unowned socket] in
                        socket.send([1], to: sites.outer[1 - side])
                    }
                }
            }
            try lab.run(for: .seconds(5))
            return heard.value == [true, true]
        }
    }

    @Test(arguments: [NATBehavior.Unsolicited.drop, .reset, .accept])
    func onlyARouterThatTakesTheEarlyPacketForItselfKeepsThemApart(_ unsolicited: NATBehavior.Unsolicited) throws {
        for seed: UInt64 in 1...5 {
            #expect(try meet(unsolicited, skew: .zero, seed: seed), "seed \(seed)")
            for skew in [Duration.milliseconds(100), .milliseconds(500), .milliseconds(1500)] {
                let met = try meet(unsolicited, skew: skew, seed: seed)
                #expect(met == (unsolicited != .accept), "seed \(seed), \(skew)")
            }
        }
    }
}
