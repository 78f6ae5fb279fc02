// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Two devices that send each other packets all the time, while the way between them breaks and heals.
final class PathTalk {
    let stage: PathStage
    /// When each packet of the other end first came, by its number.
    private(set) var arrivals: [SiteName: [Int: Instant]] = [.a: [:], .b: [:]]
    private(set) var sentAt: [Int: Instant] = [:]
    private(set) var copies = 0
    /// What became of each packet, by its number.
    private(set) var sendings: [SiteName: [Int: PathSending]] = [.a: [:], .b: [:]]
    private(set) var reasons: [SiteName: PathReason] = [:]
    private(set) var endpoints: [SiteName: [IPEndpoint]] = [:]
    private(set) var kinds: [SiteName: [(at: Instant, kind: PathKind)]] = [.a: [], .b: []]
    private var number = 0
    private var isTalking = true

    init(_ stage: PathStage, every interval: Duration = .milliseconds(20), pause: Range<Instant>? = nil) {
        self.stage = stage
        self.pause = pause
        self.interval = interval
        stage.onEvent = { [unowned self] event, site in note(event, site) }
    }

    private let interval: Duration
    /// When both are silent for a while.
    private let pause: Range<Instant>?

    func begin() {
        guard isTalking else { return }
        if let pause, pause.contains(stage.lab.now) {
            return stage.lab.after(pause.upperBound - stage.lab.now) { [unowned self] in begin() }
        }
        number += 1
        sentAt[number] = stage.lab.now
        let bytes = [0xAE, UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255), 0]
        for site in SiteName.allCases {
            let sending = stage.finders[site]?.update {
                $0.send(PacketBatch(bytes), to: PathStage.device(site.other), at: stage.lab.now)
            }
            sendings[site]?[number] = sending
        }
        stage.lab.after(interval) { [unowned self] in begin() }
    }

    func stop() { isTalking = false }

    private func note(_ event: PathEvent, _ site: SiteName) {
        switch event {
        case .received(let batch, _):
            for packet in batch.packets where packet.count == 5 && packet[0] == 0xAE {
                let number = Int(packet[1]) << 16 | Int(packet[2]) << 8 | Int(packet[3])
                if arrivals[site]?[number] == nil {
                    arrivals[site]?[number] = stage.lab.now
                } else {
                    copies += 1
                }
            }
        case .ended(let peer, _):
            kinds[site]?.append((stage.lab.now, .none))
            // As a device's process does.
            stage.lab.after(.seconds(20)) { [unowned self] in
                guard kinds[site]?.last?.kind.isUsable == false else { return }
                stage.finders[site]?.update { $0.connect(peer, at: stage.lab.now) }
            }
        case .changed(let report, _):
            reasons[site] = report.reason
            if let local = report.localEndpoint, endpoints[site, default: []].last != local {
                endpoints[site, default: []].append(local)
            }
            if kinds[site]?.last?.kind != report.kind { kinds[site]?.append((stage.lab.now, report.kind)) }
        default: break
        }
    }

    /// The longest time in which nothing that was sent arrived at a site.
    func longestGap(at site: SiteName, from: Instant, to: Instant) -> Duration {
        let sent = sentAt.filter { $0.value >= from && $0.value < to }
        let times = sent.keys.compactMap { arrivals[site]?[$0] }.sorted()
        var last = from
        var longest = Duration.zero
        for time in times {
            longest = max(longest, time - last)
            last = time
        }
        return longest
    }

    /// When a site sent packets of which something became.
    func times(at site: SiteName, of sending: PathSending) -> [Instant] {
        sendings[site, default: [:]].filter { $0.value == sending }.compactMap { sentAt[$0.key] }.sorted()
    }

    /// How a site's packets went at a moment.
    func kind(of site: SiteName, at moment: Instant) -> PathKind? {
        kinds[site]?.last { $0.at <= moment }?.kind
    }

    /// Plays two sites with data from a second after the start on, for so long after all is decided.
    static func play(
        _ a: String,
        _ b: String,
        seed: UInt64 = 3,
        every interval: Duration = .milliseconds(20),
        pause: Range<Instant>? = nil,
        for length: Duration,
        relays: [PathRelayTransport] = [.udp, .tcp],
        _ script: @escaping (PathStage) -> Void = { _ in }
    ) throws -> PathTalk {
        var play = PathPlay(try PathScenario(a, b).with { $0.relays = relays })
        play.linger = length
        var talk: PathTalk?
        _ = try play.run(seed: LabSeed(seed)) { stage, isOver in
            guard !isOver else { return }
            let made = PathTalk(stage, every: interval, pause: pause)
            talk = made
            stage.lab.after(PathPlay.preparation + .seconds(1)) { made.begin() }
            script(stage)
        }
        return try #require(talk)
    }
}
