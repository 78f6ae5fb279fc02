// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire
import Testing

@Suite("Carriers that end mappings at a fixed age")
struct PathRenewalTests {
    private static let end = Instant.zero + .seconds(200)
    private static let begin = Instant.zero + PathPlay.preparation + .seconds(3)

    @Test(
        "Once the age is known another socket takes over in time, without a gap; before, payload goes on within a second",
        arguments: [
            ("port-r,udp_to=50,timer=absolute", "port", PathKind.direct(.udp)),
            // The relay's mapping is as old as the direct path's.
            ("port", "port-r,udp_to=40,timer=absolute", .direct(.udp)),
            ("port-r,udp_to=50,timer=absolute", "port-r,udp_to=45,timer=absolute", .direct(.udp)),
            ("port,cgn=port-r,cgn_udp_to=50,cgn_timer=absolute", "port", .direct(.udp)),
            ("sym,udp_to=50,timer=absolute", "full", .direct(.udp)),
            // There is nothing but the relay.
            ("sym,udp_to=50,timer=absolute", "sym", .relayed(.udp)),
        ]
    )
    private func renews(a: String, b: String, kind: PathKind) throws {
        let talk = try PathTalk.play(a, b, every: .milliseconds(50), for: Self.end - .zero)
        for site in SiteName.allCases {
            #expect(talk.longestGap(at: site, from: Self.begin, to: Self.end) < .milliseconds(1200))
            #expect(talk.longestGap(at: site, from: .zero + .seconds(125), to: Self.end) < .milliseconds(300))
            #expect(talk.kinds[site]?.last?.kind == kind)
        }
        #expect(talk.reasons[.a] == talk.reasons[.b])
        #expect(talk.stage.post.count < 250)
    }

    @Test(
        "Connections that end without a word are replaced within five seconds",
        arguments: [
            ("udp=blocked,tcp=port,tcp_to=50,timer=absolute", "port"),
            ("udp=blocked,tcp=sym,tcp_to=50,timer=absolute", "udp=blocked,tcp=sym"),
        ]
    )
    private func connections(a: String, b: String) throws {
        let talk = try PathTalk.play(a, b, every: .milliseconds(50), for: Self.end - .zero)
        for site in SiteName.allCases {
            #expect(talk.longestGap(at: site, from: Self.begin, to: Self.end) < .seconds(5))
        }
        #expect(talk.stage.post.count < 250)
    }

    @Test("A NAT that forgets nothing gets no other socket")
    private func stays() throws {
        let talk = try PathTalk.play("port-r", "port", every: .milliseconds(50), for: Self.end - .zero)
        for site in SiteName.allCases { #expect(talk.endpoints[site]?.count == 1) }
        #expect(talk.copies < 10)
    }

    @Test("What comes in one piece on the socket that was replaced stays together")
    private func batches() throws {
        var former: IPEndpoint?
        var counts: [Int] = []
        var check: [UInt8] = []
        let id = STUNTransactionID(high: 1, low: 1)
        STUNMessage(.request, .binding, transactionID: id, attributes: [.padding(1176)]).encode(into: &check)
        let payload = [UInt8](repeating: 0xAD, count: 1200)
        let talk = try PathTalk.play(
            "port-r,udp_to=50,timer=absolute",
            "port",
            every: .milliseconds(50),
            for: .seconds(150)
        ) {
            stage in
            let note = stage.onEvent
            stage.onEvent = { event, site in
                note?(event, site)
                guard site == .a, let finder = stage.finders[.a], stage.lab.now > .zero + .seconds(110) else { return }
                switch event {
                case .received(let batch, _) where batch.segmentSize == 1200: counts.append(batch.count)
                case .changed(let report, _) where former == nil:
                    former = report.remoteEndpoint
                    guard let remote = former else { return }
                    stage.lab.after(.milliseconds(100)) {
                        for batch in [payload + payload, payload + check + payload] {
                            finder.update {
                                let batch = PacketBatch(bytes: batch, segmentSize: 1200)
                                for socket in 1...12 {
                                    $0.handle(
                                        .receivedBatch(SocketID(UInt32(socket)), batch, from: remote),
                                        at: stage.lab.now
                                    )
                                }
                            }
                        }
                    }
                default: break
                }
            }
        }
        #expect(former != nil)
        // On the old socket and on the new one; the check is not payload.
        #expect(counts == [2, 2, 1, 1, 1, 1])
        #expect(talk.kinds[.a]?.last?.kind == .direct(.udp))
    }
}
