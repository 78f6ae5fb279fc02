// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditCrypto
package import AditTraversal
internal import AditWire

/// Plays a scenario of paths: two path finders behind their NATs, a server with STUN and a relay, and messages between the
/// devices, all in virtual time.
package struct PathPlay: Sendable {
    /// What is played.
    package var scenario: PathScenario
    /// Whether the outcome tells each step.
    package var tellsSteps = false
    /// The longest play in virtual time, counted from the moment at which A begins.
    package var limit = Duration.seconds(60)
    /// How much longer the lab runs when all is decided.
    package var linger = Duration.zero

    /// How long devices that keep their mappings open have for it before they begin.
    package static let preparation = Duration.seconds(2)

    /// Makes a play.
    package init(_ scenario: PathScenario, tellsSteps: Bool = false) {
        self.scenario = scenario
        self.tellsSteps = tellsSteps
    }

    /// Plays it once.
    package func run(seed: LabSeed) throws(LabFailure) -> PathOutcome {
        try run(seed: seed) { _, _ in }
    }

    /// Plays it once, and hands the stage out before it begins (`isOver` is false) and after it has ended, for hostile plays
    /// and captures.
    package func run(
        seed: LabSeed,
        _ visit: (_ stage: PathStage, _ isOver: Bool) -> Void
    ) throws(LabFailure) -> PathOutcome {
        try Lab.play(seed: seed) { (lab: Lab) throws(LabFailure) -> PathOutcome in
            lab.dropLimit = 0
            let stage = PathStage(scenario, in: lab, tellsSteps: tellsSteps)
            visit(stage, false)
            if scenario.isReady { try lab.run(for: Self.preparation) }
            stage.begin()
            _ = try lab.run(for: limit) { stage.isDecided }
            stage.close()
            if linger > .zero { try lab.run(for: linger) }
            visit(stage, true)
            return stage.outcome(seed: seed)
        }
    }
}

