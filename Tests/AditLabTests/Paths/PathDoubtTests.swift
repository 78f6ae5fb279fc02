// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Paths that go silent")
struct PathDoubtTests {
    /// Which packets between the two sites are lost.
    private enum Loss: CaseIterable, Sendable {
        case both, toA, toB
    }

    private func lose(_ loss: Loss, on stage: PathStage) {
        let outside = SiteName.allCases.map { stage.world.boxes[$0]?.last?.externalAddresses.first }
        stage.world.internet.loses = { source, destination in
            let isToB = source.address == outside[0] && destination.address == outside[1]
            let isToA = source.address == outside[1] && destination.address == outside[0]
            switch loss {
            case .both: return isToA || isToB
            case .toA: return isToA
            case .toB: return isToB
            }
        }
    }

    @Test(
        "Payload goes on within half a second of a silence, and the path is given up within five",
        arguments: Loss.allCases
    )
    private func silence(loss: Loss) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(6)
        let heals = breaks + .seconds(20)
        let talk = try PathTalk.play("port", "port", for: .seconds(60)) { stage in
            stage.lab.after(breaks - .zero) { lose(loss, on: stage) }
            stage.lab.after(heals - .zero) { stage.world.internet.loses = nil }
        }
        for site in SiteName.allCases {
            #expect(talk.kind(of: site, at: breaks) == .direct(.udp))
            #expect(talk.longestGap(at: site, from: breaks + .seconds(-2), to: heals) < .milliseconds(700))
            #expect(talk.kind(of: site, at: heals) == .relayed(.udp))
            if loss == .both { #expect(talk.kind(of: site, at: breaks + .seconds(5)) == .relayed(.udp)) }
            // Back on the direct path soon after it answers again, without a gap.
            #expect(talk.kind(of: site, at: heals + .seconds(3)) == .direct(.udp))
            #expect(talk.longestGap(at: site, from: heals, to: heals + .seconds(20)) < .milliseconds(200))
        }
        // Both carried everything only while it was not known which one works.
        #expect(talk.copies < 2000)
    }

