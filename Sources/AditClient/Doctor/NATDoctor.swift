// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
package import AditTraversal
import AditWire
import Glibc
package import NIOCore
import Synchronization

/// Finds out what the NAT in front of this computer does, with STUN servers that the person has named or joined.
///
/// It asks those servers and this network's router, nobody else, and leaves nothing behind.
package struct NATDoctor: Sendable {
    /// What to look at.
    package struct Question: Sendable, Equatable {
        /// The STUN servers, the best first.
        package var servers: [HostPort]
        /// A web page whose answer is known, to find a network that wants a sign-in; nil for none.
        package var page: WebPage?
        /// Whether the life of a mapping is measured, which takes two minutes.
        package var measuresLifetime: Bool
        /// The interface through which everything is asked; nil for that of the default route.
        package var interface: String?

        /// Makes it from its parts.
        package init(
            servers: [HostPort],
            page: WebPage? = nil,
            measuresLifetime: Bool = false,
            interface: String? = nil
        ) {
            self.servers = servers
            self.page = page
            self.measuresLifetime = measuresLifetime
            self.interface = interface
        }
    }

    /// A page of the web without TLS.
    package struct WebPage: Sendable, Equatable {
        /// Its host and port.
        package var place: HostPort
        /// Its path, beginning with a slash.
        package var path: String
        /// What its server answers with when nobody is in between.
        package let status: Int
        /// A field that its server's other answers have; nil when none is known.
        package let serverField: String?

        /// Reads `http://HOST/PATH`; nil for anything else, also for another port than 80.
        package init?(_ text: String) {
            guard text.lowercased().hasPrefix("http://") else { return nil }
            let rest = text.dropFirst(7)
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            guard let place = HostPort(String(rest[..<slash]), defaultPort: 80), place.port == 80 else { return nil }
            let path = rest[slash...]
            guard path.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
            self.place = place
            self.path = path.isEmpty ? "/" : String(path)
            // Such pages are made for this question.
            status = path.hasSuffix("generate_204") ? 204 : 200
            serverField = nil
        }

        /// The page of the server that was joined; nil for one that shows no names.
        package init?(of server: JoinedServer) {
            guard let port = server.httpPort, port != 0 else { return nil }
            place = HostPort(host: server.host, port: port)
            path = ServerCheck.path
            status = ServerCheck.status
            // An older server, or one that has another name by now, says that nobody holds the name.
            serverField = ServerCheck.errorField
        }
    }

    /// How far it is.
    package enum Progress: Sendable, Equatable {
        /// A step began.
        case step(NATDiscovery.Step)
        /// Everything but the lifetime is known; so long it takes at most.
        case measuringLifetime(Duration)
    }

    /// How many addresses of one family are used of one name.
    private static let addressesPerName = 2
    /// How long a name may take to resolve.
    private static let lookupLimit = TimeAmount.seconds(6)
    /// How long the router's answers are waited for: its own choice of up to two seconds, and a description.
    private static let routerLimit = Duration.milliseconds(3500)

    private let question: Question
    private let eventLoop: any EventLoop

    /// Makes a doctor whose sockets live on an event loop.
    package init(_ question: Question, on eventLoop: any EventLoop) {
        self.question = question
        self.eventLoop = eventLoop
    }

    /// Looks; ends early, with an error, when the task is cancelled.
    ///
    /// - Throws: `ErrorCode.usage` for an interface that is not there, `nameDoesNotResolve` when no server's name
    ///   resolves, `CancellationError`.
    package func run(_ progress: @escaping @Sendable (Progress) -> Void) async throws -> NATReport {
        var network = try network()
        let servers = try await servers()
        // Without a default route there may still be a way to these servers.
        for server in servers where question.interface == nil {
            switch server.endpoint.address {
            case .v4: network.address = network.address ?? LocalNetwork.source(to: server.endpoint.address)
            case .v6: network.addressV6 = network.addressV6 ?? LocalNetwork.source(to: server.endpoint.address)
            }
        }
        var configuration = NATDiscovery.Configuration(
            servers: servers,
            webChecks: await webChecks(),
            webEndpoints: Self.webEndpoints(servers),
            network: network,
            extent: question.measuresLifetime ? .withLifetime : .full
        )
        // So many sockets that wait for answers which do not come would only make it slower.
        configuration.servers = Array(servers.prefix(8))
        let doors = RouterDoors(network, through: question.interface, on: eventLoop)
        defer { doors.end() }
        let events = SocketMachineDriver<NATDiscovery>.events(
            of: NATDiscovery(configuration, random: SystemRandomNumberGenerator()),
            on: eventLoop,
            through: question.interface,
            watchesNetwork: true
        )
        for await event in events {
            switch event {
            case .progress(let step): progress(.step(step))
            case .interim: progress(.measuringLifetime(configuration.lifetimeWaits.max() ?? .zero))
            case .finished(let report):
                let answers = try await doors.answers(within: Self.routerLimit)
                return report.with(portMappings: answers)
            }
        }
        throw CancellationError()
    }

    private func network() throws(AditError) -> LocalNetwork {
        guard let name = question.interface else { return .current() }
        let all = LocalNetwork.current().interfaces
        guard let network = LocalNetwork.current(interface: name) else {
            let names = all.map(\.name).joined(separator: ", ")
            throw AditError(
                .usage,
                Text("there is no interface \"\(name)\" that is up", zh: "没有已启用的网络接口 “\(name)”"),
                why: names.isEmpty ? [] : [Text("there are: \(names)", zh: "现有：\(names)")],
                fix: Text("adit doctor nat --interface NAME", zh: "adit doctor nat --interface 名称")
            )
        }
        return network
    }

    /// The servers by address.
    private func servers() async throws -> [NATDiscovery.Configuration.Server] {
        var found: [NATDiscovery.Configuration.Server] = []
        var failures: [Text] = []
        for place in question.servers {
            do {
                for endpoint in try await endpoints(of: place) {
                    found.append(NATDiscovery.Configuration.Server(name: place.description, endpoint: endpoint))
                }
            } catch let failure as NameLookup.Failure {
                failures.append(Text(verbatim: "\(place.host): \(failure)"))
            }
        }
        guard found.isEmpty, let first = question.servers.first else { return found }
        throw AditError(
            .nameDoesNotResolve,
            Text("The name \(first.host) does not resolve", zh: "无法解析域名 \(first.host)"),
            why: failures,
            fix: Text(
                "check the spelling and this computer's DNS, or name a STUN server by its address:  adit doctor nat --stun ADDRESS",
                zh: "请检查拼写和本机的 DNS，或用地址指定 STUN 服务器：  adit doctor nat --stun 地址"
            )
        )
    }

    private func endpoints(of place: HostPort) async throws -> [IPEndpoint] {
        if let address = IPAddress(place.host) { return [IPEndpoint(address.unmapped, place.port)] }
        let lookup = NameLookup.addresses(of: place.host, port: place.port, on: eventLoop)
        let result = eventLoop.makePromise(of: [SocketAddress].self)
        lookup.cascade(to: result)
        let limit = eventLoop.scheduleTask(in: Self.lookupLimit) {
            let seconds = Self.lookupLimit.nanoseconds / 1_000_000_000
            result.fail(NameLookup.Failure(description: "no answer in \(seconds) s", code: EAI_AGAIN))
        }
        defer { limit.cancel() }
        let all = try await result.futureResult.get().compactMap { IPEndpoint($0) }
        let isV4 = { (endpoint: IPEndpoint) in if case .v4 = endpoint.address { true } else { false } }
        return Array(all.filter(isV4).prefix(Self.addressesPerName))
            + all.filter { !isV4($0) }.prefix(Self.addressesPerName)
    }

    private func webChecks() async -> [NATDiscovery.Configuration.WebCheck] {
        guard let page = question.page, let endpoints = try? await endpoints(of: page.place) else { return [] }
        return endpoints.prefix(2).map { endpoint in
            NATDiscovery.Configuration.WebCheck(
                endpoint: endpoint,
                host: page.place.host,
                path: page.path,
                status: page.status,
                serverField: page.serverField
            )
        }
    }

    /// Where the servers may take connections that pass where nothing but the web does.
    private static func webEndpoints(_ servers: [NATDiscovery.Configuration.Server]) -> [IPEndpoint] {
        var addresses: [IPAddress] = []
        for server in servers where !addresses.contains(server.endpoint.address) {
            addresses.append(server.endpoint.address)
        }
        return addresses.prefix(2).flatMap { [IPEndpoint($0, 443), IPEndpoint($0, 80)] }
    }
}

