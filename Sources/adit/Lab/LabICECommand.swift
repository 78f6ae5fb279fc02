// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import ArgumentParser
import FoundationEssentials
import NIOCore
import NIOPosix

/// `adit lab ice`
struct LabICECommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ice",
        abstract: "One side of ICE on this computer's addresses, for trying it against another implementation.",
        discussion: """
            Both sides of the signalling are JSON objects, one on a line. It writes {"ufrag":…,"password":…},
            {"candidate":"candidate:…"} for each of its own, {"done":true}, then what happens. It reads the same of the
            peer, and {"send":"text"}, {"measure":true}, {"restart":true}, {"quit":true}.
            """
    )

    /// Which of the two nominates.
    enum Role: String, CaseIterable, ExpressibleByArgument {
        case controlling
        case controlled
    }

    @Option(help: "Which side it begins as.")
    var role = Role.controlling

    @Option(
        help: ArgumentHelp("An address of this computer; those of its wires and radios without it.", valueName: "ip")
    )
    var address: [String] = []

    @Flag(help: "Over TCP too (RFC 6544).")
    var tcp = false

    @Flag(help: "The peer is Adit's: quicker, and the pair may change.")
    var adit = false

    /// A line of the peer's side.
    struct Line: Decodable {
        var ufrag: String?
        var password: String?
        var candidate: String?
        var done: Bool?
        var send: String?
        var measure: Bool?
        var restart: Bool?
        var quit: Bool?
    }

    func validate() throws {
        for text in address where IPAddress(text) == nil { throw ValidationError("\"\(text)\" is not an address") }
    }

    func run() async throws {
        var generator = SystemRandomNumberGenerator()
        let credentials = ICECredentials(using: &generator)
        let addresses = self.addresses()
        let configuration = ICEConfiguration(
            role: role == .controlling ? .controlling : .controlled,
            tieBreaker: generator.next(),
            local: credentials,
            timing: adit ? .adit : .standard,
            remoteFilter: ICEAddressFilter(own: addresses, allowsLoopback: addresses.contains(where: \.isLoopback)),
            renominates: adit
        )
        Self.tell(credentials)
        let driver = SocketMachineDriver(
            ICEPeer(configuration, addresses: addresses, usesTCP: tcp, random: generator),
            on: MultiThreadedEventLoopGroup.singleton.next()
        ) { LabICEWords.show($0) }
        driver.start()
        for await line in Self.lines() {
            guard let order = try? JSONDecoder().decode(Line.self, from: Data(line.utf8)) else {
                StandardStream.line(JSONLine(["error": .string("not a line of JSON that is understood")]).text)
                continue
            }
            if order.quit == true { break }
            driver.update { peer in Self.obey(order, &peer, at: Clock.monotonic.now()) }
        }
        try await driver.cancel().get()
    }

    private func addresses() -> [IPAddress] {
        if !address.isEmpty { return address.compactMap { IPAddress($0) } }
        return LocalNetwork.current().interfaces.filter { !$0.isVirtual }.flatMap(\.addresses)
            .filter { !$0.isLinkLocal }
    }

    private static func obey(_ order: Line, _ peer: inout ICEPeer, at now: Instant) {
        if order.restart == true {
            var generator = SystemRandomNumberGenerator()
            let credentials = ICECredentials(using: &generator)
            peer.tell(.restart(credentials), at: now)
            tell(credentials)
        }
        if let ufrag = order.ufrag, let password = order.password {
            if let credentials = ICECredentials(ufrag: ufrag, password: password) {
                peer.tell(.remoteCredentials(credentials), at: now)
            } else {
                complain("credentials")
            }
        }
        if let text = order.candidate {
            if let candidate = ICECandidate(text) {
                peer.tell(.remote(candidate), at: now)
            } else {
                complain("candidate")
            }
        }
        if order.done == true { peer.tell(.remoteDone, at: now) }
        if order.measure == true { peer.tell(.measure, at: now) }
        if let text = order.send, !peer.send(Array(text.utf8)) { complain("send") }
    }

    private static func complain(_ what: String) {
        StandardStream.line(JSONLine(["error": .string(what)]).text)
    }

    private static func tell(_ credentials: ICECredentials) {
        let line = JSONLine(["ufrag": .string(credentials.ufrag), "password": .string(credentials.password)])
        StandardStream.line(line.text)
    }

    /// The lines of standard input; its end is the end.
    private static func lines() -> AsyncStream<String> {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(4096))
        NIOThreadPool.singleton.submit { _ in
            while let line = readLine() { continuation.yield(line) }
            continuation.finish()
        }
        return lines
    }
}

/// What happens to an ICE peer, as lines of JSON.
enum LabICEWords {
    static func show(_ event: ICEPeer.Event) {
        StandardStream.line(line(event).text)
    }

    static func line(_ event: ICEPeer.Event) -> JSONLine {
        switch event {
        case .local(let candidate): JSONLine(["candidate": .string(candidate.description)])
        case .localDone: JSONLine(["done": .boolean(true)])
        case .payload(let bytes): JSONLine(["data": .string(String(decoding: bytes, as: UTF8.self))])
        case .ice(let event): line(event)
        }
    }

    private static func line(_ event: ICEEvent) -> JSONLine {
        switch event {
        case .valid(let pair): JSONLine(["valid": .object(words(pair))])
        case .selected(let pair): JSONLine(["selected": .object(words(pair))])
        case .roundTrip(let time, let pair):
            JSONLine([
                "roundTrip": .number(time.wholeNanoseconds / 1000), "pair": .object(words(pair)),
            ])
        case .roleChanged(let role): JSONLine(["role": .string(role == .controlling ? "controlling" : "controlled")])
        case .consentLost(let pair): JSONLine(["lost": .object(words(pair))])
        case .failed: JSONLine(["failed": .boolean(true)])
        }
    }

    /// Round trips are in microseconds.
    private static func words(_ pair: ICEPair) -> JSONLine {
        JSONLine([
            "local": .string(pair.local.description),
            "remote": .string(pair.remote.description),
            "nominated": .boolean(pair.isNominated),
            "roundTrip": pair.roundTrip.map { .number($0.wholeNanoseconds / 1000) },
        ])
    }
}