/// The devices, the server and the record of one play of paths.
package final class PathStage {
    /// The internet.
    package let world: LabWorld
    /// The lab.
    package let lab: Lab
    /// What carries messages between the devices.
    package let post: SignalPost
    /// The path finders.
    package private(set) var finders: [SiteName: LabMachine<PathFinder>] = [:]
    /// Hosts that take no part, and must not hear anything.
    package private(set) var strangers: [LabStranger] = []
    /// Called with each event of a device.
    package var onEvent: ((PathEvent, SiteName) -> Void)?

    /// Whether both ends have said their last word, and the same.
    package private(set) var isDecided = false

    private let scenario: PathScenario
    private let tellsSteps: Bool
    private var sides: [SiteName: PathSideOutcome] = [.a: PathSideOutcome(), .b: PathSideOutcome()]
    private var talks: [SiteName: Talk] = [.a: Talk(), .b: Talk()]
    private var startedAt: Instant?
    private var sentBefore: [SiteName: Int] = [:]
    private var isClosed = false

    /// The data that a device sends on its path: what it has, and what it has heard.
    private struct Talk {
        /// 0 for no path, 1 for a relayed one, 2 for a direct one.
        var stage: UInt8 = 0
        var heard: UInt8 = 0
        /// The highest stage of this device that the peer has heard.
        var acknowledged: UInt8 = 0
        var isTalking = false
    }

    /// The secret that the server makes credentials with.
    private static let secret = TURNSecret(Array("a secret of the lab only".utf8))
    private static let realm = "adit"
    /// How often data is sent until the peer says that it came.
    private static let talkInterval = Duration.milliseconds(20)

    init(_ scenario: PathScenario, in lab: Lab, tellsSteps: Bool) {
        self.scenario = scenario
        self.lab = lab
        self.tellsSteps = tellsSteps
        world = LabWorld(scenario.base, in: lab)
        world.addIPv6(scenario.ipv6)
        post = SignalPost(scenario, in: lab)
        let turn = world.server.run(
            TURNServer(
                STUNServer.Sockets(
                    address: LabWorld.serverAddress,
                    alternateAddress: LabWorld.serverAlternateAddress,
                    alternatePort: 3479
                ),
                relay: TURNRelayConfiguration(
                    realm: Self.realm,
                    secrets: [Self.secret],
                    relayAddresses: [LabWorld.serverAddress],
                    software: nil
                ),
                random: lab.generator(for: 7 << 32)
            )
        )
        for site in SiteName.allCases {
            // What the server says at login.
            let nonce = publicAddress(of: site).map { address in
                turn.machine.relay.nonce(for: Self.credentials(of: site).username, from: address, at: lab.now)
            }
            addFinder(site, nonce: nonce)
        }
    }

    /// The name of a device.
    package static func device(_ site: SiteName) -> PathPeerID {
        PathPeerID(name: site.rawValue, key: "SHA256:\(site.rawValue)")
    }

    private static func credentials(of site: SiteName) -> TURNCredentials {
        secret.credentials(device: site.rawValue, expiry: 4_000_000_000)
    }

    /// What the server offers a device, with a nonce of its relay where the device's address is known.
    package static func server(for site: SiteName, _ scenario: PathScenario, nonce: String? = nil) -> PathServer {
        let endpoints = [
            IPEndpoint(LabWorld.serverAddress, 3478), IPEndpoint(LabWorld.serverAddress, 3479),
            IPEndpoint(LabWorld.serverAlternateAddress, 3478), IPEndpoint(LabWorld.serverAlternateAddress, 3479),
        ]
        let credentials = credentials(of: site)
        return PathServer(
            stun: endpoints,
            stunTCP: endpoints,
            turn: scenario.relays.map { transport in
                TURNClientConfiguration(
                    server: endpoints[0],
                    transport: transport == .udp ? .udp : .tcp,
                    username: credentials.username,
                    password: credentials.password,
                    realm: nonce.map { _ in realm },
                    nonce: nonce
                )
            }
        )
    }

    /// Adds a host with a public address that takes no part, and counts what comes to it.
    package func addStranger(_ address: IPAddress) -> LabStranger {
        let stranger = LabStranger("stranger \(strangers.count + 1)", lab)
        guard case .v4(let number) = address else { preconditionFailure("strangers have IPv4 addresses") }
        let line = lab.link(latency: scenario.base.latency / 2, name: stranger.name)
        stranger.attach(to: line, InterfaceAddress(address, prefixLength: 30))
        let router = IPAddress.v4(number ^ 3)
        world.internet.attach(to: line, InterfaceAddress(router, prefixLength: 30))
        stranger.defaultRoute(via: router)
        strangers.append(stranger)
        return stranger
    }

    // MARK: The devices

    private func addFinder(_ site: SiteName, nonce: String?) {
        guard let host = world.hosts[site] else { return }
        let configuration = PathConfiguration(
            ownID: Self.device(site),
            policy: scenario.policy(of: site),
            tactics: scenario.tactics,
            server: Self.server(for: site, scenario, nonce: nonce),
            network: host.network,
            isQuiet: scenario.quiet.contains(site),
            staysReady: scenario.isReady
        )
        let random = lab.generator(for: 5 << 32 | (site == .a ? 0 : 1))
        let finder = host.run(PathFinder(configuration, random: random)) { [unowned self] event in
            note(event, site)
        }
        finders[site] = finder
        post.deliver(to: Self.device(site)) { [unowned self] signal, sender in
            let address = scenario.vouches ? publicAddress(of: site.other) : nil
            finders[site]?.update { $0.receive(signal, from: sender, seenAt: address, at: lab.now) }
        }
        guard scenario.knowsNAT else { return }
        let report = NATReport(
            scenario.base.boxes(of: site),
            address: publicAddress(of: site),
            hasIPv6: scenario.ipv6.contains(site),
            opensPorts: scenario.openers.contains(site)
        )
        finder.update { $0.note(report, at: lab.now) }
    }

    /// As what the server sees a device.
    private func publicAddress(of site: SiteName) -> IPAddress? {
        let isTranslated = scenario.base.boxes(of: site).contains(where: \.translates)
        return isTranslated ? world.boxes[site]?.last?.externalAddresses.first : world.hosts[site]?.address()
    }

    func begin() {
        startedAt = lab.now
        for site in SiteName.allCases { sentBefore[site] = world.hosts[site]?.sentCount }
        lab.after(scenario.base.lateness) { [unowned self] in
            finders[.a]?.update { $0.connect(Self.device(.b), at: lab.now) }
        }
    }

    /// Ends the talking, so that what follows is what the finders do alone.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for site in SiteName.allCases {
            sides[site]?.report = finders[site]?.machine.report(of: Self.device(site.other))
            let sent = (world.hosts[site]?.sentCount ?? 0) - (sentBefore[site] ?? 0)
            sides[site]?.packetCount = sent
            if let box = world.boxes[site]?.last {
                sides[site]?.flowCount = box.flowCount(.udp) + box.flowCount(.tcp)
            }
        }
    }

    private var age: Duration { lab.now - (startedAt ?? lab.now) }

    private func note(_ event: PathEvent, _ site: SiteName) {
        onEvent?(event, site)
        defer { isDecided = isDecided || decides() }
        switch event {
        case .signal(let signal, let peer): post.carry(signal, from: Self.device(site), to: peer)
        case .changed(let report, _): changed(report, site)
        case .received(let batch, _): for packet in batch.packets { heard(packet, site) }
        case .wantsPort(let port, let transport): openPort(port, transport, site)
        case .ended(_, let failure): sides[site]?.failure = failure
        case .trace(let trace, _):
            if tellsSteps, (sides[site]?.traces.count ?? 0) < 4096 { sides[site]?.traces.append(trace) }
        case .roundTrip, .moved: break
        }
    }

    private func changed(_ report: PathReport, _ site: SiteName) {
        guard !isClosed else { return }
        sides[site]?.report = report
        let stage: UInt8
        switch report.kind {
        case .none: stage = 0
        case .relayed:
            stage = 1
            if sides[site]?.relayedAt == nil { sides[site]?.relayedAt = age }
        case .direct:
            stage = 2
            if sides[site]?.directAt == nil { sides[site]?.directAt = age }
        }
        talks[site]?.stage = stage
        if stage > 0, talks[site]?.isTalking == false { talk(site) }
    }

    private func talk(_ site: SiteName) {
        guard !isClosed, let own = talks[site], own.stage > 0, own.acknowledged < own.stage else {
            talks[site]?.isTalking = false
            return
        }
        talks[site]?.isTalking = true
        say(site)
        lab.after(Self.talkInterval) { [unowned self] in talk(site) }
    }

    private func say(_ site: SiteName) {
        guard let own = talks[site] else { return }
        let bytes = [0xAD, own.stage, own.heard]
        finders[site]?.update { _ = $0.send(PacketBatch(bytes), to: Self.device(site.other), at: lab.now) }
    }

    private func heard(_ bytes: [UInt8], _ site: SiteName) {
        guard !isClosed, bytes.count == 3, bytes[0] == 0xAD else { return }
        if sides[site]?.firstByteAt == nil { sides[site]?.firstByteAt = age }
        if bytes[1] == 2, sides[site]?.directByteAt == nil { sides[site]?.directByteAt = age }
        var talk = talks[site] ?? Talk()
        let before = talk.heard
        talk.heard = max(before, bytes[1])
        talk.acknowledged = max(talk.acknowledged, bytes[2])
        talks[site] = talk
        // What is heard for the first time is acknowledged; the answer needs no answer.
        if bytes[1] > bytes[2] || bytes[1] > before { say(site) }
    }

    private func openPort(_ port: UInt16, _ transport: ICETransport, _ site: SiteName) {
        guard scenario.openers.contains(site), let host = world.hosts[site], let inside = host.address(),
            let boxes = world.boxes[site], boxes.count == 1, let outside = boxes[0].externalAddresses.first
        else { return }
        let external = IPEndpoint(outside, port)
        lab.after(.milliseconds(2)) { [unowned self] in
            let isOpen = boxes[0].addMapping(
                transport == .udp ? .udp : .tcp,
                external: external,
                internal: IPEndpoint(inside, port)
            )
            guard isOpen else { return }
            finders[site]?.update { $0.note(mapped: external, transport: transport, internalPort: port, at: lab.now) }
        }
    }

    // MARK: The end

    private func decides() -> Bool {
        guard let a = sides[.a], let b = sides[.b] else { return false }
        if a.failure != nil, b.failure != nil || b.report == nil { return true }
        guard let one = a.report, let other = b.report, one.reason.isFinal, one.reason == other.reason else {
            return false
        }
        switch (one.kind, other.kind) {
        case (.direct, .direct): return a.directByteAt != nil && b.directByteAt != nil
        case (.relayed, .relayed): return a.firstByteAt != nil && b.firstByteAt != nil
        // Where a relay is wanted, none yet is not none at all.
        case (.none, .none): return SiteName.allCases.contains { scenario.policy(of: $0) == .directOnly }
        default: return false
        }
    }

    func outcome(seed: LabSeed) -> PathOutcome {
        var outcome = PathOutcome(scenario: scenario, seed: seed, sides: sides)
        outcome.signalCount = post.count
        outcome.strangerPackets = strangers.reduce(0) { $0 + $1.packetCount }
        return outcome
    }
}

extension PathReason {
    /// Whether nothing better is being looked for.
    package var isFinal: Bool {
        switch self {
        case .searching, .symmetricMeetsStrict(_, _, .running), .bothSymmetric(_, _, .running): false
        case .noRelay(_, let inner): inner.isFinal
        default: true
        }
    }
}

/// A host that takes no part in what is played, and counts what comes to it.
package final class LabStranger: LabHost {
    /// How many packets came.
    package private(set) var packetCount = 0
    /// How many bytes of IP they had.
    package private(set) var byteCount = 0

    override func input(_ packet: LabPacket, interface: Int?) {
        packetCount += 1
        byteCount += packet.length
    }
}