/// Asks the router by which protocols it opens ports; no port is opened.
private struct RouterDoors: Sendable {
    /// The routers that answered, one for each protocol.
    private final class Found: Sendable {
        private let routers = Mutex<[PortMappingProtocol: PortMappingRouter]>([:])

        var all: [PortMappingProtocol: PortMappingRouter] { routers.withLock { $0 } }

        func take(_ router: PortMappingRouter) { routers.withLock { $0[router.protocol] = router } }
    }

    private let driver: SocketMachineDriver<PortMappingClient>
    private let found = Found()
    private let begin = Clock.monotonic.now()
    private let hasRouter: Bool
    private let eventLoop: any EventLoop

    init(_ network: LocalNetwork, through interface: String?, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        hasRouter = network.gateway != nil
        let client = PortMappingClient(
            configuration: PortMappingClient.Configuration(network: network, wishes: []),
            random: SystemRandomNumberGenerator()
        )
        driver = SocketMachineDriver(client, on: eventLoop, through: interface) { [found] event in
            if case .found(let router) = event { found.take(router) }
        }
        driver.start()
    }

    /// What the router answered until `limit` after the beginning, or until all protocols were answered.
    func answers(within limit: Duration) async throws -> [NATPortMappingAnswer] {
        guard hasRouter else { return [] }
        let doors: [(PortMappingProtocol, NATPortMappingAnswer.Door)] = [
            (.upnp, .upnp), (.pcp, .pcp), (.natPMP, .natPMP),
        ]
        while found.all.count < doors.count {
            let left = begin + limit - Clock.monotonic.now()
            if left <= .zero { break }
            let pause = min(left, .milliseconds(100))
            try await eventLoop.scheduleTask(in: .nanoseconds(pause.wholeNanoseconds)) {}.futureResult.get()
            try Task.checkCancellation()
        }
        let routers = found.all
        return doors.map { name, door in
            NATPortMappingAnswer(
                door,
                isAvailable: routers[name] != nil,
                externalAddress: routers[name]?.external
            )
        }
    }

    func end() {
        driver.cancel()
    }
}

extension JoinedServer {
    /// Where the server answers STUN as far as is known, else the port that the protocol is registered for (RFC 8489).
    package var stunPlace: HostPort { HostPort(host: host, port: stun?.port ?? 3478) }
}