    @Test("A silent connection is given up within five seconds, but not while TCP may still repeat what was lost")
    private func silentConnection() throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(6)
        let heals = breaks + .seconds(20)
        let nat = "udp=blocked,tcp=port"
        let talk = try PathTalk.play(nat, nat, for: .seconds(60), relays: [.tcp]) { stage in
            stage.lab.after(breaks - .zero) { lose(.both, on: stage) }
            stage.lab.after(heals - .zero) { stage.world.internet.loses = nil }
        }
        for site in SiteName.allCases {
            for after in [0, 3] {
                #expect(talk.kind(of: site, at: breaks + .seconds(after)) == .direct(.tcp))
            }
            #expect(talk.kind(of: site, at: breaks + .seconds(5)) == .relayed(.tcp))
            // What went on the connection alone, before it was in doubt, comes when TCP repeats it.
            let doubt = breaks + .milliseconds(500)
            #expect(talk.longestGap(at: site, from: doubt, to: heals) < .milliseconds(200))
            #expect(talk.kinds[site]?.last?.kind == .direct(.tcp))
        }
    }

    @Test(
        "Where nothing stands by, it is known within a second and a half that packets may go nowhere",
        arguments: [[], [PathRelayTransport.udp]]
    )
    private func nothingStandsBy(relays: [PathRelayTransport]) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(9)
        let talk = try PathTalk.play("port", "port", for: .seconds(14), relays: relays) { stage in
            stage.lab.after(breaks - .zero) { stage.world.internet.loses = { _, _ in true } }
        }
        for site in SiteName.allCases {
            let doubts = talk.times(at: site, of: .doubtful)
            #expect(doubts.contains { $0 < breaks + .milliseconds(1500) })
            #expect(!doubts.contains { $0 > breaks + .seconds(-5) && $0 < breaks })
            // From then on each one is, until the path is given up.
            let lost = try #require(talk.kinds[site]?.first { $0.at > breaks })
            #expect(talk.times(at: site, of: .sent).allSatisfy { $0 < breaks + .milliseconds(1500) })
            #expect(lost.at < breaks + .seconds(5))
        }
    }

    @Test("A path that nobody uses is given up within five seconds too", arguments: UInt64(1)...12)
    private func idle(seed: UInt64) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(9)
        let silence = breaks + .seconds(-4)..<breaks + .seconds(60)
        let talk = try PathTalk.play("port", "addr", seed: seed, pause: silence, for: .seconds(20)) { stage in
            stage.lab.after(breaks - .zero) { lose(.both, on: stage) }
        }
        for site in SiteName.allCases {
            #expect(talk.kind(of: site, at: breaks + .milliseconds(5100)) == .relayed(.udp))
            // An end that followed the other one to the relay does not go back before the path has answered.
            #expect(talk.kinds[site]?.last?.kind == .relayed(.udp))
            #expect(talk.kinds[site]?.filter { $0.at > breaks && $0.kind == .direct(.udp) }.isEmpty == true)
        }
    }

    @Test("A connection that nobody uses is given up within five seconds too", arguments: UInt64(1)...12)
    private func idleConnection(seed: UInt64) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(9)
        let silence = breaks + .seconds(-4)..<breaks + .seconds(60)
        let nat = "udp=blocked,tcp=port"
        let talk = try PathTalk.play(nat, nat, seed: seed, pause: silence, for: .seconds(20), relays: [.tcp]) { stage in
            stage.lab.after(breaks - .zero) { lose(.both, on: stage) }
        }
        for site in SiteName.allCases {
            for after in [0, 3] {
                #expect(talk.kind(of: site, at: breaks + .seconds(after)) == .direct(.tcp))
            }
            #expect(talk.kind(of: site, at: breaks + .milliseconds(5100)) == .relayed(.tcp))
        }
    }

    @Test(
        "Ends that only signals reach do not make each other begin anew for ever",
        arguments: ["port", "sym", "udp=blocked,tcp=sym"]
    )
    private func signalsAlone(nat: String) throws {
        let talk = try PathTalk.play(nat, nat, for: .seconds(120)) { stage in
            stage.lab.after(.seconds(10)) { stage.world.internet.loses = { _, _ in true } }
        }
        for site in SiteName.allCases { #expect(talk.kinds[site]?.last?.kind == PathKind.none) }
        #expect(talk.stage.post.count < 250)
    }

    @Test(
        "A line that fails for minutes is followed by a path and by no more signals than it takes",
        arguments: [("port", "adm"), ("adm", "port"), ("port", "port-r"), ("sym", "adm"), ("addr", "seq")],
        UInt64(1)...4
    )
    private func outage(sites: (String, String), seed: UInt64) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(80)
        let talk = try PathTalk.play(
            sites.0,
            sites.1,
            seed: seed,
            pause: Instant.zero + .seconds(6)..<breaks + .seconds(450),
            for: .seconds(600)
        ) { stage in
            let outside = stage.world.boxes[.b]?.last?.externalAddresses.first
            stage.lab.after(breaks - .zero) {
                stage.world.internet.loses = { $0.address == outside || $1.address == outside }
            }
            stage.lab.after(breaks - .zero + .seconds(300)) { stage.world.internet.loses = nil }
        }
        #expect(talk.stage.post.count < 400, "\(talk.stage.post.count)")
        for site in SiteName.allCases {
            #expect(talk.kinds[site]?.last?.kind.isUsable == true, "\(talk.kinds[site]?.suffix(6) ?? [])")
            let end = breaks + .seconds(500)
            #expect(talk.longestGap(at: site, from: breaks + .seconds(480), to: end) < .milliseconds(700))
        }
    }

    @Test(
        "Both ends of a connection agree on it again after a silence that one of them gave it up for",
        arguments: [28, 32, 36, 40, 44, 48, 56, 68, 80, 100]
    )
    private func silenceOfTheLength(tenths: Int) throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(6)
        let nat = "udp=blocked,tcp=port"
        for seed in UInt64(1)...2 {
            let talk = try PathTalk.play(nat, nat, seed: seed, for: .seconds(75), relays: [.tcp]) { stage in
                stage.lab.after(breaks - .zero) { lose(.both, on: stage) }
                stage.lab.after(breaks - .zero + .milliseconds(100 * tenths)) { stage.world.internet.loses = nil }
            }
            for site in SiteName.allCases {
                #expect(talk.kind(of: site, at: breaks) == .direct(.tcp))
                #expect(talk.kinds[site]?.last?.kind == .direct(.tcp), "\(seed): \(talk.kinds[site]?.suffix(4) ?? [])")
            }
        }
    }

    @Test("A short silence changes nothing")
    private func hiccup() throws {
        let breaks = Instant.zero + PathPlay.preparation + .seconds(6)
        let talk = try PathTalk.play("port", "port", for: .seconds(20)) { stage in
            stage.lab.after(breaks - .zero) { lose(.both, on: stage) }
            stage.lab.after(breaks - .zero + .milliseconds(1200)) { stage.world.internet.loses = nil }
        }
        for site in SiteName.allCases {
            #expect(talk.kind(of: site, at: breaks + .seconds(14)) == .direct(.udp))
            #expect(talk.longestGap(at: site, from: breaks, to: breaks + .seconds(10)) < .milliseconds(700))
        }
    }

    @Test("A path that loses a tenth is kept, and hardly anything is sent twice")
    private func lossy() throws {
        let begin = Instant.zero + PathPlay.preparation + .seconds(6)
        var random = SeededGenerator(seed: 5)
        let talk = try PathTalk.play("port", "port", for: .seconds(60)) { stage in
            stage.lab.after(begin - .zero) { stage.world.internet.loses = { _, _ in random.next() % 10 == 0 } }
        }
        for site in SiteName.allCases { #expect(talk.kind(of: site, at: begin + .seconds(50)) == .direct(.udp)) }
        #expect(talk.copies < 200)
    }
}
