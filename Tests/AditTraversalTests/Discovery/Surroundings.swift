// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal

/// Reads an address that a test spells.
func address(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("not an address: \(text)") }
    return address
}

/// A value that closures of one test share.
final class Shared<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// A computer behind boxes, and STUN servers on the internet.
///
/// ```
/// computer 192.168.1.2 ─ box ─ (100.64.0.0/16 ─ carrier box) ─ core ┬ 203.0.113.10, .11  server with two addresses
///                                                                   └ 192.0.2.10         another server with one
/// ```
struct Surroundings {
    /// How the internet is.
    struct Weather {
        /// The share of packets that are lost one way, over the whole way.
        var loss = 0.0
        /// The way there and back.
        var roundTrip = Duration.milliseconds(40)
        var jitter = Duration.zero
        /// How many addresses the outermost box has.
        var poolSize = 1
        /// Whether the server has a second address and port.
        var hasAlternate = true
        var hasIPv6 = false
    }

    static let server = address("203.0.113.10")
    static let alternate = address("203.0.113.11")
    static let other = address("192.0.2.10")
    static let serverV6 = address("2001:db8:113::10")

    let lab: Lab
    let computer: LabHost
    let core: LabRouter
    let boxes: [LabNAT]
    let server: LabHost
    let other: LabHost

    init(_ lab: Lab, _ boxes: [NATConfiguration], _ weather: Weather = Weather()) {
        self.lab = lab
        computer = lab.host("computer")
        core = lab.router("core")
        server = lab.host("server")
        other = lab.host("other")
        let line = LinkConfiguration(
            latency: weather.roundTrip / 4,
            jitter: weather.jitter,
            loss: 1 - (1 - weather.loss).squareRoot()
        )
        func at(_ text: String) -> InterfaceAddress { InterfaceAddress(stringLiteral: text) }
        let far = lab.link(line, name: "far")
        core.attach(to: far, ["203.0.113.1/24", "2001:db8:113::1/64"])
        server.attach(to: far, ["203.0.113.10/24", "203.0.113.11/24", "2001:db8:113::10/64", "2001:db8:113::11/64"])
        server.defaultRoute(via: address("203.0.113.1"))
        server.defaultRoute(via: address("2001:db8:113::1"))
        let elsewhere = lab.link(line, name: "elsewhere")
        core.attach(to: elsewhere, "192.0.2.1/24")
        other.attach(to: elsewhere, "192.0.2.10/24")
        other.defaultRoute(via: address("192.0.2.1"))
        // From the internet inwards.
        var made: [LabNAT] = []
        var above: LabRouter = core
        var isInternet = true
        let names = ["home box", "carrier box", "outer box"]
        for (number, configuration) in boxes.enumerated().reversed() {
            let box = lab.nat(names[number], configuration)
            let link = isInternet ? lab.link(line, name: "line") : lab.link(latency: .microseconds(300))
            let net = isInternet ? "198.51.100" : "100.\(64 + number).0"
            above.attach(to: link, [at("\(net).1/24"), at("2001:db8:51:\(number)::1/64")])
            let pool = isInternet ? max(1, weather.poolSize) : 1
            let own = (0..<pool).map { at("\(net).\(2 + $0)/24") } + [at("2001:db8:51:\(number)::2/64")]
            box.attach(to: link, own, side: .outside)
            box.defaultRoute(via: address("\(net).1"))
            box.defaultRoute(via: address("2001:db8:51:\(number)::1"))
            above.route(at("2001:db8:1::/64"), via: address("2001:db8:51:\(number)::2"))
            let isPlain = Self.isPlain(configuration)
            if isPlain { above.route(at("198.18.1.0/24"), via: address("\(net).2")) }
            made.insert(box, at: 0)
            above = box
            isInternet = false
        }
        self.boxes = made
        let isPublic = boxes.first.map(Self.isPlain) ?? true
        let net = isPublic ? "198.18.1" : "192.168.1"
        let home = isInternet ? lab.link(line, name: "line") : lab.link(latency: .microseconds(200), name: "home")
        above.attach(to: home, [at("\(net).1/24"), at("2001:db8:1::1/64")])
        computer.attach(to: home, [at("\(net).2/24")] + (weather.hasIPv6 ? [at("2001:db8:1::2/64")] : []))
        computer.defaultRoute(via: address("\(net).1"))
        if weather.hasIPv6 { computer.defaultRoute(via: address("2001:db8:1::1")) }
    }

    private static func isPlain(_ configuration: NATConfiguration) -> Bool {
        [.firewall, .open].contains(configuration.udp.policy) || [.firewall, .open].contains(configuration.tcp.policy)
    }

    /// Runs the server with two addresses, or with one.
    func runServer(isRFC5780: Bool = true, alternatePort: UInt16? = 3479) {
        let sockets = STUNServer.Sockets(
            address: Self.server,
            alternateAddress: isRFC5780 ? Self.alternate : nil,
            alternatePort: alternatePort
        )
        server.run(STUNServer(sockets, seed: lab.seed.number))
    }

    /// Runs the server with one address of its own.
    func runOther() {
        other.run(STUNServer(STUNServer.Sockets(address: Self.other), seed: lab.seed.number &+ 1))
    }

    /// Runs the server over IPv6.
    func runServerV6() {
        let sockets = STUNServer.Sockets(
            address: Self.serverV6,
            alternateAddress: address("2001:db8:113::11"),
            alternatePort: 3479
        )
        server.run(STUNServer(sockets, seed: lab.seed.number &+ 2))
    }

    static let servers = [
        NATDiscovery.Configuration.Server(name: "server", endpoint: IPEndpoint(server, 3478)),
        NATDiscovery.Configuration.Server(name: "other", endpoint: IPEndpoint(other, 3478)),
    ]

    func configuration(
        _ servers: [NATDiscovery.Configuration.Server] = [servers[0]],
        extent: NATDiscovery.Configuration.Extent = .full
    ) -> NATDiscovery.Configuration {
        NATDiscovery.Configuration(servers: servers, network: computer.network, extent: extent)
    }

    /// Starts a discovery; its events gather.
    func start(_ configuration: NATDiscovery.Configuration) -> Shared<[NATDiscovery.Event]> {
        let events = Shared<[NATDiscovery.Event]>([])
        let discovery = NATDiscovery(configuration, random: lab.generator(for: 77))
        computer.run(discovery) { events.value.append($0) }
        return events
    }

    /// Runs a discovery to its end.
    func discover(_ configuration: NATDiscovery.Configuration, for limit: Duration = .seconds(30)) throws -> NATReport {
        let events = start(configuration)
        _ = try lab.run(for: limit) { events.value.last?.report != nil }
        guard let report = events.value.last?.report else { throw Unfinished(events: events.value) }
        return report
    }

    struct Unfinished: Error {
        var events: [NATDiscovery.Event]
    }
}

extension NATDiscovery.Event {
    /// The report of the last event.
    var report: NATReport? {
        if case .finished(let report) = self { return report }
        return nil
    }
}

/// Builds surroundings with the usual server, runs a full discovery, and gives what it found.
func discover(
    _ boxes: [NATConfiguration],
    seed: UInt64,
    _ weather: Surroundings.Weather = Surroundings.Weather(),
    extent: NATDiscovery.Configuration.Extent = .full
) throws -> NATReport {
    try Lab.play(seed: seed) { lab in
        let surroundings = Surroundings(lab, boxes, weather)
        surroundings.runServer()
        return try surroundings.discover(surroundings.configuration(extent: extent))
    }
}
