// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("How large packets may be")
struct PathSizeTests {
    /// Plays two sites that talk, and how large their packets might be at the end of each second.
    private func sizes(
        _ a: String,
        _ b: String,
        relays: [PathRelayTransport] = [.udp, .tcp],
        talk seconds: Int = 20,
        _ script: @escaping (PathStage) -> Void = { _ in }
    ) throws -> (talk: PathTalk, sizes: [SiteName: [Int]]) {
        var sizes: [SiteName: [Int]] = [.a: [], .b: []]
        let talk = try PathTalk.play(a, b, for: .seconds(seconds), relays: relays) { stage in
            for second in 1...seconds {
                stage.lab.after(PathPlay.preparation + .seconds(second)) {
                    for site in SiteName.allCases {
                        let size = stage.finders[site]?.update {
                            $0.packetSize(to: PathStage.device(site.other), at: stage.lab.now)
                        }
                        sizes[site]?.append(size ?? 0)
                    }
                }
            }
            script(stage)
        }
        talk.stop()
        return (talk, sizes)
    }

    @Test(
        "Packets grow to what an Ethernet carries, and not beyond what the way does",
        arguments: [("port", 1452), ("port,mtu=1492", 1452), ("port,mtu=1479", 1200), ("addr,mtu=1280", 1200)]
    )
    func growth(site: String, size: Int) throws {
        let (talk, sizes) = try sizes(site, "port")
        for site in SiteName.allCases {
            #expect(talk.kinds[site]?.last?.kind == .direct(.udp))
            #expect(sizes[site]?.first == 1200)
            #expect(sizes[site]?.last == size)
            #expect(sizes[site]?.allSatisfy { $0 == 1200 || $0 == size } == true)
        }
    }

    @Test("What is relayed stays small, and what goes over TCP needs no asking")
    func others() throws {
        let relayed = try sizes("sym", "sym,pool=3")
        #expect(relayed.talk.kinds[.a]?.last?.kind.isDirect == false)
        #expect(relayed.sizes[.a]?.allSatisfy { $0 == 1200 } == true)
        let stream = try sizes("udp=blocked,tcp=port", "port")
        #expect(stream.talk.kinds[.a]?.last?.kind == .direct(.tcp))
        #expect(stream.sizes[.a]?.last == PathFinder.streamPacketSize)
    }

    @Test("A way that carries less than before is noticed within seconds, and the path stays")
    func shrinking() throws {
        let begin = Instant.zero + PathPlay.preparation
        let (talk, sizes) = try sizes("port", "port", talk: 30) { stage in
            stage.lab.after(PathPlay.preparation + .seconds(15)) {
                // Without a word, as where ICMP is filtered.
                for box in stage.world.boxes[.a] ?? [] {
                    for interface in box.interfaces {
                        interface.link.configuration.mtu = 1300
                        interface.link.configuration.isBlackHole = true
                    }
                }
            }
        }
        for site in SiteName.allCases {
            #expect(sizes[site]?[13] == 1452)
            #expect(sizes[site]?[22...].allSatisfy { $0 == 1200 } == true)
            #expect(talk.kinds[site]?.last?.kind == .direct(.udp))
            let gap = talk.longestGap(at: site, from: begin + .seconds(14), to: begin + .seconds(28))
            #expect(gap < .milliseconds(200))
        }
    }
}
